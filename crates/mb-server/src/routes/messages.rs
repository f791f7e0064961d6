//! `/portal/messages`: messages as people list, search and open them.
//!
//! Numbers in a list are masked, and a message may be looked at without being opened. Opening one is recorded before
//! anything of it leaves: no record, no body.

mod explain;
pub(super) mod exporting;
pub(super) mod submitting;
pub(super) mod watchers;
pub(super) mod watching;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use mb_api::cursor::{Cursor, List};
use mb_api::dto::{MessageDetail, MessageDetailQuery, MessageQuery, MessageRow, Metadata, SecretText};
use mb_api::page::Page;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use mb_core::mask::mask_number;
use mb_core::{MessageId, MessageState, Timestamp};
use mb_store::{ListedMessage, MessageFilter, MessagePlace};
use serde_json::json;

use super::store_fault;
use crate::app::App;
use crate::caller::{Caller, View};
use crate::opening::{self, About, Unopened};

#[utoipa::path(
    get, path = paths::PORTAL_MESSAGES, tag = "messages", operation_id = "list_messages",
    summary = "List messages",
    description = "Newest first. A user sees its client's messages, an admin all. A page may have fewer rows than asked \
                   for, even none, and still name a next one.",
    params(MessageQuery),
    responses((status = 200, body = Page<MessageRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<MessageQuery>,
) -> Result<Json<Page<MessageRow>>, ApiError> {
    let view = caller.view()?;
    page(&app, &query, view).await.map(Json)
}

async fn page(app: &App, query: &MessageQuery, view: View) -> Result<Page<MessageRow>, ApiError> {
    let (limit, after) = query.resolve()?;
    let now = app.clock.now();
    let filter = filter(app, query, view, now)?;
    let page = app.store.message_page(&filter, after.map(place), limit).await.map_err(store_fault)?;
    let mut data = Vec::with_capacity(page.messages.len());
    for message in &page.messages {
        data.push(row(app, message, now).await?);
    }
    Ok(Page { data, next: page.next.map(|next| cursor(next).encode(List::Messages)) })
}

#[utoipa::path(
    get, path = paths::PORTAL_MESSAGE, tag = "messages", operation_id = "show_message",
    summary = "Show a message",
    description = "With its number, body and metadata, which is recorded in the audit log, unless `body=false`.",
    params(("id" = mb_api::schema::MessageId, Path, description = "The message"), MessageDetailQuery),
    responses(
        (status = 200, body = MessageDetail),
        (status = 409, description = "The message can no longer be opened; ask with `body=false`"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<MessageDetailQuery>,
) -> Result<Json<MessageDetail>, ApiError> {
    let view = caller.view()?;
    let id = MessageId::parse(&id).ok_or_else(ApiError::not_found)?;
    let message = app.store.listed_message(id).await.map_err(store_fault)?;
    let message = message.filter(|message| view.includes(message)).ok_or_else(ApiError::not_found)?;
    let mut detail = detail(&app, &message).await?;
    if query.body != Some(false) {
        open(&app, &caller, &message, &mut detail).await?;
    }
    Ok(Json(detail))
}

impl View {
    fn includes(&self, message: &ListedMessage) -> bool {
        match self {
            Self::All => true,
            Self::Client(client) => message.status.client == *client,
        }
    }
}

fn filter(app: &App, query: &MessageQuery, view: View, now: Timestamp) -> Result<MessageFilter, ApiError> {
    let (client, domain) = match view {
        View::All => (query.client_id.clone(), query.domain.clone()),
        View::Client(client) if query.client_id.is_none() && query.domain.is_none() => (Some(client), None),
        View::Client(_) => {
            let detail = "only admins choose messages by client_id or domain; you see your own client's";
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
    };
    // A scheduled message that nothing waits for is stored as delivered and shown as queued until its time.
    Ok(MessageFilter {
        client,
        domain,
        status: query.status,
        or_delivered_after: (query.status == Some(MessageState::Queued)).then_some(now),
        delivered_by: (query.status == Some(MessageState::Delivered)).then_some(now),
        from: query.from,
        to: query.to,
        topic: query.topic.clone(),
        sender: query.sender.as_ref().map(|number| app.search.hash(number.secret().expose())),
        id: query.q.clone(),
    })
}

/// How a message stands for people.
fn shown(message: &ListedMessage, now: Timestamp) -> MessageState {
    let status = &message.status;
    let scheduled = status.status == MessageState::Delivered && status.delivered_at.is_some_and(|at| at > now);
    if scheduled { MessageState::Queued } else { status.status }
}

async fn row(app: &App, message: &ListedMessage, now: Timestamp) -> Result<MessageRow, ApiError> {
    let plain = match &message.content {
        Some(content) if !content.sealed.is_empty() => opening::open(app, content).await.map_err(store_fault)?.ok(),
        _ => None,
    };
    let number = plain.as_ref().and_then(|plain| plain.content()?.sender_number);
    let (status, state) = (&message.status, shown(message, now));
    Ok(MessageRow {
        id: status.message_id,
        message_id: status.message_id,
        client_id: status.client.clone(),
        domain: message.domain.clone(),
        topic: status.topic.clone(),
        sender_number_masked: number.map(mask_number),
        status: state,
        attempt_count: status.attempt_count,
        queued_at: status.queued_at,
        delivered_at: status.delivered_at.filter(|_| state != MessageState::Queued),
        last_error: status.last_error.clone(),
    })
}

/// What may be seen of a message without opening it.
async fn detail(app: &App, message: &ListedMessage) -> Result<MessageDetail, ApiError> {
    Ok(MessageDetail {
        row: row(app, message, app.clock.now()).await?,
        registered_at: message.status.registered_at,
        failed_at: message.status.failed_at,
        deliver_at: message.status.deliver_at,
        expires_at: message.status.expires_at,
        sender_number: None,
        message_body: None,
        metadata: None,
        deliveries: explain::deliveries(app, message.status.message_id).await?,
        attempts: explain::attempts(app, &message.status).await?,
    })
}

async fn open(app: &App, caller: &Caller, message: &ListedMessage, detail: &mut MessageDetail) -> Result<(), ApiError> {
    let plain = match &message.content {
        Some(content) if content.sealed.is_empty() => {
            let detail = "the message's content was removed, by retention or for good; ask with body=false";
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        Some(content) => opening::open(app, content).await.map_err(store_fault)?,
        None => Err(Unopened::Damaged),
    };
    let plain = match plain {
        Ok(plain) => plain,
        Err(unopened) => {
            let (id, client, domain) = (message.status.message_id, &message.status.client, &message.domain);
            opening::report(app, About { id, client, domain }, unopened).await;
            let detail = format!("the message cannot be opened: {}; ask with body=false", unopened.detail());
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
    };
    let content = plain.content().ok_or_else(|| ApiError::internal("opened content is none"))?;
    let about = json!({ "client": message.status.client, "domain": message.domain });
    let id = message.status.message_id.to_string();
    app.store.audit(caller.actor().as_str(), "message.open", &id, about).await.map_err(store_fault)?;
    let about = About { id: message.status.message_id, client: &message.status.client, domain: &message.domain };
    detail.attempts = explain::opened_attempts(app, &message.status, about).await?;
    detail.sender_number = content.sender_number.map(|number| SecretText::new(number.to_owned()));
    detail.message_body = Some(SecretText::new(content.body.to_owned()));
    // The proxy took nothing but an object; names that were given twice, which older ones let pass, read as the last.
    detail.metadata = content.metadata.and_then(|text| serde_json::from_str(text).ok()).map(Metadata);
    Ok(())
}

const fn cursor(place: MessagePlace) -> Cursor {
    Cursor { at: place.queued_at, id: *place.message_id.as_bytes() }
}

const fn place(cursor: Cursor) -> MessagePlace {
    MessagePlace { queued_at: cursor.at, message_id: MessageId::from_bytes(cursor.id) }
}
