//! Following the main server's policy by long poll (design, section 7).

use std::sync::Arc;
use std::time::Duration;

use mb_api::client::Client;
use mb_api::dto::PolicyQuery;
use mb_api::problem::ProblemCode;
use mb_core::{Clock, JournalBacklog, JournalFaults, Policy};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::logging;

/// First and longest pause after a failed poll.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// After an answer without news the next question is asked no earlier than this after the last: a main server that does
/// not hold the question must not be asked in a tight loop.
const EARLIEST: Duration = Duration::from_secs(1);

/// The main server's word on a held policy.
#[derive(Debug)]
pub enum News {
    /// A policy, as a rule another than the held one.
    Policy(Box<Policy>),
    /// The held one is still current.
    Unchanged,
    /// The asker's own certificate is refused: `certificate_revoked`, `certificate_expired` or `wrong_role`. No outage: it
    /// passes only with another certificate.
    Refused(ProblemCode),
}

/// Asks the main server for its policy, again and again.
#[derive(Debug)]
pub struct PolicyFollower {
    server: Client,
    /// A proxy's own number and its clock; `None` for roles that are not counted.
    counted: Option<(u64, Clock)>,
    /// What is wrong with a proxy's journal, and what waits in it.
    journal: Option<(JournalFaults, JournalBacklog)>,
    /// The first question after a silence is answered at once, so that a kept policy is known to be current again.
    in_touch: bool,
    pause: Duration,
    not_before: Option<Instant>,
}

impl PolicyFollower {
    /// One that has asked nothing yet.
    pub const fn new(server: Client) -> Self {
        Self { server, counted: None, journal: None, in_touch: false, pause: BACKOFF.0, not_before: None }
    }

    /// One that says with every question that the proxy of this number lives, and what time it is there.
    #[must_use]
    pub fn of_proxy(self, instance: u64, clock: Clock) -> Self {
        Self { counted: Some((instance, clock)), ..self }
    }

    /// From the next question on says what is wrong with the proxy's journal, and what waits in it.
    pub const fn tell(&mut self, faults: JournalFaults, backlog: JournalBacklog) {
        self.journal = Some((faults, backlog));
    }

    /// Whom it asks.
    pub const fn server(&self) -> &Client {
        &self.server
    }

    /// Waits for an answer. Questions that nobody answered are logged and asked again.
    pub async fn next(&mut self, held: PolicyQuery) -> News {
        loop {
            if let Some(not_before) = self.not_before.take() {
                tokio::time::sleep_until(not_before).await;
            }
            let asked_at = Instant::now();
            let ask = if self.in_touch { held } else { PolicyQuery::default() };
            let (instance, now) = self.counted.as_ref().map(|(number, clock)| (*number, clock.now().micros())).unzip();
            let knew = if self.in_touch { None } else { held.since };
            let ask = PolicyQuery { instance, now, knew, ..ask };
            let ask = match self.journal {
                Some((faults, backlog)) => ask.with_faults(faults).with_backlog(backlog),
                None => ask,
            };
            match self.server.policy(ask).await {
                Ok(policy) => {
                    (self.in_touch, self.pause) = (true, BACKOFF.0);
                    if policy.as_ref().is_none_or(|policy| Some(policy.version) == held.since) {
                        self.not_before = Some(asked_at + EARLIEST);
                    }
                    return policy.map_or(News::Unchanged, |policy| News::Policy(Box::new(policy)));
                }
                Err(error) => {
                    self.in_touch = false;
                    self.not_before = Some(Instant::now() + self.pause);
                    self.pause = (self.pause * 2).min(BACKOFF.1);
                    if let Some(code) = error.code().filter(|code| is_about_us(*code)) {
                        logging::limited("policy", || {
                            tracing::error!(error = %error, "the main server refuses this component's certificate");
                        });
                        return News::Refused(code);
                    }
                    logging::limited("policy", || {
                        tracing::warn!(error = %error, "policy not received, the kept one stays in effect");
                    });
                }
            }
        }
    }

    /// Sends every policy to `sender`, for as long as it is polled.
    pub async fn feed(mut self, sender: watch::Sender<Option<Arc<Policy>>>) {
        loop {
            let held = PolicyQuery::of(sender.borrow().as_deref());
            if let News::Policy(policy) = self.next(held).await {
                sender.send_replace(Some(Arc::from(policy)));
            }
        }
    }
}

/// Whether a refusal is of the asker's certificate.
const fn is_about_us(code: ProblemCode) -> bool {
    matches!(code, ProblemCode::CertificateRevoked | ProblemCode::CertificateExpired | ProblemCode::WrongRole)
}
