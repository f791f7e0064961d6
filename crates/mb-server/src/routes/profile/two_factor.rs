//! `/portal/profile/2fa`: the second factor, from the offer to the end.
//!
//! It is on only once a code of it was shown, so that nobody locks himself out by a secret that no authenticator has.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use mb_api::dto::{BothFactors, ConfirmTwoFactor, CurrentPassword, RecoveryCodes, SecretText, TwoFactorOffer};
use mb_api::paths;
use mb_api::problem::{ApiError, ProblemCode};
use mb_crypto::sealed_value::{self, Purpose};
use mb_crypto::totp::{RecoveryCode, TotpSecret};
use mb_runtime::body::read_json;
use mb_store::{StoreError, Totp};

use super::super::auth::MAX_BODY;
use super::super::store_fault;
use super::{origin, prove};
use crate::app::App;
use crate::caller::Caller;
use crate::people::sign_in;

/// What authenticators show beside the address.
const ISSUER: &str = "message-broker";

#[utoipa::path(
    post, path = paths::PROFILE_TWO_FACTOR, tag = "profile", operation_id = "offer_two_factor",
    summary = "Begin with a second factor",
    description = "Replaces an earlier offer. It is not on before it is confirmed.",
    request_body = CurrentPassword,
    responses((status = 201, body = TwoFactorOffer), (status = 409, description = "A second factor is on"), (status = 429, description = "Too many attempts, or the account is locked from here")),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn offer(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<TwoFactorOffer>), ApiError> {
    let person = caller.person()?;
    let ask: CurrentPassword = read_json(body, MAX_BODY).await?;
    let user = prove(&app, person, &ask.current_password).await?;
    let secret = TotpSecret::generate();
    let sealed = sealed_value::seal(&app.master, Purpose::TotpSecret, &user.id.to_string(), secret.expose())
        .map_err(ApiError::internal)?;
    let offered = app.store.offer_totp(user.id, &sealed, caller.actor().as_str()).await;
    offered.map_err(already_on)?.ok_or_else(ApiError::not_found)?;
    let text = |secret: mb_core::Secret<String>| SecretText::new(secret.expose().clone());
    let otpauth_uri = text(secret.uri(ISSUER, &user.email));
    Ok((StatusCode::CREATED, Json(TwoFactorOffer { secret: text(secret.to_base32()), otpauth_uri })))
}

#[utoipa::path(
    post, path = paths::PROFILE_TWO_FACTOR_CONFIRM, tag = "profile", operation_id = "confirm_two_factor",
    summary = "Switch the offered second factor on",
    description = "The answer holds the recovery codes, this once.",
    request_body = ConfirmTwoFactor,
    responses((status = 200, body = RecoveryCodes), (status = 409, description = "There is none on offer"), (status = 429, description = "Too many attempts, or the account is locked from here")),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<Json<RecoveryCodes>, ApiError> {
    let person = caller.person()?;
    let ask: ConfirmTwoFactor = read_json(body, MAX_BODY).await?;
    let user = &person.user;
    let Totp::Pending { secret: sealed } = &user.totp else { return Err(no_offer()) };
    let secret = sign_in::open_secret(&app, user, sealed)?;
    let step = sign_in::offered_factor(&app, user, &secret, &ask.otp, origin(person)).await?;
    let (codes, hashes) = recovery_codes(&secret);
    let enabled = app.store.enable_totp(user.id, sealed, step, &hashes, caller.actor().as_str()).await;
    if enabled.map_err(store_fault)? { Ok(Json(codes)) } else { Err(no_offer()) }
}

#[utoipa::path(
    post, path = paths::PROFILE_TWO_FACTOR_DISABLE, tag = "profile", operation_id = "disable_two_factor",
    summary = "Switch the second factor off",
    request_body = BothFactors,
    responses((status = 204, description = "It is off"), (status = 409, description = "None is on"), (status = 429, description = "Too many attempts, or the account is locked from here")),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn disable(State(app): State<Arc<App>>, caller: Caller, body: Body) -> Result<StatusCode, ApiError> {
    let person = caller.person()?;
    let ask: BothFactors = read_json(body, MAX_BODY).await?;
    let user = prove(&app, person, &ask.current_password).await?;
    if !matches!(user.totp, Totp::On { .. }) {
        return Err(off());
    }
    sign_in::second_factor(&app, &user, Some(&ask.otp), origin(person)).await?;
    let disabled = app.store.disable_totp(user.id, caller.actor().as_str()).await.map_err(store_fault)?;
    if disabled { Ok(StatusCode::NO_CONTENT) } else { Err(off()) }
}

#[utoipa::path(
    post, path = paths::PROFILE_RECOVERY_CODES, tag = "profile", operation_id = "replace_recovery_codes",
    summary = "Replace the recovery codes",
    description = "Earlier ones are void; the answer holds the new ones, this once.",
    request_body = BothFactors,
    responses((status = 200, body = RecoveryCodes), (status = 409, description = "None is on"), (status = 429, description = "Too many attempts, or the account is locked from here")),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn replace_codes(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<Json<RecoveryCodes>, ApiError> {
    let person = caller.person()?;
    let ask: BothFactors = read_json(body, MAX_BODY).await?;
    let user = prove(&app, person, &ask.current_password).await?;
    let Totp::On { secret: sealed, .. } = &user.totp else { return Err(off()) };
    sign_in::second_factor(&app, &user, Some(&ask.otp), origin(person)).await?;
    let (codes, hashes) = recovery_codes(&sign_in::open_secret(&app, &user, sealed)?);
    let replaced = app.store.replace_recovery_codes(user.id, &hashes, caller.actor().as_str()).await;
    if replaced.map_err(store_fault)? { Ok(Json(codes)) } else { Err(off()) }
}

/// New codes as they are shown, and as they are kept.
fn recovery_codes(secret: &TotpSecret) -> (RecoveryCodes, Vec<Vec<u8>>) {
    let codes = RecoveryCode::generate_set();
    let hashes = codes.iter().map(|code| code.hash(secret).to_vec()).collect();
    let shown = codes.iter().map(|code| SecretText::new(code.to_text().expose().clone())).collect();
    (RecoveryCodes { recovery_codes: shown }, hashes)
}

fn already_on(error: StoreError) -> ApiError {
    match error {
        StoreError::Exists(_) => {
            ApiError::new(ProblemCode::Conflict, "a second factor is on: switch it off before you begin with another")
        }
        error => store_fault(error),
    }
}

fn no_offer() -> ApiError {
    ApiError::new(ProblemCode::Conflict, "there is no second factor on offer, or another one by now: begin anew")
}

fn off() -> ApiError {
    ApiError::new(ProblemCode::Conflict, "no second factor is on")
}
