//! Which certificates expire: for the list, the metric, the notices and health, so that all of them say the same.
//!
//! Of the certificates of one name and role the one that lasts longest counts: who has renewed is not told about the old
//! one. Archived clients need none.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mb_core::{ClientName, ClientStatus, Role, Timestamp};
use mb_runtime::metrics::{GaugeFamily, Metrics};
use mb_store::{CertificatePageFilter, CertificateRow, Store, StoreError};

use crate::app::App;
use crate::metrics::as_f64;

/// Certificates that are read together.
const PAGE: u32 = 1000;
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
    let mut ending = Vec::new();
    for row in longest(store).await? {
        if step(row.not_after, now, &[days]).is_some() && !is_archived(store, &row).await? {
            ending.push(row);
        }
    }
    // Serial numbers have no leading zeros: a shorter one is a smaller one.
    ending.sort_unstable_by(|a, b| {
        (a.not_after, a.serial.len(), &a.serial).cmp(&(b.not_after, b.serial.len(), &b.serial))
    });
    Ok(ending)
}

/// A certificate that was made for no longer is made anew when it is needed: nobody has to be told of its end.
const PASSING: Duration = Duration::from_hours(13);

/// The certificate of each name and role that is not revoked and lasts longest.
async fn longest(store: &Store) -> Result<Vec<CertificateRow>, StoreError> {
    let mut longest: BTreeMap<(Role, String), CertificateRow> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.certificate_page(&CertificatePageFilter::default(), after, PAGE).await?;
        after = page.last().map(|(place, _)| *place);
        let full = page.len() == PAGE as usize;
        let lasting = |row: &CertificateRow| row.not_after.since(row.not_before) > PASSING;
        for (_, row) in page.into_iter().filter(|(_, row)| row.revocation.is_none() && lasting(row)) {
            let kept = longest.entry((row.role, row.name.clone())).or_insert_with(|| row.clone());
            if row.not_after > kept.not_after {
                *kept = row;
            }
        }
        if !full {
            return Ok(longest.into_values().collect());
        }
    }
}

async fn is_archived(store: &Store, row: &CertificateRow) -> Result<bool, StoreError> {
    let Some(name) = ClientName::parse(&row.name).filter(|_| row.role.has_domain()) else { return Ok(false) };
    Ok(store.client(&name).await?.is_some_and(|client| client.status == ClientStatus::Archived))
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
