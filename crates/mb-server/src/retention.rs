//! Removing what was kept for long enough: by whoever leads, all the time and a little at once, and by whoever asks for it.
//!
//! Each step is short and followed by a pause that is longer than it: what comes in meanwhile waits for none of them.

pub(crate) mod keeping;
mod place;
pub(crate) mod running;

use std::time::Duration;

use mb_core::retention::Kept;
use mb_core::{DomainName, DomainRules, Retention};
use mb_store::StoreError;
use tokio::time::Instant;

use crate::app::App;

/// For how long things are kept: for all, and for each domain.
pub(crate) struct Terms {
    pub(crate) all: Retention,
    /// Every domain that is known or that messages are of, by name.
    pub(crate) domains: Vec<(DomainName, Kept)>,
}

impl Terms {
    pub(crate) async fn read(app: &App) -> Result<Self, StoreError> {
        let all = app.store.retention().await?;
        let known = app.store.domains().await?;
        let mut domains = known.into_iter().map(|domain| (domain.name, all.of(&domain.rules))).collect::<Vec<_>>();
        // Those that a restored store does not know, and whose messages came in again.
        for name in app.store.domains_of_messages().await? {
            if let Err(at) = domains.binary_search_by(|(known, _)| known.cmp(&name)) {
                domains.insert(at, (name, all.of(&DomainRules::default())));
            }
        }
        Ok(Self { all, domains })
    }

    /// What holds for what names no domain.
    pub(crate) fn of_nobody(&self) -> Kept {
        self.all.of(&DomainRules::default())
    }
}

/// Leaves the store to others for `times` as long as a step took.
async fn pause(begun: Instant, times: u32) {
    /// A step that was held up says nothing of its own weight.
    const LONGEST: Duration = Duration::from_secs(1);
    tokio::time::sleep((begun.elapsed() * times).min(LONGEST)).await;
}
