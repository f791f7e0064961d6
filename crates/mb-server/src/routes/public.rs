//! What anyone may ask: who answers here, and the CA's certificate.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use mb_api::paths;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// Who answers here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Root {
    /// The program.
    service: &'static str,
    /// Its version.
    version: &'static str,
    /// `running`.
    status: &'static str,
}

#[utoipa::path(
    get, path = paths::ROOT, tag = "public", operation_id = "root",
    summary = "Who answers here",
    responses((status = 200, body = Root)),
)]
pub(crate) async fn root() -> Json<Root> {
    Json(Root { service: "message-broker", version: env!("CARGO_PKG_VERSION"), status: "running" })
}

#[utoipa::path(
    get, path = paths::CA_CERTIFICATE, tag = "public", operation_id = "ca_certificate",
    summary = "The CA's certificate, PEM",
    responses((status = 200, body = String, content_type = "application/x-pem-file")),
)]
pub(crate) async fn ca(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], app.authority.ca_pem().to_owned())
}
