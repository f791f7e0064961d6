//! `/admin/destinations`: where messages go.

pub(super) mod settings;
pub(super) mod state;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::cursor::{Cursor, List};
use mb_api::dto::{CreateDestination, CreatedDestination, DestinationQuery, DestinationRow, SecretText};
use mb_api::page::Page;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use mb_core::{DestinationId, DestinationKind, DestinationState, Timestamp};
use mb_crypto::webhook::WebhookSecret;
use mb_store::{NewDestination, StoreError};

use super::{row_id, store_fault};
use crate::app::App;
use crate::caller::Caller;
use crate::delivering;

pub(crate) use settings::set;
pub(crate) use state::{rotate_secret, set_state, test};

/// The most bytes of a request: certificates are most of it.
const MAX_BODY: usize = 256 << 10;

#[utoipa::path(
    get, path = paths::DESTINATIONS, tag = "destinations", operation_id = "list_destinations",
    summary = "List destinations",
    description = "The oldest first.",
    params(DestinationQuery),
    responses((status = 200, body = Page<DestinationRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<DestinationQuery>,
) -> Result<Json<Page<DestinationRow>>, ApiError> {
    caller.admin()?;
    let (limit, after) = query.resolve()?;
    let now = app.clock.now();
    if let Some(name) = &query.name {
        let domain = query.domain.clone().unwrap_or_default();
        let row = app.store.destination_named(&domain, name).await.map_err(store_fault)?;
        return Ok(Json(Page { data: row.into_iter().map(|row| present(row, now)).collect(), next: None }));
    }
    let after = after.map(|cursor| DestinationId::new(cursor.place()));
    let page = app.store.destination_page(query.domain.as_ref(), after, limit + 1).await;
    let mut rows = page.map_err(store_fault)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more);
    let next = next.map(|row| Cursor::numbered(row.created_at, row.route.id.get()).encode(List::Destinations));
    Ok(Json(Page { data: rows.into_iter().map(|row| present(row, now)).collect(), next }))
}

#[utoipa::path(
    post, path = paths::DESTINATIONS, tag = "destinations", operation_id = "create_destination",
    summary = "Add a destination",
    description = "It takes messages from the next one on. The secret is shown this once.",
    request_body = CreateDestination,
    responses((status = 201, body = CreatedDestination), (status = 409, description = "There is one of that name")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<CreatedDestination>), ApiError> {
    let actor = caller.admin()?;
    let request: CreateDestination = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let CreateDestination { name, domain, kind, settings } = request;
    let given = settings::Given::check(settings, kind, "/settings")?;
    let settings = given.settings(&app, &domain, &name, None)?;
    let secret = (kind == DestinationKind::Webhook).then(WebhookSecret::generate);
    let seal = |secret: &WebhookSecret| delivering::seal_secret(&app.master, &domain, &name, secret.text());
    let sealed = secret.as_ref().map(seal).transpose().map_err(ApiError::internal)?;
    let (topics, clients) = (given.topics.unwrap_or_default(), given.clients.unwrap_or_default());
    let new =
        NewDestination { domain: domain.clone(), name: name.clone(), kind, topics, clients, settings, secret: sealed };
    let row = app.store.insert_destination(&new, actor.as_str()).await.map_err(|error| match error {
        StoreError::Exists(_) => {
            ApiError::new(ProblemCode::Conflict, format!("there is a destination {name} in domain {domain} already"))
        }
        StoreError::Missing(_) => ApiError::new(ProblemCode::Conflict, format!("there is no domain {domain}")),
        error => store_fault(error),
    })?;
    app.delivering.refresh(&app.store).await.map_err(store_fault)?;
    let secret = secret.map(|secret| SecretText::new(secret.text().expose().clone()));
    Ok((StatusCode::CREATED, Json(CreatedDestination { row: present(row, app.clock.now()), secret })))
}

#[utoipa::path(
    get, path = paths::DESTINATION, tag = "destinations", operation_id = "show_destination",
    summary = "Show a destination",
    params(("id" = mb_api::schema::DestinationId, Path, description = "The destination")),
    responses((status = 200, body = DestinationRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DestinationRow>, ApiError> {
    caller.admin()?;
    let row = app.store.destination(number(&id)?).await.map_err(store_fault)?.ok_or_else(ApiError::not_found)?;
    Ok(Json(present(row, app.clock.now())))
}

#[utoipa::path(
    delete, path = paths::DESTINATION, tag = "destinations", operation_id = "delete_destination",
    summary = "Delete a destination",
    description = "What it has not taken becomes dead letters.",
    params(("id" = mb_api::schema::DestinationId, Path, description = "The destination")),
    responses((status = 204, description = "It is gone")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let actor = caller.admin()?;
    let change = mb_store::DestinationChange::Delete;
    let changed = app.store.change_destination(number(&id)?, &change, actor.as_str()).await.map_err(store_fault)?;
    changed.ok_or_else(ApiError::not_found)?;
    app.delivering.announce(&app.store).await.map_err(store_fault)?;
    Ok(StatusCode::NO_CONTENT)
}

fn number(id: &str) -> Result<DestinationId, ApiError> {
    row_id(id).map(DestinationId::new)
}

/// A destination as people see it.
pub(super) fn present(row: mb_store::DestinationRow, now: Timestamp) -> DestinationRow {
    let mb_store::DestinationRow { route, settings, breaker, .. } = row;
    let reason = row.state_reason.filter(|_| route.state == DestinationState::Disabled);
    DestinationRow {
        id: route.id,
        name: route.name,
        domain: route.domain,
        kind: route.kind,
        state: route.state,
        state_reason: reason,
        url: (route.kind == DestinationKind::Webhook).then_some(settings.url),
        topics: route.topics,
        clients: route.clients,
        retry: settings.retry,
        concurrency: settings.concurrency,
        rate: settings.rate,
        own_ca: settings.ca.is_some(),
        client_certificate: settings.identity.is_some(),
        breaker: breaker.state(now),
        open_until: breaker.open_until().filter(|until| *until > now),
        failing_since: breaker.failing_since(),
        overlap_until: row.previous_secret.map(|(_, until)| until).filter(|until| *until > now),
        created_at: row.created_at,
        changed_at: row.changed_at,
    }
}
