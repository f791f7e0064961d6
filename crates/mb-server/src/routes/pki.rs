//! `/pki`: the CA's certificate, its revocation list, and renewal over a certificate that is still valid.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::Role;

use crate::app::App;

/// The most bytes of a signing request.
const MAX_REQUEST: usize = 16 << 10;

const PEM: &str = "application/x-pem-file";

#[utoipa::path(
    get, path = paths::CA_CERTIFICATE, tag = "public", operation_id = "ca_certificate",
    summary = "The CA's certificate, PEM",
    responses((status = 200, body = String, content_type = "application/x-pem-file")),
)]
pub(crate) async fn ca(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, PEM)], app.authority.ca_pem())
}

#[utoipa::path(
    get, path = paths::CRL_PEM, tag = "public", operation_id = "revocation_list_pem",
    summary = "The revocation lists, PEM: one of each authority that is trusted, first of the one that issues",
    responses((status = 200, body = String, content_type = "application/x-pem-file")),
)]
pub(crate) async fn crl_pem(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    Ok(([(header::CONTENT_TYPE, PEM)], app.authority.revocation_list().await?.pem))
}

/// The media type is that of RFC 2585, section 4.2.
#[utoipa::path(
    get, path = paths::CRL_DER, tag = "public", operation_id = "revocation_list_der",
    summary = "The revocation list of the authority that issues, DER",
    responses((status = 200, body = Vec<u8>, content_type = "application/pkix-crl")),
)]
pub(crate) async fn crl_der(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    Ok(([(header::CONTENT_TYPE, "application/pkix-crl")], app.authority.revocation_list().await?.der))
}

/// A signing request in, a certificate out, both PEM.
#[utoipa::path(
    post, path = paths::PKI_RENEW, tag = "public", operation_id = "renew_certificate",
    summary = "Renew the certificate that the call is made with: a signing request in, a certificate out, both PEM",
    request_body(content = String, content_type = "application/x-pem-file"),
    responses((status = 200, body = String, content_type = "application/x-pem-file")),
    security(("certificate" = ["server", "proxy", "worker", "portal", "admin", "consumer", "client", "monitoring"])),
)]
pub(crate) async fn renew(State(app): State<Arc<App>>, peer: Peer, body: Body) -> Result<impl IntoResponse, ApiError> {
    peer.authorize(&app.policy.current(), &Role::ALL, app.clock.now())?;
    let request = mb_runtime::body::read_body(body, MAX_REQUEST).await?;
    // The request may have taken its time.
    let held = peer.authorize(&app.policy.current(), &Role::ALL, app.clock.now())?;
    let request = std::str::from_utf8(&request)
        .map_err(|_| ApiError::new(ProblemCode::MalformedRequest, "the body must be a signing request in PEM"))?;
    let signed = app.authority.renew(held, request, &format!("{}:{}", held.role, held.name)).await?;
    Ok(([(header::CONTENT_TYPE, PEM)], signed.certificate_pem))
}
