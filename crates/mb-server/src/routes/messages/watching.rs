//! The newest messages as they come: the first page of the list, again whenever it is another one.
//!
//! Whoever watches sees a state and not a sequence of changes, so nothing is lost where a connection breaks, and what is
//! slow to read sees fewer of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use mb_api::dto::MessageQuery;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use tokio::time::{Instant, sleep_until};

use super::page;
use super::watchers::Turn;
use crate::app::App;
use crate::caller::{Caller, View};
use crate::routes::store_fault;

/// How often the list is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long nothing may be said.
const SILENCE: Duration = Duration::from_secs(15);
/// After so long whoever watches asks anew, and is looked at anew.
const LONGEST: Duration = Duration::from_mins(10);
/// What shows that somebody is there.
const COMMENT: &[u8] = b": still here\n\n";

#[utoipa::path(
    get, path = paths::PORTAL_MESSAGES_STREAM, tag = "messages", operation_id = "watch_messages",
    summary = "Watch the newest messages",
    description = "Server-sent events: each `page` is the first page of the list, sent at first and again whenever it has \
                   changed, at most once a second. The stream ends with the session, and after ten minutes; ask again then. An \
                   account has eight at a time.",
    params(MessageQuery),
    responses((status = 200, description = "Events", content_type = "text/event-stream")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn watch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<MessageQuery>,
) -> Result<Response, ApiError> {
    let view = caller.view()?;
    if query.cursor.is_some() {
        return Err(ApiError::new(
            ProblemCode::MalformedRequest,
            "a stream begins at the newest: leave the cursor out",
        ));
    }
    let turn = app.watchers.take(caller.actor())?;
    let first = event(&app, &query, &view).await?;
    let now = Instant::now();
    let watching = Watching {
        caller,
        query,
        view,
        last: Bytes::new(),
        first: Some(first),
        said: now,
        until: now + LONGEST,
        _turn: turn,
        app,
    };
    let events = stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok::<_, Infallible>(event), watching))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// Somebody who watches.
struct Watching {
    app: Arc<App>,
    caller: Caller,
    query: MessageQuery,
    view: View,
    /// What was sent last.
    last: Bytes,
    first: Option<Bytes>,
    /// When something was said last.
    said: Instant,
    until: Instant,
    _turn: Turn,
}

impl Watching {
    /// The next thing to say; `None` ends it.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            self.last = first.clone();
            return Some(first);
        }
        loop {
            let look = Instant::now() + LOOK;
            tokio::select! {
                () = self.app.stopping.cancelled() => return None,
                () = sleep_until(look) => {}
            }
            if look >= self.until || !self.caller.still_sees(&self.app, &self.view).await {
                return None;
            }
            // A store that does not answer ends the stream: who watches asks again, and is told then.
            let event = event(&self.app, &self.query, &self.view).await.ok()?;
            if event != self.last {
                self.said = Instant::now();
                self.last = event.clone();
                return Some(event);
            }
            if self.said.elapsed() >= SILENCE {
                self.said = Instant::now();
                return Some(Bytes::from_static(COMMENT));
            }
        }
    }
}

async fn event(app: &App, query: &MessageQuery, view: &View) -> Result<Bytes, ApiError> {
    let page = page(app, query, view.clone()).await?;
    let json = serde_json::to_string(&page).map_err(ApiError::internal)?;
    Ok(Bytes::from(format!("event: page\ndata: {json}\n\n")))
}

impl Caller {
    /// Whether the caller would see the same if it asked now.
    async fn still_sees(&self, app: &App, view: &View) -> bool {
        // A connection whose certificate is revoked is closed by the listener.
        let Some(session) = self.session() else { return true };
        let found = app.store.session(session).await.map_err(store_fault).ok().flatten();
        found.is_some_and(|(session, user)| Self::of_person(session, user).view().is_ok_and(|now| now == *view))
    }
}
