//! What anyone may ask: who answers here.

use axum::Json;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Root {
    service: &'static str,
    version: &'static str,
    status: &'static str,
}

pub(crate) async fn root() -> Json<Root> {
    Json(Root { service: "message-broker", version: env!("CARGO_PKG_VERSION"), status: "running" })
}
