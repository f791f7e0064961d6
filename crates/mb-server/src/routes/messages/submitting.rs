//! A message that somebody signed in submits as the own client.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use mb_api::client::IDEMPOTENCY_KEY;
use mb_api::dto::{SubmitMessage, SubmittedMessage};
use mb_api::paths;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{ClientName, ClientStatus, UserId, hex};
use mb_crypto::{idempotency, random};
use serde_json::json;

use crate::app::App;
use crate::caller::Caller;
use crate::routes::store_fault;
use crate::sending;

/// The most bytes of a message (contract, section 3).
const MAX_BODY: usize = 512 << 10;
/// The longest key that is taken: with what stands before it, it is one that a proxy takes.
const MAX_KEY: usize = 200;

#[utoipa::path(
    post, path = paths::PORTAL_MESSAGES, tag = "messages", operation_id = "send_message",
    summary = "Submit a message as one's own client",
    description = "For accounts that are bound to a client and may send. It goes through a proxy, like every message of the \
                   client, and is answered as there. Recorded in the audit log. A repeat with the same Idempotency-Key by \
                   the same account is the same message.",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible ASCII characters")),
    request_body = SubmitMessage,
    responses(
        (status = 202, body = SubmittedMessage),
        (status = 413, description = "The message is too large"),
        (status = 429, description = "The client has reached its limit"),
    ),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<SubmittedMessage>), ApiError> {
    let (user, client) = sender(&app, &caller).await?;
    let key = key(user, headers.get(IDEMPOTENCY_KEY))?;
    let body = mb_runtime::body::read_body(body, MAX_BODY).await?;
    let id = idempotency::message_id(&client, &key);
    let actor = caller.actor().as_str();
    // No record, no message.
    let about = json!({ "client": client });
    app.store.audit(actor, "message.send", &id.to_string(), about).await.map_err(store_fault)?;
    let key = HeaderValue::from_str(&key).map_err(ApiError::internal)?;
    let submitted = sending::submit(&app, &client, &key, body, actor).await?;
    Ok((StatusCode::ACCEPTED, Json(submitted)))
}

/// As whom the caller may send.
async fn sender(app: &App, caller: &Caller) -> Result<(UserId, ClientName), ApiError> {
    let user = &caller.person()?.user;
    let client = user.client.clone().filter(|_| user.may_send).ok_or_else(|| {
        ApiError::new(ProblemCode::Forbidden, "this account may not send, or is bound to no client to send as")
    })?;
    let row = app.store.client(&client).await.map_err(store_fault)?;
    let acts = row.is_some_and(|row| row.status == ClientStatus::Active);
    if !acts || app.store.client_is_revoked(&client).await.map_err(store_fault)? {
        let detail = "your client is suspended, archived or revoked: nothing is accepted from it";
        return Err(ApiError::new(ProblemCode::Forbidden, detail));
    }
    Ok((user.id, client))
}

/// The key under which a proxy knows the message: never one of the client's own, and never another account's.
fn key(user: UserId, given: Option<&HeaderValue>) -> Result<String, ApiError> {
    let Some(given) = given else { return Ok(format!("portal-{user}-{}", hex::encode(&random::public_array::<16>()))) };
    let plain = |text: &&str| (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let given = given.to_str().ok().filter(plain).ok_or_else(|| {
        ApiError::new(ProblemCode::MalformedRequest, "Idempotency-Key is 1 to 200 visible ASCII characters")
    })?;
    Ok(format!("portal-{user}-{given}"))
}
