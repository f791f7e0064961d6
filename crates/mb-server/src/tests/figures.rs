//! Figures from counters.

use std::time::Duration;

use mb_core::{Role, UserRole};
use serde_json::json;

use super::fixture::{Fixture, NOW};

#[tokio::test]
async fn figures_count_by_period_domain_and_state() {
    let fixture = Fixture::new().await;
    fixture.issue("demo", Role::Client).await;
    fixture.register(&[fixture.key.message(1), fixture.key.message(2)]).await;
    fixture.clock.set(NOW.plus(Duration::from_hours(3 * 24)));
    fixture.register(&[fixture.key.message(3)]).await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let all = admin.get("/admin/stats").await.body;
    assert_eq!((&all["period"], &all["total_messages"]), (&json!("all"), &json!(3)));
    assert_eq!(all["messages_by_status"]["delivered"], 3);
    assert_eq!(all["messages_by_status"].as_object().expect("an object").len(), 6);
    let spans = ["messages_last_24h", "messages_last_7d", "messages_last_30d"].map(|member| all[member].clone());
    assert_eq!(spans, [json!(1), json!(3), json!(3)]);
    assert_eq!((&all["total_clients"], &all["active_clients"]), (&json!(1), &json!(1)));
    let day = admin.get("/admin/stats?period=24h").await.body;
    assert_eq!((&day["total_messages"], &day["messages_by_status"]["delivered"]), (&json!(1), &json!(1)));
    assert_eq!(admin.get("/admin/stats?domain=eu").await.body["total_messages"], 0);
    assert_eq!(admin.get("/admin/stats?period=1h").await.code(), "validation_failed");
}

#[tokio::test]
async fn an_overview_tells_what_happened_when_and_how_long_it_took() {
    let fixture = Fixture::new().await;
    fixture.issue("demo", Role::Client).await;
    fixture.register(&[fixture.key.message(1), fixture.key.message(2)]).await;
    fixture.clock.set(NOW.plus(Duration::from_hours(30)));
    let late = fixture.key.message(3);
    fixture.register(&[late]).await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let day = admin.get("/portal/overview").await.ok(200);
    assert_eq!((&day["period"], &day["points"].as_array().map(Vec::len)), (&json!("24h"), &Some(24)));
    assert_eq!((&day["messages_by_status"]["delivered"], &day["delivery_rate"]), (&json!(1), &json!(1.0)));
    assert_eq!(day["points"][23]["accepted"], 1);
    let p50 = day["time_to_deliver"]["p50_ms"].as_f64().expect("a time");
    let exact = Duration::from_hours(30).as_millis();
    assert!((p50 / exact as f64 - 1.0).abs() < 0.5, "{p50} of {exact}");
    let week = admin.get("/portal/overview?period=7d").await.ok(200);
    assert_eq!(
        (&week["points"].as_array().map(Vec::len), &week["messages_by_status"]["delivered"]),
        (&Some(28), &json!(3))
    );
    let month = admin.get("/portal/overview?period=30d&domain=eu").await.ok(200);
    assert_eq!((&month["points"].as_array().map(Vec::len), &month["delivery_rate"]), (&Some(30), &json!(null)));
}

#[tokio::test]
async fn a_users_overview_is_of_its_client_alone() {
    let fixture = Fixture::new().await;
    fixture.issue("demo", Role::Client).await;
    fixture.issue("other", Role::Client).await;
    fixture.register(&[fixture.key.message(1), fixture.key.message(2)]).await;
    let demo = fixture.signed_in(UserRole::User, Some("demo")).await;
    let told = demo.get("/portal/overview").await.ok(200);
    assert_eq!((&told["messages_last_24h"], &told["newest_only"]), (&json!(2), &json!(null)));
    assert_eq!(told["points"][23]["delivered"], 2);
    let other = fixture.signed_in(UserRole::User, Some("other")).await;
    assert_eq!(other.get("/portal/overview").await.ok(200)["messages_last_30d"], 0);
    assert_eq!(other.get("/portal/overview?domain=default").await.code(), "forbidden");
}

#[tokio::test]
async fn a_dead_letters_reason_is_counted() {
    let fixture = Fixture::new().await;
    let old = mb_core::Header {
        queued_at: NOW.minus(Duration::from_hours(24 * 31)),
        ..fixture.key.header(super::fixture::id(1))
    };
    let mut envelope = Vec::new();
    let content = mb_core::Content { sender_number: None, body: "too old", metadata: None };
    fixture.key.sealing.seal(&old, &content, &mut envelope).expect("seals");
    fixture.register(&[envelope]).await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let told = admin.get("/portal/overview").await.ok(200);
    assert_eq!(told["failures"], json!([{ "reason": "stale", "count": 1 }]));
}
