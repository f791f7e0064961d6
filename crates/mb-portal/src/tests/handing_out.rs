//! What is shown once: tokens to enrol with, renewed certificates.

use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use mb_api::paths;
use serde_json::{Value, json};

use super::fixture::{Browser, NOW, knows};

fn admin(path: &str, answer: Value) -> Browser {
    let route = Router::new().route(path, post(async move || (StatusCode::CREATED, Json(answer))));
    let browser = Browser::with(knows("admin").merge(route));
    browser.set_cookie("__Host-session", "good");
    browser
}

#[tokio::test]
async fn a_token_is_shown_once_with_the_fingerprint_that_it_needs() {
    let browser = admin(paths::CLIENT_ENROLL, json!({ "token": "tok", "expires_at": NOW, "ca_fingerprint": "ab12" }));
    let (_, page) = browser.get("/admin/enrolments/new?client_id=branch-7&domain=acme").await;
    assert!(page.contains("value=\"branch-7\"") && page.contains("value=\"1440\" selected"), "{page}");
    let fields = [("client_id", "branch-7"), ("role", "client"), ("domain", "acme"), ("token_minutes", "60")];
    let (parts, page) = browser.post("/admin/enrolments/new", &fields).await;
    assert!(page.contains(">tok.ab12</textarea>"), "{page}");
    assert_eq!(parts.headers[CACHE_CONTROL], "no-store", "nobody keeps it");
}

#[tokio::test]
async fn a_renewed_certificate_comes_with_its_pkcs12_file_and_its_password() {
    let issued = json!({
        "id": "0b", "certificate": "CERT", "private_key": "KEY", "ca_certificate": "CA", "fingerprint": "f",
        "expires_at": NOW, "pkcs12": { "file": "UDEy", "password": "open-sesame" },
    });
    let browser = admin(paths::CERTIFICATES_RENEW, issued);
    let (_, page) = browser.get("/admin/certificates/renew?name=branch-7").await;
    assert!(page.contains("Renew the certificate of branch-7"), "{page}");
    let (parts, page) = browser.post("/admin/certificates/renew?name=branch-7", &[("pkcs12", "yes")]).await;
    assert_eq!(parts.headers[CACHE_CONTROL], "no-store", "nobody keeps it");
    assert!(page.contains("data:application/x-pkcs12;base64,UDEy") && page.contains("open-sesame"), "{page}");
    assert_eq!(browser.get("/admin/certificates/renew?name=No+Name").await.0.status, StatusCode::NOT_FOUND);
}
