//! `/admin/certificates`: issue, revoke, list.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use mb_api::cursor::{Cursor, List};
use mb_api::dto::{
    CertificateQuery, CertificateRow, CertificateStatus, ExpiringQuery, GenerateCertificate, GeneratedCertificate,
    RevokeCertificate, Revoked,
};
use mb_api::page::Page;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use mb_core::{FieldError, Role, Timestamp, hex};
use mb_store::CertificatePageFilter;

use super::{announce, signing, store_fault};
use crate::app::App;
use crate::authority::{Order, TakenBack, Which};
use crate::caller::Caller;
use crate::expiry;
use crate::policy::Behind;

/// The most bytes of a request.
pub(super) const MAX_BODY: usize = 64 << 10;
/// The longest validity: the CA's own.
const MAX_DAYS: u32 = 3650;

#[utoipa::path(
    post, path = paths::CERTIFICATES_GENERATE, tag = "certificates", operation_id = "generate_certificate",
    summary = "Make a key and a certificate",
    description = "The private key is in this answer and nowhere else.",
    request_body = GenerateCertificate,
    responses(
        (status = 201, body = GeneratedCertificate),
        (status = 409, description = "The client belongs to another domain, or may not act"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn generate(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<GeneratedCertificate>), ApiError> {
    let actor = caller.admin()?;
    let request: GenerateCertificate = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let role = request.role.unwrap_or(Role::Client);
    let order = Order {
        name: request.client_id.as_str().to_owned(),
        role,
        domain: request.domain,
        sans: request.alt_names,
        validity: validity(request.validity_days)?,
    };
    check_domain(&order)?;
    let issued = app.authority.issue(order, actor.as_str()).await?;
    Ok((StatusCode::CREATED, Json(signing::once(&app, issued, request.pkcs12).await?)))
}

/// Days as they are asked for.
pub(super) fn validity(days: Option<u32>) -> Result<Option<Duration>, ApiError> {
    if days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
        let detail = format!("validity_days must be 1 to {MAX_DAYS}");
        return Err(ApiError::invalid(vec![FieldError::new("/validity_days", "out_of_range", detail)]));
    }
    Ok(days.map(|days| Duration::from_secs(u64::from(days) * 86_400)))
}

/// Whether the order's role has a domain, if it names one.
pub(super) fn check_domain(order: &Order) -> Result<(), ApiError> {
    if order.domain.is_none() || order.role.has_domain() {
        return Ok(());
    }
    let detail = "only clients and consumers belong to a domain; alt_names take host names";
    Err(ApiError::invalid(vec![FieldError::new("/domain", "not_allowed", detail)]))
}

#[utoipa::path(
    post, path = paths::CERTIFICATES_REVOKE, tag = "certificates", operation_id = "revoke_certificates",
    summary = "Revoke certificates",
    description = "Answered when the proxies know it: the next request with one of them is refused. Proxies that have not \
                   said within five seconds that they know it are named in the answer. Who is revoked by name has no \
                   token for another certificate, either.",
    request_body = RevokeCertificate,
    responses(
        (status = 200, body = Revoked),
        (status = 404, description = "Nothing has that name or serial number"),
        (status = 409, description = "The name is of several holders: say in which role"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn revoke(State(app): State<Arc<App>>, caller: Caller, body: Body) -> Result<Json<Revoked>, ApiError> {
    let actor = caller.admin()?;
    let request: RevokeCertificate = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let which = match (request.client_id, request.serial) {
        (Some(name), None) => Which::Name(name.as_str().to_owned(), request.role),
        (None, Some(serial)) => Which::Serial(serial),
        _ => return Err(ApiError::new(ProblemCode::MalformedRequest, "name either client_id or serial")),
    };
    let (reason, actor) = (request.reason.unwrap_or_default(), actor.as_str());
    let TakenBack { certificates: mut rows, tokens } = app.authority.revoke(&which, &reason, actor).await?;
    let mut over = app.authority.aimed_at(&which).await?;
    over.retain(|row| row.revocation.is_some());
    if request.successors {
        rows.extend(app.authority.revoke_successors(&over, &reason, actor).await?);
    }
    let successors = app.authority.successors(&over).await?;
    // Who was revoked is refused on its next request: so the answer waits for those who refuse.
    announce(&app).await?;
    let Behind { mut live, silent } = app.policy.adopted_elsewhere(&app.store).await.map_err(store_fault)?;
    // A proxy that is revoked itself needs to know nothing.
    live.retain(|name| !rows.iter().any(|row| row.role == Role::Proxy && row.name == *name));
    let serials = |rows: Vec<mb_store::CertificateRow>| rows.into_iter().map(|row| hex::encode(&row.serial)).collect();
    Ok(Json(Revoked { revoked: serials(rows), successors: serials(successors), tokens, behind: live, silent }))
}

#[utoipa::path(
    get, path = paths::CERTIFICATES_LIST, tag = "certificates", operation_id = "list_certificates",
    summary = "List certificates",
    description = "In the order in which they were issued.",
    params(CertificateQuery),
    responses((status = 200, body = Page<CertificateRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<CertificateQuery>,
) -> Result<Json<Page<CertificateRow>>, ApiError> {
    caller.admin()?;
    let (limit, after) = query.resolve()?;
    let filter = CertificatePageFilter {
        name: query.client_id.map(|name| name.as_str().to_owned()),
        role: query.role,
        status: query.status.map(|status| match status {
            CertificateStatus::Active => mb_store::CertificateStatus::Valid,
            CertificateStatus::Expired => mb_store::CertificateStatus::Expired,
            CertificateStatus::Revoked => mb_store::CertificateStatus::Revoked,
        }),
    };
    let after = after.map(|cursor| cursor.place());
    let mut rows = app.store.certificate_page(&filter, after, limit + 1).await.map_err(store_fault)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|(place, row)| Cursor::numbered(row.not_before, *place).encode(List::Certificates));
    let now = app.clock.now();
    Ok(Json(Page { data: rows.into_iter().map(|(_, row)| present(row, now)).collect(), next }))
}

#[utoipa::path(
    get, path = paths::CERTIFICATES_EXPIRING, tag = "certificates", operation_id = "expiring_certificates",
    summary = "List certificates that expire soon",
    description = "The first to expire first. One whose name has another that lasts longer is left out, and so are those \
                   of archived clients.",
    params(ExpiringQuery),
    responses((status = 200, body = Page<CertificateRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn expiring(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<ExpiringQuery>,
) -> Result<Json<Page<CertificateRow>>, ApiError> {
    caller.admin()?;
    let (days, limit, after) = query.resolve()?;
    let now = app.clock.now();
    let behind = after.as_ref().map(|after| (after.at, without_zeros(&after.id)));
    let mut rows = expiry::page(&app, days, behind, limit + 1).await.map_err(store_fault)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let cursor = |row| Cursor { at: place(row).0, id: place(row).1 }.encode(List::Expiring);
    let next = rows.last().filter(|_| more).map(cursor);
    Ok(Json(Page { data: rows.into_iter().map(|row| present(row, now)).collect(), next }))
}

/// Where it stands in the list of those that expire. Serial numbers are of 128 bits, without leading zeros.
fn place(row: &mb_store::CertificateRow) -> (Timestamp, [u8; 16]) {
    let mut id = [0; 16];
    let tail = &row.serial[row.serial.len().saturating_sub(16)..];
    id[16 - tail.len()..].copy_from_slice(tail);
    (row.not_after, id)
}

/// As serial numbers are stored.
fn without_zeros(id: &[u8]) -> &[u8] {
    &id[id.iter().take_while(|byte| **byte == 0).count()..]
}

fn present(row: mb_store::CertificateRow, now: Timestamp) -> CertificateRow {
    let status = match row.status(now) {
        mb_store::CertificateStatus::Revoked => CertificateStatus::Revoked,
        mb_store::CertificateStatus::Expired => CertificateStatus::Expired,
        mb_store::CertificateStatus::Valid => CertificateStatus::Active,
    };
    let active = status == CertificateStatus::Active;
    let expires_within_days = expiry::step(row.not_after, now, &expiry::STEPS).filter(|_| active);
    let (revoked_at, reason) = row.revocation.map(|revocation| (revocation.at, revocation.reason)).unzip();
    CertificateRow {
        id: hex::encode(&row.serial),
        client_id: row.name,
        role: row.role,
        domain: row.domain,
        fingerprint: row.fingerprint,
        status,
        issued_at: row.not_before,
        expires_at: row.not_after,
        expires_within_days,
        revoked_at,
        reason,
    }
}
