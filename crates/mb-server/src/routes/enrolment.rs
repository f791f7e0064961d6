//! `/admin/clients/{id}/enroll` and `/pki/enroll`: a token from an admin, and the certificate that its holder gets for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::dto::{CreateEnrolment, Enrol, Enrolment, SecretText, SignedCertificate};
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_core::{ClientName, FieldError, Role};
use mb_crypto::{identity, pem};

use super::certificates::{MAX_BODY, check_domain, validity};
use super::signing::present;
use crate::app::App;
use crate::authority::{Authority, Order};
use crate::caller::Caller;

/// How long a token is good where nothing is said.
const LIFETIME: u32 = 24 * 60;
/// The longest that one is good: 30 days.
const MAX_LIFETIME: u32 = 30 * 24 * 60;

#[utoipa::path(
    post, path = paths::CLIENT_ENROLL, tag = "clients", operation_id = "offer_enrolment",
    summary = "Make a token with which a client gets a certificate for a key of its own",
    description = "The token is in this answer and nowhere else, and good for one certificate. An earlier one of that name \
                   that was not used is good no more.",
    params(("id" = mb_api::schema::ClientName, Path, description = "The client's name")),
    request_body = CreateEnrolment,
    responses(
        (status = 201, body = Enrolment),
        (status = 409, description = "The client belongs to another domain"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn offer(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<(StatusCode, Json<Enrolment>), ApiError> {
    let actor = caller.admin()?;
    let name = ClientName::parse(&id).ok_or_else(ApiError::not_found)?;
    let ask: CreateEnrolment = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let role = ask.role.unwrap_or(Role::Client);
    if !Authority::may_enrol(role) {
        let detail = format!("no token stands for the role {role}: issue its certificate");
        return Err(ApiError::invalid(vec![FieldError::new("/role", "not_allowed", detail)]));
    }
    let minutes = ask.token_minutes.unwrap_or(LIFETIME);
    if !(1..=MAX_LIFETIME).contains(&minutes) {
        let detail = format!("token_minutes must be 1 to {MAX_LIFETIME}");
        return Err(ApiError::invalid(vec![FieldError::new("/token_minutes", "out_of_range", detail)]));
    }
    let order = Order {
        name: name.as_str().to_owned(),
        role,
        domain: ask.domain,
        sans: Vec::new(),
        validity: validity(ask.validity_days)?,
    };
    check_domain(&order)?;
    let lifetime = Duration::from_secs(u64::from(minutes) * 60);
    let (token, expires_at) = app.authority.offer(order, lifetime, actor.as_str()).await?;
    let ca = pem::certificates(&app.authority.ca_pem()).map_err(ApiError::internal)?;
    let ca_fingerprint = ca.first().map(|der| identity::fingerprint(der)).unwrap_or_default();
    let token = SecretText::new(token.expose().clone());
    Ok((StatusCode::CREATED, Json(Enrolment { token, expires_at, ca_fingerprint })))
}

#[utoipa::path(
    post, path = paths::PKI_ENROLL, tag = "public", operation_id = "enrol",
    summary = "Get the certificate that a token is good for",
    description = "A repeat with the same key gets the same certificate; another key gets none.",
    request_body = Enrol,
    responses(
        (status = 201, body = SignedCertificate),
        (status = 401, description = "The token is not, or no longer, good"),
    ),
    security(()),
)]
pub(crate) async fn enrol(
    State(app): State<Arc<App>>,
    body: Body,
) -> Result<(StatusCode, Json<SignedCertificate>), ApiError> {
    let ask: Enrol = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let row = app.authority.enrol(ask.token.secret().expose(), &ask.csr).await?;
    let leaf = pem::certificates(&row.certificate_pem).map_err(ApiError::internal)?.swap_remove(0);
    let holder = identity::from_der(&leaf).map_err(ApiError::internal)?;
    Ok((StatusCode::CREATED, Json(present(&app, holder, row.certificate_pem))))
}
