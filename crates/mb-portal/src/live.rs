//! Parts of a page that are sent again whenever they have changed (server-sent events): the script puts them where they
//! stood. A page is whole without them.
//!
//! The browser pauses a stream that nobody looks at and asks again for one that has ended; each asks the main server anew,
//! so one whose session is over ends with a word about that.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tokio_util::sync::CancellationToken;

use crate::next::LocalPath;

/// What shows that somebody is there; the browser passes over it.
const COMMENT: &str = ": still here\n\n";
/// How long nothing may be said.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);

/// What is said next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Say {
    /// The part anew.
    Part(String),
    /// Nothing has changed.
    Nothing,
    /// The last part: nothing more is said.
    Last(String),
    /// No more, and nothing about that: the browser asks again.
    End,
}

impl Say {
    /// The last word to somebody whose session is over.
    pub(crate) fn signed_out(page: &str) -> Self {
        let path = LocalPath::parse(page).unwrap_or_else(LocalPath::home);
        let door = path.behind("/login").replace('&', "&amp;");
        Self::Last(format!(
            "<p class=\"notice\" role=\"status\">Your session has ended. <a href=\"{door}\">Sign in</a></p>"
        ))
    }
}

/// A stream of what `next` says, one after the other, until it ends or the portal stops.
pub(crate) fn respond<S, F, N>(state: S, stopping: CancellationToken, next: N) -> Response
where
    S: Send + 'static,
    F: Future<Output = (Say, S)> + Send + 'static,
    N: Fn(S) -> F + Clone + Send + 'static,
{
    let events = stream::unfold(Some(state), move |state| {
        let (next, stopping) = (next.clone(), stopping.clone());
        async move {
            let (say, state) = stopping.run_until_cancelled(next(state?)).await?;
            let (text, state) = match say {
                Say::Part(part) => (event(&part), Some(state)),
                Say::Nothing => (COMMENT.to_owned(), Some(state)),
                Say::Last(part) => (event(&part) + "event: end\ndata: end\n\n", None),
                Say::End => return None,
            };
            Some((Ok::<_, Infallible>(text), state))
        }
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::from_stream(events)).into_response()
}

/// A stream that says one thing.
pub(crate) fn once(say: Say, stopping: CancellationToken) -> Response {
    respond(say, stopping, |say| async move { (say, Say::End) })
}

/// An event without a name, whose data the script puts in its place.
fn event(part: &str) -> String {
    let mut text = String::with_capacity(part.len() + part.len() / 16);
    for line in part.lines() {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn said(response: Response) -> String {
        let body = response.into_body().collect().await.expect("whole").to_bytes();
        String::from_utf8(body.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn what_is_said_comes_as_events_until_the_last_word() {
        let next = |n: u32| async move {
            let say = match n {
                0 => Say::Part("<p>\none</p>".into()),
                1 => Say::Nothing,
                2 => Say::signed_out("/messages?status=failed&topic=a"),
                _ => Say::End,
            };
            (say, n + 1)
        };
        let text = said(respond(0, CancellationToken::new(), next)).await;
        assert!(text.starts_with("data: <p>\ndata: one</p>\n\n: still here\n\ndata: <p class"), "{text}");
        assert!(
            text.contains("/login?next=%2Fmessages%3Fstatus%3Dfailed%26topic%3Da")
                && text.ends_with("event: end\ndata: end\n\n")
        );
    }

    #[tokio::test]
    async fn a_stop_ends_a_stream_that_waits() {
        let stopping = CancellationToken::new();
        let response = respond((), stopping.clone(), |()| std::future::pending());
        stopping.cancel();
        assert_eq!(said(response).await, "");
    }
}
