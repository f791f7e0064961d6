//! `/admin/store`: the store as a whole.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mb_api::dto::{Epoch, NewEpoch};
use mb_api::paths;
use mb_api::problem::ApiError;

use super::{announce, store_fault};
use crate::app::App;
use crate::caller::Caller;

#[utoipa::path(
    post, path = paths::NEW_EPOCH, tag = "store", operation_id = "new_epoch",
    summary = "Give the store a new epoch",
    description = "For after a failover to a database that may lack the newest messages: every proxy that sees the new \
                   epoch offers again all messages that it keeps, and those that the store lacks are stored. Everybody is signed out. Revocations that the proxies hold are \
                   merged back.",
    responses((status = 200, body = NewEpoch)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn new_epoch(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<NewEpoch>, ApiError> {
    let actor = caller.admin()?;
    // Whatever was signed in before may have been signed out in what the store has lost.
    app.store.end_all_sessions(actor.as_str()).await.map_err(store_fault)?;
    let epoch = app.store.new_epoch(actor.as_str()).await.map_err(store_fault)?;
    // The proxies are to tell what they know as revoked.
    announce(&app).await?;
    Ok(Json(NewEpoch { epoch: Epoch::from_bytes(epoch) }))
}
