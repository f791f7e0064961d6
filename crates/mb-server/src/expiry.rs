//! Which certificates expire: for the list, the metric, the notices and health, so that all of them say the same.
//!
//! Which of them count, the store knows: its statement is the one place where that is said.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mb_core::Timestamp;
use mb_runtime::metrics::{GaugeFamily, Metrics};
use mb_store::{CertificateRow, EndingCertificates, Store, StoreError};

use crate::app::App;
use crate::metrics::as_f64;

/// Certificates that are read together.
const PAGE: u32 = 250;
const DAY: Duration = Duration::from_hours(24);
/// Days left, from the last step to the first.
pub(crate) const STEPS: [u32; 4] = [1, 7, 14, 30];
/// A certificate that expired so long ago is missed by nobody.
const FORGOTTEN: Duration = Duration::from_hours(30 * 24);

/// The step that an end at `not_after` has reached of `steps`, which count up; 0 = it has ended, of late.
pub(crate) fn step(not_after: Timestamp, now: Timestamp, steps: &[u32]) -> Option<u32> {
    let left = not_after.since(now);
    if left.is_zero() {
        return (now.since(not_after) < FORGOTTEN).then_some(0);
    }
    steps.iter().copied().find(|days| left <= DAY * *days)
}

/// Certificates that end within so many days, or have ended of late, the first to end first.
///
/// # Errors
/// The store cannot be read.
pub async fn ending(store: &Store, now: Timestamp, days: u32) -> Result<Vec<CertificateRow>, StoreError> {
    let range = EndingCertificates { after: now.minus(FORGOTTEN), until: now.plus(DAY * days) };
    let mut ending: Vec<CertificateRow> = Vec::new();
    loop {
        let behind = ending.last().map(|row| (row.not_after, row.serial.as_slice()));
        let page = store.ending_certificates(range, behind, PAGE).await?;
        let full = page.len() == PAGE as usize;
        ending.extend(page);
        if !full {
            return Ok(ending);
        }
    }
}

/// A page of certificates that end within so many days and have not ended, behind the one of that end and serial number.
pub(crate) async fn page(
    app: &App,
    days: u32,
    behind: Option<(Timestamp, &[u8])>,
    limit: u32,
) -> Result<Vec<CertificateRow>, StoreError> {
    let now = app.clock.now();
    let range = EndingCertificates { after: now, until: now.plus(DAY * days) };
    app.store.ending_certificates(range, behind, limit).await
}

/// How many certificates were at each step when they were last looked at.
#[derive(Debug)]
pub(crate) struct Expiring {
    gauges: GaugeFamily,
    counts: Mutex<BTreeMap<u32, u64>>,
}

impl Expiring {
    pub(crate) fn register(metrics: &mut Metrics) -> Self {
        let gauges = metrics.gauge_family(
            "mb_server_certificates_expiring",
            "Certificates that expire and were not renewed, by the days left: 30, 14, 7, 1, or 0 for those that have ended.",
            "days",
        );
        let expiring = Self { gauges, counts: Mutex::default() };
        expiring.show(BTreeMap::new());
        expiring
    }

    fn show(&self, counts: BTreeMap<u32, u64>) {
        for days in STEPS.into_iter().chain([0]) {
            self.gauges.of(&days.to_string()).set(as_f64(counts.get(&days).copied().unwrap_or(0)));
        }
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// By days left, 0 for those that have ended of late.
    pub(crate) fn counts(&self) -> BTreeMap<u32, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Looks again.
pub(crate) async fn measure(app: &App) -> Result<(), StoreError> {
    let (now, mut counts) = (app.clock.now(), BTreeMap::new());
    for row in ending(&app.store, now, STEPS[STEPS.len() - 1]).await? {
        if let Some(step) = step(row.not_after, now, &STEPS) {
            *counts.entry(step).or_default() += 1;
        }
    }
    app.metrics.expiring.show(counts);
    Ok(())
}
