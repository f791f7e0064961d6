//! Journals in which something was damaged or set aside: what proxies say of theirs with every question for news.
//!
//! A count that rises is a notice of its own, so that each is mailed, also after somebody has resolved the one before; once
//! an operator has dealt with everything, it is resolved.

use mb_core::{NoticeKind, NoticeLevel};
use mb_store::{Heartbeat, NewNotice, NoticeKey, Store, StoreError};
use serde_json::json;

use super::ACTOR;

const KIND: NoticeKind = NoticeKind::JournalDamaged;

/// Compares what a proxy says with what the store knows that it said before.
pub(crate) async fn note(store: &Store, heartbeat: &Heartbeat) -> Result<(), StoreError> {
    let (now, before) = (heartbeat.faults, store.journal_faults(&heartbeat.id).await?);
    let rises = now.exceed(&before);
    let key = format!("{} {}", heartbeat.name, heartbeat.id);
    if rises || (now.is_none() && !before.is_none()) {
        store.resolve_notice(NoticeKey::About(KIND, &key), ACTOR).await?;
    }
    if rises {
        let level = if now.damaged > before.damaged { NoticeLevel::Error } else { NoticeLevel::Warning };
        let detail = json!({
            "proxy": heartbeat.name,
            "damaged": now.damaged,
            "stale": now.stale,
            "refused": now.refused,
        });
        store.raise_notice(&NewNotice { kind: KIND, key, level, detail }).await?;
    }
    Ok(())
}
