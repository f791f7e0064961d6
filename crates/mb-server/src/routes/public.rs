//! What anyone may ask: who answers here.

use axum::Json;
use mb_api::paths;
use serde::Serialize;
use utoipa::ToSchema;

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
