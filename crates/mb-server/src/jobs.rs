//! What the main server does by itself. Each job is a task of its own, so that none waits for another; those that must run
//! once, however many main servers there are, run where the lease is held.

pub(crate) mod leader;
pub(crate) mod sweep;

use std::sync::Arc;
use std::time::Duration;

use mb_runtime::lifecycle::{Criticality, Lifecycle};
use mb_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::audit::chain::{Keeper, Notary, Urgency};
use crate::backup::{self, Daily};
use crate::{expiry, mail, master_keys, notices, people, retention};
use leader::Lead;

/// How often the policy version in the store is compared, for changes made by another main server.
const POLICY_CHECK: Duration = Duration::from_secs(1);
/// How often the dead letters are counted and the destinations looked at, for the gauges.
const COUNTING: Duration = Duration::from_secs(15);
/// How often the key files and what another main server announced are looked at.
const KEYS: Duration = Duration::from_secs(3);
/// How often it is said which keys this main server has.
const KEY_REPORT: Duration = Duration::from_mins(1);
/// How often the store is measured, for the gauges.
const MEASURING: Duration = Duration::from_secs(30);
/// How often new audit rows are looked for, so that they are chained within a second also after the leader died.
const CHAINING: Duration = Duration::from_millis(250);
/// How often mails that are due are looked for.
const MAILING: Duration = Duration::from_secs(2);
/// How often news are looked for that somebody should know of.
const NOTICING: Duration = Duration::from_secs(15);
/// How often certificates are looked through for those that expire.
const CERTIFICATES: Duration = Duration::from_hours(1);
/// How often the whole audit log is checked.
const CHECKING: Duration = Duration::from_hours(6);
/// How often deliveries are looked for whose time is over or whose destination takes nothing any more.
const ENDING: Duration = Duration::from_secs(1);
/// How often it is looked whether a backup is due.
const BACKING_UP: Duration = Duration::from_secs(20);
/// How often what time has ended is removed.
const SWEEPING: Duration = Duration::from_mins(5);
/// How often what was kept for long enough is removed, once the turn before is over.
const RETIRING: Duration = Duration::from_mins(5);

pub(crate) fn start(app: &Arc<App>, lifecycle: &Lifecycle, notary: Notary) {
    let lead = leader::start(app, lifecycle);
    let jobs = Jobs { app, lifecycle, lead: &lead };
    jobs.every("policy refresh", POLICY_CHECK, |app| async move { app.policy.follow(&app.store).await });
    jobs.every("destinations", POLICY_CHECK, |app| async move {
        report("destinations", app.delivering.follow(&app.store).await);
    });
    jobs.every("measure deliveries", COUNTING, |app| async move {
        report("measure deliveries", app.measure_deliveries().await);
    });
    jobs.every("master keys", KEYS, |app| async move { report("master keys", master_keys::follow(&app).await) });
    jobs.every("key report", KEY_REPORT, |app| async move {
        report("key report", master_keys::keep_reporting(&app).await);
    });
    jobs.every("measure store", MEASURING, |app| async move { report("measure store", app.measure_store().await) });
    jobs.every("measure backups", MEASURING, |app| async move { backup::measure(&app).await });
    let daily = Arc::new(tokio::sync::Mutex::<Daily>::default());
    jobs.once("backup", BACKING_UP, move |app| {
        let daily = Arc::clone(&daily);
        async move { daily.lock().await.turn(&app).await }
    });
    // Each mail is leased, so any main server may send it.
    jobs.every("mail", MAILING, |app| async move { report("mail", mail::sender::run(&app).await) });
    jobs.once("deliveries", ENDING, |app| async move { sweep::deliveries(&app).await });
    jobs.once("sweep", SWEEPING, |app| async move { sweep::run(&app).await });
    jobs.once("retention", RETIRING, |app| async move { retention::keeping::turn(&app).await });
    jobs.every("certificates", CERTIFICATES, |app| async move { report("certificates", expiry::measure(&app).await) });
    jobs.once("certificate notices", CERTIFICATES, |app| async move { notices::certificates::run(&app).await });
    // By each of them: who leads may be nobody.
    jobs.every("audit check", CHECKING, |app| async move {
        if let Err(error) = notices::audit(&app).await {
            tracing::warn!(%error, "audit log not checked");
        }
    });
    jobs.once("notices", NOTICING, |app| async move {
        notices::dead_letters(&app).await?;
        notices::mail(&app).await?;
        notices::retention(&app).await?;
        notices::digest::run(&app).await
    });
    let leading = lead.watching();
    jobs.every("leadership", NOTICING, move |app| {
        let leading = leading.clone();
        async move { report("leadership", leader::watch(&app, &leading).await) }
    });
    let (app, drained) = (Arc::clone(app), lifecycle.drained());
    lifecycle.spawn_last("audit chain", Criticality::Critical, async move {
        keep_chain(&app, lead, drained, Keeper::new(notary)).await;
    });
}

/// Where jobs run.
struct Jobs<'a> {
    app: &'a Arc<App>,
    lifecycle: &'a Lifecycle,
    lead: &'a Lead,
}

impl Jobs<'_> {
    /// Runs a job again and again until the soft stop, which does not cut a run short.
    fn every<F>(&self, name: &'static str, period: Duration, job: impl Fn(Arc<App>) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (app, soft) = (Arc::clone(self.app), self.lifecycle.soft());
        self.lifecycle.spawn(name, Criticality::Critical, async move {
            let mut ticks = ticks(period);
            while soft.run_until_cancelled(ticks.tick()).await.is_some() {
                job(Arc::clone(&app)).await;
            }
        });
    }

    /// The same where the lease is held, and only there; as soon as it is. A job that failed is tried again at its next
    /// turn.
    fn once<F>(&self, name: &'static str, period: Duration, job: impl Fn(Arc<App>) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let (app, soft, mut lead) = (Arc::clone(self.app), self.lifecycle.soft(), self.lead.clone());
        self.lifecycle.spawn(name, Criticality::Critical, async move {
            let mut ticks = ticks(period);
            while soft.run_until_cancelled(ticks.tick()).await.is_some()
                && soft.run_until_cancelled(lead.gained()).await.is_some()
            {
                report(name, job(Arc::clone(&app)).await);
            }
        });
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

/// Until nothing else is at work any more: a row that is left without a place can be changed while nobody runs.
async fn keep_chain(app: &App, leads: Lead, drained: CancellationToken, mut keeper: Keeper) {
    let mut ticks = ticks(CHAINING);
    app.audit.runs(app.clock.now());
    while drained.run_until_cancelled(ticks.tick()).await.is_some() {
        let kept = if leads.holds() { keeper.keep(app, Urgency::Collect).await } else { keeper.follow(app).await };
        report("audit chain", kept);
    }
    people::refusals::write_all(app).await;
    // What was done until now is signed before the lease goes to another.
    let kept = if leads.holds() { keeper.keep(app, Urgency::Now).await } else { keeper.leave(app).await };
    report("audit chain", kept);
    leads.end(app).await;
}

/// Until the next turn one line is enough.
fn report(job: &'static str, outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        mb_runtime::logging::limited(job, || tracing::warn!(%error, job, "job not done"));
    }
}
