//! A request's body whose sender is looked at again with every piece of it.
//!
//! Who may ask is decided before the body is read, and a body may take minutes. So that whoever is revoked or suspended
//! meanwhile brings nothing to an end, the policy is asked again as each piece arrives; the handler sees a body that broke
//! off, and answers why ([`crate::body::broke_off`]).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mb_core::Identity;

use super::leftover::Returning;
use crate::body::ShutOut;
use crate::policy_watch::PolicyWatch;

/// See the module.
pub(super) struct Judged {
    body: Returning,
    sender: Option<(Arc<Identity>, Arc<PolicyWatch>)>,
}

impl Judged {
    /// A body of nobody in particular is not looked at.
    pub(super) fn new(body: Returning, sender: Option<(Arc<Identity>, Arc<PolicyWatch>)>) -> Self {
        Self { body, sender }
    }
}

impl Body for Judged {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let refusal = self.sender.as_ref().and_then(|(identity, policy)| policy.shuts_out(identity));
        match (frame, refusal) {
            (Some(Ok(_)) | None, Some(refusal)) => Poll::Ready(Some(Err(ShutOut(refusal).into()))),
            (frame, _) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
