//! What administrators are told of the installation.

use mb_api::dto::{FindingRow, FindingStatus, SettingRow};
use mb_core::UserRole;
use serde_json::json;

use super::fixture::Fixture;
use crate::Installation;

fn setting(id: &str, value: serde_json::Value, source: &str) -> SettingRow {
    SettingRow { id: id.into(), value, source: source.into(), about: String::new(), is_secret: false }
}

/// An installation with one setting and one finding.
pub(super) fn described() -> Installation {
    let finding = FindingRow {
        id: 1,
        check: "disk".into(),
        status: FindingStatus::Warn,
        detail: "is nearly full".into(),
        fix: Some("make room".into()),
    };
    Installation::new(vec![setting("server.port", json!(8000), "default")], move || {
        let finding = finding.clone();
        async move { vec![finding] }
    })
}

#[tokio::test]
async fn settings_are_those_in_effect_now() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let rows = admin.get("/admin/settings").await;
    assert_eq!((rows.each("id"), rows.each("value")), (vec![json!("server.port")], vec![json!(8000)]));
    fixture.server.show_settings(vec![setting("server.port", json!(9000), ".env")]);
    let rows = admin.get("/admin/settings").await;
    assert_eq!((rows.each("value"), rows.each("source")), (vec![json!(9000)], vec![json!(".env")]));
}

#[tokio::test]
async fn an_examination_says_what_to_do() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let rows = admin.post("/admin/doctor", json!(null)).await;
    assert_eq!((rows.each("status"), rows.each("fix")), (vec![json!("warn")], vec![json!("make room")]));
}
