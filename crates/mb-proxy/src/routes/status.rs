//! Where messages stand: the main server's word, and for what it does not hold yet, the journal's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use mb_api::dto::{InternalStatusAnswer, MessageStatus, StatusAnswer};
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::request_id::RequestId;
use mb_core::{MessageId, MessageState};
use mb_queue::Found;
use serde::Deserialize;

use super::body;
use crate::Shared;
use crate::admission::{self, Admitted};

/// The most ids of one request.
const MAX_IDS: usize = 1000;
/// A younger id may still be on its way from another proxy.
const YOUNG: Duration = Duration::from_mins(10);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ids {
    ids: Vec<String>,
}

pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    peer: Peer,
    request_id: RequestId,
    Path(id): Path<String>,
) -> Result<Json<MessageStatus>, ApiError> {
    let admitted = admission::admit(&shared, &peer)?;
    let unknown = || ApiError::new(ProblemCode::NotFound, "no message of this client has that id");
    let id = MessageId::parse(&id).ok_or_else(unknown)?;
    let answered = look_up(&shared, &admitted, vec![id], &request_id).await;
    if let Some(status) = answered.data.into_iter().next() {
        return Ok(Json(status));
    }
    if answered.elsewhere {
        return Err(unknown());
    }
    if answered.away || may_be_on_its_way(&shared, id) {
        let detail = "the message may still be on its way; ask again in a moment";
        return Err(ApiError::new(ProblemCode::StatusUnavailable, detail));
    }
    Err(unknown())
}

pub(crate) async fn many(
    State(shared): State<Arc<Shared>>,
    peer: Peer,
    request_id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<StatusAnswer>, ApiError> {
    let admitted = admission::admit(&shared, &peer)?;
    body::media_type(&headers, &[body::MediaType::Json])?;
    let mut share = shared.budget.share(&admitted.client);
    let bytes = body::read(&mut share, body, 64 << 10).await?;
    let Ids { ids } = mb_runtime::body::parse_json(&bytes)?;
    drop((bytes, share));
    if ids.len() > MAX_IDS {
        return Err(ApiError::new(ProblemCode::TooManyItems, format!("at most {MAX_IDS} ids per request")));
    }
    // What is no UUID is unknown like any other id, and left out.
    let mut seen = HashSet::new();
    let ids: Vec<_> = ids.iter().filter_map(|id| MessageId::parse(id)).filter(|id| seen.insert(*id)).collect();
    let asked = ids.len();
    let answered = look_up(&shared, &admitted, ids, &request_id).await;
    // An id that is left out is said to be unknown, which only the main server can say.
    if answered.away && answered.data.len() < asked {
        return Err(ApiError::new(ProblemCode::StatusUnavailable, "the main server does not answer; ask again"));
    }
    Ok(Json(StatusAnswer { data: answered.data }))
}

/// Where a message is that the main server did not know when it was asked to do something about it.
pub(super) enum Whereabouts {
    /// The main server knows it now.
    Registered,
    /// Here, or maybe at another proxy.
    OnItsWay,
    /// The client has no such message.
    Unknown,
}

pub(super) async fn whereabouts(
    shared: &Shared,
    admitted: &Admitted,
    id: MessageId,
    request_id: &RequestId,
) -> Whereabouts {
    let answered = look_up(shared, admitted, vec![id], request_id).await;
    match answered.data.first() {
        Some(status) if status.registered_at.is_some() => Whereabouts::Registered,
        Some(_) => Whereabouts::OnItsWay,
        None if answered.elsewhere => Whereabouts::Unknown,
        None if answered.away || may_be_on_its_way(shared, id) => Whereabouts::OnItsWay,
        None => Whereabouts::Unknown,
    }
}

/// Whether another proxy may have taken in this id and not handed it over yet.
fn may_be_on_its_way(shared: &Shared, id: MessageId) -> bool {
    let now = shared.clock.now().millis();
    id.version() == 8 || id.millis().is_some_and(|millis| millis.saturating_add(YOUNG.as_secs() * 1000) > now)
}

struct Answered {
    data: Vec<MessageStatus>,
    /// The main server did not answer for all that it had to be asked about.
    away: bool,
    /// One of them is known to be another client's.
    elsewhere: bool,
}

async fn look_up(shared: &Shared, admitted: &Admitted, ids: Vec<MessageId>, request_id: &RequestId) -> Answered {
    if ids.is_empty() {
        return Answered { data: Vec::new(), away: false, elsewhere: false };
    }
    let answer = ask(shared, admitted, ids.clone(), request_id).await;
    let mut away = answer.is_none();
    let InternalStatusAnswer { mut data, elsewhere } = answer.unwrap_or_default();
    let mut elsewhere = !elsewhere.is_empty();
    let known: HashSet<_> = data.iter().map(|status| status.message_id).collect();
    let rest: Vec<_> = ids.into_iter().filter(|id| !known.contains(id)).collect();
    if rest.is_empty() {
        return Answered { data, away, elsewhere };
    }
    let found = shared.journal.find(&rest).await.into_iter().flatten();
    let (own, others): (Vec<_>, Vec<_>) = found.partition(|found| found.header.client == admitted.client);
    elsewhere |= !others.is_empty();
    let (stored, waiting): (Vec<_>, Vec<_>) = own.into_iter().partition(|found| found.confirmed);
    data.extend(waiting.into_iter().map(queued));
    // The journal knows of these only that they were queued once. If the main server answered and did not know them, they
    // were stored in between, or it lost or forgot them: it has the last word.
    if !stored.is_empty() && !away {
        let ids = stored.iter().map(|found| found.header.message_id).collect();
        let answer = ask(shared, admitted, ids, request_id).await;
        away = answer.is_none();
        data.extend(answer.unwrap_or_default().data);
    }
    Answered { data, away, elsewhere }
}

/// The main server's word; `None` if it does not answer.
async fn ask(
    shared: &Shared,
    admitted: &Admitted,
    ids: Vec<MessageId>,
    request_id: &RequestId,
) -> Option<InternalStatusAnswer> {
    match shared.server.status(admitted.client.clone(), ids, Some(request_id)).await {
        Ok(answer) => Some(answer),
        Err(error) => {
            mb_runtime::logging::limited("status", || {
                tracing::warn!(error = %error, request.id = %request_id, "status not received");
            });
            None
        }
    }
}

/// An entry of the journal that the main server does not hold yet, as its client sees it.
fn queued(found: Found) -> MessageStatus {
    let header = found.header;
    MessageStatus {
        message_id: header.message_id,
        status: MessageState::Queued,
        topic: header.topic,
        queued_at: header.queued_at,
        registered_at: None,
        delivered_at: None,
        failed_at: None,
        attempt_count: 0,
        last_error: None,
        deliver_at: header.deliver_at,
        expires_at: header.expires_at,
    }
}
