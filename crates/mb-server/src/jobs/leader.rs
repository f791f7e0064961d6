//! Which main server leads: one lease in the store for all jobs that must run once.

use std::sync::Arc;

use mb_runtime::lifecycle::{Criticality, Lifecycle};
use tokio::sync::watch;

use super::ticks;
use crate::app::App;

/// The lease's name.
const LEASE: &str = "jobs";
/// A lease is prolonged so often within its length. Each time is a write, also where nothing else happens.
const RENEWALS: u32 = 3;

/// Whether this main server leads.
#[derive(Clone, Debug)]
pub(super) struct Lead {
    holds: watch::Receiver<bool>,
    holder: Arc<str>,
}

impl Lead {
    /// Whether it does now. It may end within a job's run; each job bears that two run it for a moment.
    pub(super) fn holds(&self) -> bool {
        *self.holds.borrow()
    }

    /// Waits until it does.
    pub(super) async fn gained(&mut self) {
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

pub(super) fn start(app: &Arc<App>, lifecycle: &Lifecycle) -> Lead {
    // Several may run on one machine, under one instance's name.
    let holder: Arc<str> = format!("{}-{}", app.instance, std::process::id()).into();
    let (sender, holds) = watch::channel(false);
    let (app, own, soft) = (Arc::clone(app), Arc::clone(&holder), lifecycle.soft());
    lifecycle.spawn("leader", Criticality::Critical, async move {
        let mut ticks = ticks(app.lease / RENEWALS);
        while soft.run_until_cancelled(ticks.tick()).await.is_some() {
            let leads = match app.store.try_lead(LEASE, &own, app.lease).await {
                Ok(leads) => leads,
                Err(error) => {
                    mb_runtime::logging::limited("lease", || tracing::warn!(%error, "lease not asked for"));
                    false
                }
            };
            app.metrics.leader.set(if leads { 1.0 } else { 0.0 });
            if sender.send_replace(leads) != leads {
                tracing::info!(leads, "leadership changed");
            }
        }
        // The sender stays until the jobs that end now have asked for the last time.
        sender.closed().await;
    });
    Lead { holds, holder }
}
