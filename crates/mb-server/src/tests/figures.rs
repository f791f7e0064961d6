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
