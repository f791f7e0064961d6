//! Trials of destinations: asked for here, made by a worker that speaks to any main server of the store, answered here.
//!
//! They go through the store, for the worker may wait at another main server. What was answered is sealed there: it is
//! somebody's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mb_api::dto::delivery::{Probe, ProbeReport};
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::AttemptId;
use mb_crypto::sealed_value::{self, Purpose};
use mb_store::{Store, StoreError};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::app::App;
use crate::routes::store_fault;

/// How often the store is asked for a report: one that another main server heard wakes nobody here.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(crate) struct Probes {
    /// One may wait for a worker: it is worth asking the store.
    waiting: AtomicBool,
    /// A report was heard here.
    heard: Notify,
}

impl Probes {
    /// Looks for trials that were asked for elsewhere; whether there are any that nobody here knew of.
    pub(super) async fn follow(&self, store: &Store) -> Result<bool, StoreError> {
        Ok(store.has_probes().await? && !self.waiting.swap(true, Ordering::Relaxed))
    }

    /// What a worker is to try.
    pub(crate) async fn take(&self, store: &Store) -> Result<Vec<Probe>, StoreError> {
        if !self.waiting.swap(false, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let asked = store.take_probes().await?;
        // What an older main server has asked for and this one does not understand is given up by who waits for it.
        Ok(asked.iter().filter_map(|asked| serde_json::from_str(asked).ok()).collect())
    }
}

/// Asks for a trial and waits for its report; `None`: no worker has made it in time.
pub(crate) async fn make(app: &App, probe: &Probe, within: Duration) -> Result<Option<ProbeReport>, ApiError> {
    let asked = serde_json::to_string(probe).map_err(ApiError::internal)?;
    if !app.store.ask_probe(probe.id, &asked).await.map_err(store_fault)? {
        return Err(ApiError::new(ProblemCode::Overloaded, "there are too many trials at once"));
    }
    app.delivering.probes.waiting.store(true, Ordering::Relaxed);
    app.delivering.wake();
    let report = reported(app, probe.id, Instant::now() + within).await;
    app.store.forget_probe(probe.id).await.map_err(store_fault)?;
    report
}

async fn reported(app: &App, id: AttemptId, deadline: Instant) -> Result<Option<ProbeReport>, ApiError> {
    loop {
        let heard = app.delivering.probes.heard.notified();
        if let Some(sealed) = app.store.probe_report(id).await.map_err(store_fault)? {
            let opened = sealed_value::open(&app.master, Purpose::AttemptAnswer, &id.to_string(), &sealed);
            let opened = opened.map_err(ApiError::internal)?;
            return serde_json::from_slice(&opened).map(Some).map_err(ApiError::internal);
        }
        if Instant::now() >= deadline || app.stopping.is_cancelled() {
            return Ok(None);
        }
        drop(tokio::time::timeout_at(deadline.min(Instant::now() + LOOK), heard).await);
    }
}

/// Keeps a report for who has asked for it, here or elsewhere.
pub(crate) async fn report(app: &App, report: &ProbeReport) -> Result<(), ApiError> {
    let bytes = serde_json::to_vec(report).map_err(ApiError::internal)?;
    let sealed = sealed_value::seal(&app.master, Purpose::AttemptAnswer, &report.id.to_string(), &bytes);
    let sealed = sealed.map_err(ApiError::internal)?;
    app.store.answer_probe(report.id, &sealed).await.map_err(store_fault)?;
    app.delivering.probes.heard.notify_waiters();
    Ok(())
}
