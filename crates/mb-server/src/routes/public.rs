//! What anyone may ask: who answers here, and the CA's certificate.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;

use crate::app::App;

#[derive(Debug, Serialize)]
pub(crate) struct Root {
    service: &'static str,
    version: &'static str,
    status: &'static str,
}

pub(crate) async fn root() -> Json<Root> {
    Json(Root { service: "message-broker", version: env!("CARGO_PKG_VERSION"), status: "running" })
}

pub(crate) async fn ca(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], app.authority.ca_pem().to_owned())
}
