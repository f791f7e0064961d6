//! Confirm, then trim: asks the main server which of the handed-over messages it lacks.
//!
//! There is no interval: the journal wakes this loop when something was handed over, and everything that has gathered
//! meanwhile goes into the next question. A crash only makes the proxy ask again. Where nothing is handed over it asks about
//! nothing now and then: the answer tells the store's epoch, and a store that was restored needs what is kept here the more
//! the less is sent.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Shared;

/// The most ids of one question.
const MAX_IDS: usize = 2000;
/// A question about nothing follows the last question after so long.
const IDLE: Duration = Duration::from_secs(10);
/// First and longest pause after a failed question.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

pub(crate) async fn run(shared: Arc<Shared>, soft: CancellationToken) {
    let mut pause = BACKOFF.0;
    loop {
        let waiting = tokio::time::timeout(IDLE, shared.journal.unconfirmed(MAX_IDS));
        let Some(waited) = soft.run_until_cancelled(waiting).await else { return };
        let asked = match waited {
            // The journal is shut down, which only the end of the process does.
            Ok(asked) if asked.is_empty() => return,
            Ok(asked) => asked,
            Err(_) => Vec::new(),
        };
        let ids: Vec<_> = asked.iter().map(|(_, id)| *id).collect();
        let Some(answer) = soft.run_until_cancelled(shared.server.confirm(ids)).await else { return };
        match answer {
            Ok(answer) => {
                pause = BACKOFF.0;
                let lacking: HashSet<_> = answer.lacking.into_iter().collect();
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
