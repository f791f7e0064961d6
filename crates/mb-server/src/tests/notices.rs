//! Notices as admins see and resolve them.

use mb_core::{NoticeKind, NoticeLevel, UserRole};
use mb_store::NewNotice;
use serde_json::json;

use super::fixture::Fixture;

#[tokio::test]
async fn open_notices_are_listed_newest_first_and_resolved_once() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    for key in ["a", "b", "c"] {
        let detail = json!({ "why": key });
        let notice = NewNotice { kind: NoticeKind::DeadLetters, key: key.into(), level: NoticeLevel::Warning, detail };
        fixture.store.raise_notice(&notice).await.expect("raises");
    }
    let about = async |query: &str| admin.pages(&format!("/admin/notices?limit=1{query}"), "about").await;
    assert_eq!(about("").await, ["c", "b", "a"].map(|key| json!(key)));
    let rows = admin.get("/admin/notices").await;
    assert_eq!(rows.body["data"][0]["detail"], json!({ "why": "c" }));
    let id = rows.body["data"][1]["id"].clone();
    let resolve = format!("/admin/notices/{id}/resolve");
    assert_eq!(admin.post(&resolve, json!(null)).await.status, 204);
    assert_eq!(admin.post(&resolve, json!(null)).await.status, 404);
    assert_eq!(about("").await, ["c", "a"].map(|key| json!(key)));
    assert_eq!(about("&resolved=true").await, ["c", "b", "a"].map(|key| json!(key)));
    assert_eq!(admin.post("/admin/notices/x/resolve", json!(null)).await.status, 404);
}
