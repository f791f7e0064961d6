//! `/admin/domains`: the tenants and what each decides for its clients.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::cursor::{List, NameCursor};
use mb_api::dto::{CreateDomain, DomainRow, DomainSettings};
use mb_api::page::{Page, PageQuery};
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use mb_core::{DomainName, DomainRules};
use mb_store::Domain;

use super::{announce, store_fault};
use crate::actor::Actor;
use crate::app::App;
use crate::caller::Caller;

/// The most bytes of a request.
const MAX_BODY: usize = 4 << 10;

#[utoipa::path(
    get, path = paths::DOMAINS, tag = "domains", operation_id = "list_domains",
    summary = "List domains",
    description = "By name.",
    params(PageQuery),
    responses((status = 200, body = Page<DomainRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DomainRow>>, ApiError> {
    caller.admin()?;
    let (limit, after) = query.resolve_by_name(List::Domains)?;
    let after = after.as_ref().map(NameCursor::name);
    let mut rows = app.store.domain_page(after, limit + 1).await.map_err(store_fault)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|row| NameCursor::after(row.name.as_str()).encode(List::Domains));
    Ok(Json(Page { data: rows.into_iter().map(present).collect(), next }))
}

#[utoipa::path(
    post, path = paths::DOMAINS, tag = "domains", operation_id = "create_domain",
    summary = "Add a domain",
    request_body = CreateDomain,
    responses((status = 201, body = DomainRow), (status = 409, description = "There is one of that name")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<DomainRow>), ApiError> {
    let actor = caller.admin()?;
    let request: CreateDomain = mb_runtime::body::read_json(body, MAX_BODY).await?;
    // Broken rules are said under the member that they came in.
    let rules = request.settings.map(|settings| check(settings, "/settings")).transpose()?.unwrap_or_default();
    if !app.store.ensure_domain(&request.name, actor.as_str()).await.map_err(store_fault)? {
        return Err(ApiError::new(ProblemCode::Conflict, format!("there is a domain {} already", request.name)));
    }
    Ok((StatusCode::CREATED, Json(apply(&app, &request.name, &rules, actor).await?)))
}

#[utoipa::path(
    get, path = paths::DOMAIN, tag = "domains", operation_id = "show_domain",
    summary = "Show a domain",
    params(("id" = mb_api::schema::DomainName, Path, description = "The domain's name")),
    responses((status = 200, body = DomainRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DomainRow>, ApiError> {
    caller.admin()?;
    let domain = app.store.domain(&name(&id)?).await.map_err(store_fault)?;
    domain.map(|domain| Json(present(domain))).ok_or_else(ApiError::not_found)
}

#[utoipa::path(
    put, path = paths::DOMAIN, tag = "domains", operation_id = "set_domain",
    summary = "Set a domain's rules",
    description = "All of them at once. Answered when the proxies know them.",
    params(("id" = mb_api::schema::DomainName, Path, description = "The domain's name")),
    request_body = DomainSettings,
    responses((status = 200, body = DomainRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<DomainRow>, ApiError> {
    let actor = caller.admin()?;
    let settings: DomainSettings = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let rules = check(settings, "")?;
    apply(&app, &name(&id)?, &rules, actor).await.map(Json)
}

async fn apply(app: &App, name: &DomainName, rules: &DomainRules, actor: &Actor) -> Result<DomainRow, ApiError> {
    let changed = app.store.set_domain_rules(name, rules, actor.as_str()).await.map_err(store_fault)?;
    let domain = changed.ok_or_else(ApiError::not_found)?;
    announce(app).await?;
    Ok(present(domain))
}

fn check(settings: DomainSettings, under: &str) -> Result<DomainRules, ApiError> {
    DomainRules::from(settings).check().map_err(|mut errors| {
        for error in &mut errors {
            error.pointer.insert_str(0, under);
        }
        ApiError::invalid(errors)
    })
}

fn name(id: &str) -> Result<DomainName, ApiError> {
    DomainName::parse(id).ok_or_else(ApiError::not_found)
}

fn present(domain: Domain) -> DomainRow {
    DomainRow { id: domain.name, settings: domain.rules.into(), created_at: domain.created_at }
}
