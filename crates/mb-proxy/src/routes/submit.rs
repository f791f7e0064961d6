//! `POST /api/v1/messages`: one message.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mb_api::peer::Peer;
use mb_api::problem::ApiError;

use super::{accept, body};
use crate::Shared;
use crate::admission::{self, Admitted};
use crate::meter::Quota;

/// The most bytes of one message's JSON.
const MAX_BODY: usize = 512 << 10;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub(crate) async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    submit_directly(&shared, request).await
}

/// The same without the router.
pub(crate) async fn submit_directly(shared: &Shared, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
    let admitted = match admission::admit(shared, &peer) {
        Ok(admitted) => admitted,
        Err(error) => return super::refused(shared, error),
    };
    let quota = shared.meter.quota(&admitted);
    let mut response = match charged(shared, &quota, &parts, body).await {
        Ok(response) => {
            shared.metrics.accepted.inc();
            response
        }
        Err(error) => super::refused(shared, error),
    };
    quota.tell(response.headers_mut());
    response
}

async fn charged(shared: &Shared, quota: &Quota<'_>, parts: &Parts, body: Body) -> Result<Response, ApiError> {
    let charge = quota.charge()?;
    let result = accept_one(shared, quota.admitted, parts, body).await;
    if result.is_err() {
        quota.give_back(&charge);
    }
    result
}

async fn accept_one(shared: &Shared, admitted: &Admitted, parts: &Parts, body: Body) -> Result<Response, ApiError> {
    let headers = &parts.headers;
    body::media_type(headers, &[body::MediaType::Json])?;
    let key = accept::idempotency_key(headers)?;
    let mut share = shared.budget.share(&admitted.client);
    let bytes = body::read(&mut share, body, MAX_BODY).await?;
    let sealed = accept::seal(shared, admitted, &bytes, key)?;
    drop((bytes, share));
    let (id, queued_at) = (sealed.append.id, sealed.queued_at);
    let appended = shared.journal.append_one(sealed.append).await.map_err(accept::not_taken)?;
    let accepted = accept::accepted(id, queued_at, &appended)?;
    accept::note(parts.extensions.get(), &accepted);
    let json = accepted.to_json(admitted.client.as_str());
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut response = (StatusCode::ACCEPTED, content_type, json).into_response();
    if accepted.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
