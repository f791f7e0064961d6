//! The portal: where people see their messages and admins run the system.
//!
//! For now one plain page that says so; it imports neither store nor queue nor crypto, because it will be a client of the
//! main server's API like any other.

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;

const PAGE: &str = include_str!("page.html");

/// All routes of the portal, without the listener's own (`/health`, `/metrics`).
pub fn router() -> Router {
    Router::new().route("/", get(page))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(PAGE))
}
