//! `/admin/dead-letters`: what never became a message, and deliveries that were given up.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use mb_api::cursor::{Cursor, List};
use mb_api::dto::{ChooseDeadLetters, DeadLetterQuery, DeadLetterRow, DeadLettersDone, MAX_LETTERS};
use mb_api::page::Page;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use mb_store::{DeadLetterFilter, ListedDeadLetter, RegisterBatch, Registered, Routed};

use super::register::taking::Taking;
use super::store_fault;
use crate::app::App;
use crate::caller::Caller;
use crate::contents;

/// The most bytes of a request.
const MAX_BODY: usize = 64 << 10;

/// Why an envelope was kept that is genuine and may be a message after all. One that bears another message's id never can.
const RELEASABLE: [&str; 2] = ["proxy_revoked", "stale"];

#[utoipa::path(
    get, path = paths::DEAD_LETTERS, tag = "dead letters", operation_id = "list_dead_letters",
    summary = "List dead letters",
    description = "The newest first.",
    params(DeadLetterQuery),
    responses((status = 200, body = Page<DeadLetterRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<DeadLetterQuery>,
) -> Result<Json<Page<DeadLetterRow>>, ApiError> {
    caller.admin()?;
    let (limit, after) = query.resolve()?;
    let page = app.store.dead_letter_page(&filter(query), after.map(|cursor| cursor.place()), limit + 1).await;
    let mut rows = page.map_err(store_fault)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next =
        rows.last().filter(|_| more).map(|row| Cursor::numbered(row.created_at, row.id).encode(List::DeadLetters));
    Ok(Json(Page { data: rows.into_iter().map(present).collect(), next }))
}

#[utoipa::path(
    post, path = paths::DEAD_LETTERS_REDRIVE, tag = "dead letters", operation_id = "redrive_dead_letters",
    summary = "Send dead letters again",
    description = "Deliveries begin anew where their destination still takes messages; envelopes that are genuine become \
                   messages. A message that has expired meanwhile stays given up. Up to 1000 at a time.",
    request_body = ChooseDeadLetters,
    responses((status = 200, body = DeadLettersDone)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn redrive(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<Json<DeadLettersDone>, ApiError> {
    let actor = caller.admin()?;
    let ask: ChooseDeadLetters = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let (preview, chosen) = (ask.preview, choose(&app, ask).await?);
    if preview {
        return Ok(Json(chosen.done(0, 0)));
    }
    let ids = chosen.letters.iter().filter(|letter| letter.destination.is_some()).map(|letter| letter.id);
    let ids = ids.collect::<Vec<_>>();
    let redriven = app.store.redrive_dead_letters(&ids, &app.instance, actor.as_str()).await.map_err(store_fault)?;
    let mut done = redriven.sent;
    for letter in chosen.letters.iter().filter(|letter| letter.destination.is_none()) {
        done += u64::from(release(&app, letter, actor.as_str()).await?);
    }
    app.delivering.wake();
    Ok(Json(chosen.done(done, redriven.expired)))
}

#[utoipa::path(
    post, path = paths::DEAD_LETTERS_PURGE, tag = "dead letters", operation_id = "purge_dead_letters",
    summary = "Remove dead letters",
    description = "For good. Deliveries stay given up. Up to 1000 at a time.",
    request_body = ChooseDeadLetters,
    responses((status = 200, body = DeadLettersDone)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn purge(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<Json<DeadLettersDone>, ApiError> {
    let actor = caller.admin()?;
    let ask: ChooseDeadLetters = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let (preview, chosen) = (ask.preview, choose(&app, ask).await?);
    if preview {
        return Ok(Json(chosen.done(0, 0)));
    }
    let ids = chosen.letters.iter().map(|letter| letter.id).collect::<Vec<_>>();
    let purged = app.store.purge_dead_letters(&ids, "dead_letter.purge", actor.as_str()).await.map_err(store_fault)?;
    Ok(Json(chosen.done(purged, 0)))
}

/// Dead letters that were chosen.
struct Chosen {
    letters: Vec<ListedDeadLetter>,
    more: bool,
}

impl Chosen {
    fn done(&self, done: u64, expired: u64) -> DeadLettersDone {
        DeadLettersDone { found: self.letters.len() as u64, done, expired, more: self.more }
    }
}

async fn choose(app: &App, ask: ChooseDeadLetters) -> Result<Chosen, ApiError> {
    if ask.ids.len() > MAX_LETTERS {
        return Err(ApiError::new(ProblemCode::TooManyItems, format!("at most {MAX_LETTERS} dead letters at a time")));
    }
    if ask.ids.is_empty() {
        let limit = u32::try_from(MAX_LETTERS).unwrap_or(u32::MAX);
        let found = app.store.dead_letter_page(&filter(ask.matching), None, limit + 1).await;
        let mut letters = found.map_err(store_fault)?;
        let more = letters.len() > MAX_LETTERS;
        letters.truncate(MAX_LETTERS);
        return Ok(Chosen { letters, more });
    }
    let mut letters = Vec::with_capacity(ask.ids.len());
    for id in ask.ids {
        let page = app.store.dead_letter_page(&DeadLetterFilter::default(), id.checked_add(1), 1).await;
        letters.extend(page.map_err(store_fault)?.into_iter().filter(|letter| letter.id == id));
    }
    Ok(Chosen { letters, more: false })
}

/// Makes a message of an envelope that was kept; whether it is one now.
async fn release(app: &App, letter: &ListedDeadLetter, actor: &str) -> Result<bool, ApiError> {
    if !RELEASABLE.contains(&letter.reason.as_str()) {
        return Ok(false);
    }
    let Some(row) = app.store.dead_letter(letter.id).await.map_err(store_fault)? else { return Ok(false) };
    app.delivering.follow(&app.store).await.map_err(store_fault)?;
    let known = app.delivering.known();
    let Some(admitted) = contents::release(app, &known, &row.envelope).await.map_err(store_fault)? else {
        return Ok(false);
    };
    let contents::Admitted { message, to, payload } = admitted;
    let query = mb_api::dto::delivery::RegisterQuery::default();
    let mut taking = Taking::new(&query);
    taking.route(0, &message.header, &to, payload.as_ref());
    let request = RegisterBatch {
        keys: Vec::new(),
        messages: vec![message],
        dead_letters: Vec::new(),
        routed: Routed { version: Some(known.version), deliveries: taking.deliveries },
        instance: app.instance.clone(),
    };
    let registered = app.store.register(request).await.map_err(store_fault)?;
    let stored = registered.messages.first() == Some(&Registered::Stored);
    if stored {
        app.store.purge_dead_letters(&[letter.id], "dead_letter.release", actor).await.map_err(store_fault)?;
    }
    Ok(stored)
}

fn filter(query: DeadLetterQuery) -> DeadLetterFilter {
    let DeadLetterQuery { domain, destination, reason, message, since, .. } = query;
    DeadLetterFilter { domain, destination, reason, message, since }
}

fn present(letter: ListedDeadLetter) -> DeadLetterRow {
    DeadLetterRow {
        id: letter.id,
        message_id: letter.message_id,
        reason: letter.reason,
        created_at: letter.created_at,
        client_id: letter.client,
        domain: letter.domain,
        topic: letter.topic,
        destination: letter.destination,
        attempts: letter.attempts,
        last_error: letter.last_error,
    }
}
