//! Says which master keys this proxy needs: those that anything in its journal is sealed under, and the one that it seals
//! under now. The main server destroys no key that is among them.
//!
//! The one before is among them for a while after a rotation: a request that began under it may still be on its way into
//! the journal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mb_api::dto::KeyReport;
use mb_core::KeyId;
use mb_core::envelope::SignedKey;
use mb_queue::JournalError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Shared;

/// How often it is said, beside every change of the key.
const EVERY: Duration = Duration::from_secs(30);
/// How long a request may be on its way at most.
const UNDER_WAY: Duration = Duration::from_mins(2);

pub(crate) async fn run(shared: Arc<Shared>, soft: CancellationToken) {
    soft.run_until_cancelled(report_forever(&shared)).await;
}

async fn report_forever(shared: &Shared) {
    let mut policy = shared.policy.subscribe();
    let mut lately: Vec<(KeyId, Instant)> = Vec::new();
    let mut current = None;
    loop {
        let now = policy.borrow_and_update().as_ref().map(|policy| policy.master_key.id);
        if now != current {
            lately.extend(current.map(|key| (key, Instant::now() + UNDER_WAY)));
            current = now;
        }
        lately.retain(|(_, until)| *until > Instant::now());
        if current.is_some() {
            report(shared, current.into_iter().chain(lately.iter().map(|(key, _)| *key))).await;
        }
        let again = Instant::now() + EVERY;
        // Of the changes of the policy only one of the key is news.
        let other_key = policy.wait_for(|policy| policy.as_ref().map(|policy| policy.master_key.id) != current);
        if let Ok(Err(_)) = tokio::time::timeout_at(again, other_key).await {
            return;
        }
    }
}

async fn report(shared: &Shared, sealing: impl Iterator<Item = KeyId>) {
    let mut master_keys: BTreeSet<_> = sealing.collect();
    match journal_keys(shared).await {
        Ok(found) => master_keys.extend(found),
        Err(error) => {
            return mb_runtime::logging::limited("key report", || {
                tracing::warn!(%error, "what the journal needs is not known, nothing is said about it");
            });
        }
    }
    let report = KeyReport { journal: shared.instance, master_keys: master_keys.into_iter().collect() };
    if let Err(error) = shared.server.report_keys(&report).await {
        tracing::debug!(%error, "needed keys not reported");
    }
}

/// The main server's keys to which the data keys in the journal are wrapped.
async fn journal_keys(shared: &Shared) -> Result<BTreeSet<KeyId>, JournalError> {
    let journal = shared.journal.clone();
    let read = tokio::task::spawn_blocking(move || journal.signed_keys()).await;
    let records = read.unwrap_or_else(|_| Ok(Vec::new()))?;
    Ok(records.iter().filter_map(|record| Some(SignedKey::parse(record).ok()?.master_key_id)).collect())
}
