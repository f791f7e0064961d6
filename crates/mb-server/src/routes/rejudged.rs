//! A request's body whose sender, somebody signed in, is looked at again once it is whole.
//!
//! Who may ask is decided before the body is read, and a body may take a minute. So that whoever was signed out, disabled or
//! given another role meanwhile brings nothing to an end, the session is read again before the body's last piece is handed
//! on; the handler sees a body that broke off, and answers why. Certificates are looked at again by the listener.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use mb_api::problem::ApiError;
use mb_runtime::body::Refused;

use crate::app::App;
use crate::caller::Known;

type Judging = Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send>>;

/// See the module.
pub(super) struct Rejudged {
    body: Body,
    app: Arc<App>,
    sender: Known,
    state: State,
}

enum State {
    /// Pieces are on their way.
    Arriving,
    /// The last one is here.
    Judging(Option<Frame<Bytes>>, Judging),
    Judged,
}

impl Rejudged {
    pub(super) const fn new(body: Body, app: Arc<App>, sender: Known) -> Self {
        Self { body, app, sender, state: State::Arriving }
    }

    fn judge(&mut self, last: Option<Frame<Bytes>>) {
        let (app, sender) = (Arc::clone(&self.app), self.sender.clone());
        let judging = async move {
            match sender.caller() {
                Some(caller) => caller.again(&app).await,
                None => Ok(()),
            }
        };
        self.state = State::Judging(last, Box::pin(judging));
    }
}

impl HttpBody for Rejudged {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match &mut self.state {
                State::Judged => return Poll::Ready(None),
                State::Judging(last, judging) => {
                    let (verdict, last) = (ready!(judging.as_mut().poll(cx)), last.take());
                    self.state = State::Judged;
                    return Poll::Ready(match verdict {
                        Ok(()) => last.map(Ok),
                        Err(error) => Some(Err(Refused::from(&error).into())),
                    });
                }
                State::Arriving => match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                    Some(Ok(frame)) if !self.body.is_end_stream() => return Poll::Ready(Some(Ok(frame))),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                    Some(Ok(last)) => self.judge(Some(last)),
                    None => self.judge(None),
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Judged)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
