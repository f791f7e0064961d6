//! What many tests begin with: a CA and certificates of it.

use std::time::Duration;

use mb_core::{Clock, Role, Timestamp};

use crate::ca::{Ca, IssueRequest, Issued};

pub(crate) const DAY: Duration = Duration::from_hours(24);

/// Handshakes judge by the machine's clock, so the certificates of tests are of today.
pub(crate) fn now() -> Timestamp {
    Clock::System.now()
}

pub(crate) fn ca() -> Ca {
    Ca::create("message-broker test CA", now()).expect("a CA")
}

pub(crate) fn request(name: &str, role: Role) -> IssueRequest<'_> {
    IssueRequest { name, role, domain: None, sans: &[], validity: DAY, now: now() }
}

pub(crate) fn issue(ca: &Ca, name: &str, role: Role) -> Issued {
    ca.issue(&request(name, role)).expect("issued")
}
