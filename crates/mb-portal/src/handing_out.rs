//! New certificates between the form that made them and the page that shows them.
//!
//! The page is another request, so that loading it again issues nothing (Post/Redirect/Get). Until then the key is here: in
//! memory alone, for minutes at most, for the person who asked, and taken out by being shown. A portal that is stopped
//! meanwhile, or another one that is asked, does not have it; the person then issues another certificate.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mb_api::dto::GeneratedCertificate;
use mb_core::{ClientName, UserId};

/// How long a certificate waits to be shown.
const LIFETIME: Duration = Duration::from_mins(5);
/// Certificates that wait at once; one more takes the place of the oldest.
const MOST: usize = 64;

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct Issued {
    /// Whose it is.
    pub(crate) name: ClientName,
    pub(crate) certificate: GeneratedCertificate,
}

#[derive(Debug)]
struct Waiting {
    until: Instant,
    by: UserId,
    issued: Issued,
}

/// What waits. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct HandingOut(Arc<Mutex<VecDeque<Waiting>>>);

impl HandingOut {
    /// Keeps a certificate for the person who asked for it.
    pub(crate) fn put(&self, by: UserId, issued: Issued, now: Instant) {
        let mut waiting = self.fresh(now);
        if waiting.len() == MOST {
            waiting.pop_front();
        }
        waiting.push_back(Waiting { until: now + LIFETIME, by, issued });
    }

    /// Takes the person's certificate of this id out; `None` if there is none, or none any more.
    pub(crate) fn take(&self, by: UserId, id: &str, now: Instant) -> Option<Issued> {
        let mut waiting = self.fresh(now);
        let at = waiting.iter().position(|entry| entry.by == by && entry.issued.certificate.id == id)?;
        waiting.remove(at).map(|entry| entry.issued)
    }

    fn fresh(&self, now: Instant) -> MutexGuard<'_, VecDeque<Waiting>> {
        // Nothing panics while it is held.
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|entry| now < entry.until);
        waiting
    }
}

#[cfg(test)]
mod tests {
    use mb_api::dto::SecretText;
    use mb_core::Timestamp;

    use super::*;

    fn issued(id: &str) -> Issued {
        Issued {
            name: ClientName::parse("branch-7").expect("a name"),
            certificate: GeneratedCertificate {
                id: id.into(),
                certificate: String::new(),
                private_key: SecretText::new("KEY".into()),
                ca_certificate: String::new(),
                fingerprint: String::new(),
                expires_at: Timestamp::default(),
                pkcs12: None,
            },
        }
    }

    #[test]
    fn a_certificate_is_shown_once_to_whom_it_was_issued_and_within_minutes() {
        let (out, now, ann, bob) = (HandingOut::default(), Instant::now(), UserId::new(1), UserId::new(2));
        out.put(ann, issued("01"), now);
        assert!(out.take(bob, "01", now).is_none() && out.take(ann, "02", now).is_none());
        assert!(out.take(ann, "01", now).is_some());
        assert!(out.take(ann, "01", now).is_none(), "once");
        out.put(ann, issued("03"), now);
        assert!(out.take(ann, "03", now + LIFETIME).is_none(), "too late");
    }

    #[test]
    fn those_that_wait_are_bounded() {
        let (out, now, ann) = (HandingOut::default(), Instant::now(), UserId::new(1));
        for id in 0..=MOST {
            out.put(ann, issued(&id.to_string()), now);
        }
        assert!(out.take(ann, "0", now).is_none());
        assert!(out.take(ann, "1", now).is_some());
    }
}
