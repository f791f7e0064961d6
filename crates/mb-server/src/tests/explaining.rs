//! What is shown of a message whose content is gone, or of which something does not open.

use mb_api::dto::RegisterResult::Stored;
use mb_core::{AttemptClass, NoticeKind, Role};
use mb_store::NoticeFilter;
use serde_json::Value;

use super::delivering::{lease, report, webhook, with_domain};
use super::fixture::{Fixture, id};

async fn notices(fixture: &Fixture) -> Vec<NoticeKind> {
    let open = fixture.store.notice_page(NoticeFilter::Open, None, 9).await.expect("reads");
    open.iter().map(|notice| notice.kind).collect()
}

#[tokio::test]
async fn what_is_expunged_while_it_is_sent_keeps_no_answer_and_raises_no_alarm() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let worker = fixture.client(Role::Worker).await;
    webhook(&admin, "hook").await;
    assert_eq!(fixture.register(&[fixture.key.message(1)]).await, [Stored]);
    let leased = lease(&worker).await;
    assert_eq!(admin.post(&format!("/admin/messages/{}/expunge", id(1)), Value::Null).await.status, 204);
    report(&worker, &leased, AttemptClass::Taken, 1).await;
    let kept = fixture.execute_text("SELECT answer FROM attempts WHERE answer IS NOT NULL").await;
    assert!(kept.is_empty(), "what was answered may be what was sent");
    let answer = admin.get(&format!("/portal/messages/{}", id(1))).await;
    assert_eq!(answer.problem(), (409, "conflict"));
    assert!(answer.body["detail"].as_str().is_some_and(|detail| detail.contains("was removed")), "{answer:?}");
    assert_eq!(notices(&fixture).await, []);
}

#[tokio::test]
async fn an_answer_that_does_not_open_is_said_and_told() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let worker = fixture.client(Role::Worker).await;
    webhook(&admin, "hook").await;
    assert_eq!(fixture.register(&[fixture.key.message(1)]).await, [Stored]);
    report(&worker, &lease(&worker).await, AttemptClass::Taken, 1).await;
    fixture.execute("UPDATE attempts SET answer = zeroblob(64)").await;
    let shown = admin.get(&format!("/portal/messages/{}", id(1))).await.ok(200);
    let attempt = &shown["attempts"][0];
    assert_eq!((&attempt["class"], &attempt["answer"]), (&"taken".into(), &Value::Null));
    assert!(attempt["detail"].as_str().is_some_and(|detail| detail.contains("does not open")), "{attempt}");
    assert_eq!(notices(&fixture).await, [NoticeKind::MessageUnreadable]);
}
