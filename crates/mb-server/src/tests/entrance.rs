//! What a page of another site may make an administrator's browser send.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use mb_api::{Peer, paths};
use mb_core::{Role, UserRole};
use serde_json::json;
use tower::ServiceExt as _;

use super::fixture::Fixture;

/// Asks with an administrator's certificate and these headers; status and code.
async fn ask(fixture: &Fixture, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut request = Request::builder().method(Method::POST).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::from(body.to_owned())).expect("a request");
    let issued = fixture.issue("an-admin", Role::Admin).await;
    request.extensions_mut().insert(Peer::in_process(Arc::new(issued.identity)));
    let response = fixture.app.clone().oneshot(request).await.expect("infallible");
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    let problem: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_by_an_administrators_certificate() {
    let fixture = Fixture::new().await;
    let body = json!({ "email": "new@x.org", "password": "Correct horse 1", "role": "admin" }).to_string();
    let json = ("content-type", "application/json");
    for undeclared in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("multipart/form-data")]
    {
        let headers = undeclared.map(|kind| ("content-type", kind));
        let answer = ask(&fixture, paths::USERS, headers.as_slice(), &body).await;
        assert_eq!(answer, (415, "unsupported_media_type".into()), "{undeclared:?}");
    }
    for foreign in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        let answer = ask(&fixture, paths::USERS, &[json, foreign], &body).await;
        assert_eq!(answer, (403, "forbidden".into()), "{foreign:?}");
        let answer = ask(&fixture, paths::NEW_EPOCH, &[foreign], "").await;
        assert_eq!(answer, (403, "forbidden".into()), "without a body too");
    }
    assert!(fixture.store.user_by_email("new@x.org").await.expect("reads").is_none());
    let own = ("sec-fetch-site", "same-origin");
    assert_eq!(ask(&fixture, paths::USERS, &[json, own], &body).await.0, 201);
    let user = fixture.store.user_by_email("new@x.org").await.expect("reads").expect("is there");
    assert_eq!(user.role, UserRole::Admin);
    assert_eq!(ask(&fixture, paths::NEW_EPOCH, &[], "").await.0, 200, "a program says nothing of the kind");
}
