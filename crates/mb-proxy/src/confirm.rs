//! Confirm, then trim: asks the main server which of the handed-over messages it lacks.
//!
//! The journal wakes this loop when something was handed over, and everything that has gathered meanwhile goes into the
//! next question. A crash only makes the proxy ask again. A proxy that has nothing to ask about asks nevertheless, at its
//! start and every few seconds: the answer names the store's epoch, and one that is new has everything that is kept here
//! offered again, whether or not a client ever comes back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Shared;

/// The most ids of one question.
const MAX_IDS: usize = 2000;
/// How long a proxy is quiet before it asks which epoch the store has.
const QUIET: Duration = Duration::from_secs(5);
/// First and longest pause after a failed question.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

pub(crate) async fn run(shared: Arc<Shared>, soft: CancellationToken) {
    let mut pause = BACKOFF.0;
    let mut quiet = Duration::ZERO;
    loop {
        let asking = tokio::time::timeout(quiet, shared.journal.unconfirmed(MAX_IDS));
        let Some(asked) = soft.run_until_cancelled(asking).await else { return };
        let asked = match asked {
            // The journal is shut down, which only the end of the process does.
            Ok(asked) if asked.is_empty() => return,
            Ok(asked) => asked,
            Err(_quiet) => Vec::new(),
        };
        quiet = QUIET;
        let ids: Vec<_> = asked.iter().map(|(_, id)| *id).collect();
        let Some(answer) = soft.run_until_cancelled(shared.server.confirm(ids)).await else { return };
        match answer {
            Ok(answer) => {
                pause = BACKOFF.0;
                let mut lacking: HashSet<_> = answer.lacking.into_iter().collect();
                // What was expunged is not offered again, also where a restored store has forgotten that it was.
                if let Some(policy) = shared.policy.current().filter(|policy| !policy.expunged.is_empty()) {
                    lacking.retain(|id| !policy.expunged.contains_key(id));
                }
                shared.journal.confirm(*answer.epoch.as_bytes(), &asked, &lacking);
            }
            Err(error) => {
                mb_runtime::logging::limited("confirm", || {
                    tracing::warn!(error = %error, "hand-over not confirmed, everything is kept");
                });
                if soft.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
                pause = (pause * 2).min(BACKOFF.1);
            }
        }
    }
}
