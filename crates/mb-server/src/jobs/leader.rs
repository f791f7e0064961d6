//! Which main server leads: one lease in the store for all jobs that must run once.
//!
//! A main server that was killed leaves its lease behind. Started again on the same data directory, whose lock only one
//! process holds, it knows that holder dead and does not wait for the end. Whether somebody leads is watched by all: who
//! can write to the database could else keep the lease in a name that nobody answers to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mb_core::Timestamp;
use mb_runtime::lifecycle::{Criticality, Lifecycle};
use mb_store::StoreError;
use tokio::sync::watch;

use super::ticks;
use crate::app::App;
use crate::audit::ending;
use crate::notices;

/// The lease's name.
const LEASE: &str = "jobs";
/// A lease is prolonged so often within its length. Each time is a write, also where nothing else happens.
const RENEWALS: u32 = 3;

/// Nobody leads for at least so long before somebody is told: a leader that was killed is missed for the rest of its lease.
const MISSED: Duration = Duration::from_mins(1);

/// Who does the work that only one of several main servers does, as health tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Leadership {
    /// This one.
    Here,
    /// Another one, as far as can be seen.
    #[default]
    Elsewhere,
    /// None, since then.
    Nobody(Timestamp),
}

/// What was last seen of it.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Leadership>);

impl Seen {
    pub(crate) fn last(&self) -> Leadership {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in who leads now; since when nobody does.
    fn note(&self, leads: Leadership) -> Option<Timestamp> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = match (*seen, leads) {
            (Leadership::Nobody(since), Leadership::Nobody(_)) => Leadership::Nobody(since),
            _ => leads,
        };
        if let Leadership::Nobody(since) = *seen { Some(since) } else { None }
    }
}

/// Looks who leads; tells of it if nobody has for a while, and again once somebody does.
pub(crate) async fn watch(app: &App, holds: &watch::Receiver<bool>) -> Result<(), StoreError> {
    let now = app.clock.now();
    let leads = if *holds.borrow() {
        Leadership::Here
    } else if app.store.leads(LEASE, app.lease).await?.is_some() && !ending::is_neglected(app).await? {
        Leadership::Elsewhere
    } else {
        Leadership::Nobody(now)
    };
    let since = app.leadership.note(leads);
    match (leads, since.filter(|since| now.since(*since) >= missed_after(app))) {
        (Leadership::Here, _) => notices::leadership(app, None).await,
        (_, Some(since)) => {
            notices::leadership(app, Some(since)).await?;
            // Else the leader mails what is new.
            notices::digest::run(app).await
        }
        _ => Ok(()),
    }
}

/// How long nobody leads before somebody is told.
pub(crate) fn missed_after(app: &App) -> Duration {
    MISSED.max(app.lease * 2)
}

/// Whether this main server leads.
#[derive(Clone, Debug)]
pub(crate) struct Lead {
    holds: watch::Receiver<bool>,
    holder: Arc<str>,
}

impl Lead {
    /// Whether it does now. It may end within a job's run; each job bears that two run it for a moment.
    pub(super) fn holds(&self) -> bool {
        *self.holds.borrow()
    }

    /// The same for who looks often.
    pub(super) fn watching(&self) -> watch::Receiver<bool> {
        self.holds.clone()
    }

    /// Waits until it does.
    pub(crate) async fn gained(&mut self) {
        // The sender outlives the jobs, so this ends with leadership or never.
        if self.holds.wait_for(|holds| *holds).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Gives the lease back, so that another need not wait for its end.
    pub(super) async fn end(&self, app: &App) {
        if self.holds()
            && let Err(error) = app.store.end_lead(LEASE, &self.holder).await
        {
            tracing::warn!(%error, "lease not given back");
        }
    }
}

pub(crate) fn start(app: &Arc<App>, lifecycle: &Lifecycle) -> Lead {
    let lives = format!("{}/", app.reporter);
    let holder: Arc<str> = format!("{lives}{}-{}", app.instance, std::process::id()).into();
    let (sender, holds) = watch::channel(false);
    // As long as the audit log is kept, which goes on until all else has ended.
    let (app, own, drained) = (Arc::clone(app), Arc::clone(&holder), lifecycle.drained());
    lifecycle.spawn_last("leader", Criticality::Critical, async move {
        // A process that has this one's data directory at the same time does not exist.
        if let Err(error) = app.store.end_lead_of(LEASE, &lives).await {
            tracing::warn!(%error, "lease of this main server's last run not given back");
        }
        let mut ticks = ticks(app.lease / RENEWALS);
        while drained.run_until_cancelled(ticks.tick()).await.is_some() {
            let leads = match app.store.try_lead(LEASE, &own, app.lease).await {
                Ok(leads) => leads,
                Err(error) => {
                    mb_runtime::logging::limited("lease", || tracing::warn!(%error, "lease not asked for"));
                    false
                }
            };
            app.metrics.leader.set(if leads { 1.0 } else { 0.0 });
            if leads {
                app.leadership.note(Leadership::Here);
            }
            if sender.send_replace(leads) != leads {
                tracing::info!(leads, "leadership changed");
            }
        }
        // The sender stays until the jobs that end now have asked for the last time.
        sender.closed().await;
    });
    Lead { holds, holder }
}
