//! `/admin/certificates/sign` and `/renew`: a certificate for a key that its holder keeps, and one more for a name that has
//! one. And how a private key is handed out: once, and kept nowhere.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mb_api::dto::{GeneratedCertificate, Pkcs12File, RenewCertificate, SecretText, SignCertificate, SignedCertificate};
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_core::{Identity, Role, hex};
use mb_crypto::ca::Issued;
use mb_crypto::pkcs12;

use super::certificates::{MAX_BODY, check_domain, validity};
use crate::app::App;
use crate::authority::Order;
use crate::caller::Caller;

#[utoipa::path(
    post, path = paths::CERTIFICATES_SIGN, tag = "certificates", operation_id = "sign_certificate",
    summary = "Make a certificate for a key that its holder keeps",
    request_body = SignCertificate,
    responses(
        (status = 201, body = SignedCertificate),
        (status = 409, description = "The client belongs to another domain, or may not act"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn sign(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<SignedCertificate>), ApiError> {
    let actor = caller.admin()?;
    let request: SignCertificate = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let order = Order {
        name: request.client_id.as_str().to_owned(),
        role: request.role.unwrap_or(Role::Client),
        domain: request.domain,
        sans: request.alt_names,
        validity: validity(request.validity_days)?,
    };
    check_domain(&order)?;
    let signed = app.authority.sign(order, &request.csr, actor.as_str()).await?;
    Ok((StatusCode::CREATED, Json(present(&app, signed.identity, signed.certificate_pem))))
}

pub(super) fn present(app: &App, identity: Identity, certificate: String) -> SignedCertificate {
    SignedCertificate {
        id: hex::encode(&identity.serial),
        client_id: identity.name,
        role: identity.role,
        certificate,
        ca_certificate: app.authority.ca_pem(),
        fingerprint: identity.fingerprint,
        expires_at: identity.not_after,
    }
}

#[utoipa::path(
    post, path = paths::CERTIFICATES_RENEW, tag = "certificates", operation_id = "reissue_certificate",
    summary = "Make a new key and certificate for a name that has a valid one",
    description = "It says what the newest valid one says, which stays valid. The private key is in this answer and \
                   nowhere else.",
    request_body = RenewCertificate,
    responses(
        (status = 201, body = GeneratedCertificate),
        (status = 404, description = "The name has no valid certificate"),
        (status = 409, description = "The name has too many valid certificates, or is of several holders"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn renew(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<GeneratedCertificate>), ApiError> {
    let actor = caller.admin()?;
    let request: RenewCertificate = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let days = validity(request.validity_days)?;
    let issued = app.authority.reissue(request.client_id.as_str(), request.role, days, actor.as_str()).await?;
    Ok((StatusCode::CREATED, Json(once(&app, issued, request.pkcs12).await?)))
}

/// The answer that holds a new private key.
pub(super) async fn once(app: &App, issued: Issued, with_pkcs12: bool) -> Result<GeneratedCertificate, ApiError> {
    let ca_certificate = app.authority.ca_pem();
    let (identity, certificate, key) = (issued.identity, issued.certificate_pem, issued.private_key_pem);
    let private_key = SecretText::new(key.expose().clone());
    let pkcs12 = if with_pkcs12 {
        let (name, chain, ca) = (identity.name.clone(), certificate.clone(), ca_certificate.clone());
        // Thousands of rounds of key derivation: not on a thread that serves requests.
        let making = tokio::task::spawn_blocking(move || pkcs12::write(&name, &chain, &key, &ca));
        let made = making.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
        let (file, password) = (STANDARD.encode(made.file), made.password.expose().clone());
        Some(Pkcs12File { file: SecretText::new(file), password: SecretText::new(password) })
    } else {
        None
    };
    Ok(GeneratedCertificate {
        id: hex::encode(&identity.serial),
        certificate,
        private_key,
        ca_certificate,
        fingerprint: identity.fingerprint,
        expires_at: identity.not_after,
        pkcs12,
    })
}
