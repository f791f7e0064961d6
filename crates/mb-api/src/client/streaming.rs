//! Answers that come as they are made: a file of any size, and events for as long as somebody listens.

use axum::body::Body;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;

use super::transport::read;
use super::{Client, ClientError, DEADLINE, bare, refusal, with_query};
use crate::dto::{ExportFormat, MessageQuery};
use crate::paths;

/// The largest event that is taken.
const MAX_EVENT: usize = 4 << 20;

impl Client {
    /// The messages that match, all of them, as a file; its body comes as it is made. Audited.
    pub async fn export_messages(
        &self,
        query: &MessageQuery,
        format: ExportFormat,
    ) -> Result<Response<Body>, ClientError> {
        let mut request = bare(Method::GET, &with_query(paths::MESSAGES_EXPORT, query)?)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(format.media_type()));
        self.open(request).await
    }

    /// The first page of messages, again whenever it changes: each event's data is a page as [`Client::messages`] has it.
    pub async fn watch_messages(&self, query: &MessageQuery) -> Result<Events, ClientError> {
        let mut request = bare(Method::GET, &with_query(paths::PORTAL_MESSAGES_STREAM, query)?)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let response = self.open(request).await?;
        Ok(Events { body: response.into_body(), held: Vec::new() })
    }

    /// The answer to `request` if it is none that refuses.
    async fn open(&self, mut request: Request<Bytes>) -> Result<Response<Body>, ClientError> {
        self.introduce(&mut request)?;
        let response = self.transport.open(request, DEADLINE).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        Err(refusal(&Response::from_parts(parts, read(body).await?)))
    }
}

/// An event (HTML, section 9.2.6).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Event {
    /// What happened; empty if that goes without saying.
    pub name: String,
    /// More about it.
    pub data: String,
}

/// Events as they come.
#[derive(Debug)]
pub struct Events {
    body: Body,
    held: Vec<u8>,
}

impl Events {
    /// The next event; `None` once there are no more. Cancel-safe: what was read of an event is kept.
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        loop {
            if let Some(end) = self.held.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.held.drain(..end + 2).collect();
                match parse(&block) {
                    Ok(None) => continue,
                    event => return event.transpose(),
                }
            }
            if self.held.len() > MAX_EVENT {
                return Some(Err(ClientError::BadAnswer(format!("an event is larger than {MAX_EVENT} bytes"))));
            }
            match self.body.frame().await? {
                Ok(frame) => self.held.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                Err(error) => return Some(Err(ClientError::Unreachable(error.into()))),
            }
        }
    }
}

/// A block of lines; `None` if it is a comment, which only shows that somebody is there.
fn parse(block: &[u8]) -> Result<Option<Event>, ClientError> {
    let text = std::str::from_utf8(block).map_err(|_| ClientError::BadAnswer("an event is no text".to_owned()))?;
    let mut event = Event::default();
    let mut said = false;
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "data" => {
                if said {
                    event.data.push('\n');
                }
                event.data.push_str(value);
                said = true;
            }
            _ => {}
        }
    }
    Ok(said.then_some(event))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    async fn events(pieces: &[&'static str]) -> Vec<Event> {
        let frames = pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))));
        let body = Body::new(StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>())));
        let (mut events, mut all) = (Events { body, held: Vec::new() }, Vec::new());
        while let Some(event) = events.next().await {
            all.push(event.expect("read"));
        }
        all
    }

    #[tokio::test]
    async fn events_are_read_wherever_they_are_cut() {
        let expected = [
            Event { name: "page".into(), data: "one\ntwo".into() },
            Event { name: String::new(), data: "three".into() },
        ];
        let whole = ": here\n\nevent: page\ndata: one\ndata: two\n\ndata:three\n\n";
        assert_eq!(events(&[whole]).await, expected);
        for at in 1..whole.len() {
            assert_eq!(events(&[&whole[..at], &whole[at..]]).await, expected, "{at}");
        }
    }

    #[tokio::test]
    async fn an_event_that_breaks_off_is_none() {
        assert!(events(&["data: half\n"]).await.is_empty());
    }
}
