//! Where messages go: the destinations in memory, and who waits for deliveries.
//!
//! Routing is asked for every message, so the destinations are held opened and by domain; where a domain has none, nothing
//! is done at all. The store compares their version as it registers, so what is held may be old without harm.

pub(crate) mod opened;
pub(crate) mod payload;
pub(crate) mod polls;
pub(crate) mod probes;
mod served;
mod workers;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mb_core::{DestinationId, DomainName, Header};
use mb_crypto::master::MasterKeys;
use mb_store::{DestinationRow, Reported, Store, StoreError};
use tokio::sync::{Mutex, watch};

use polls::Polls;
use probes::Probes;
pub(crate) use served::{Served, seal_identity, seal_secret};
use workers::Workers;

/// The destinations and those who wait for their deliveries.
#[derive(Debug)]
pub(crate) struct Delivering {
    known: ArcSwap<Known>,
    /// Held from reading to keeping: of two refreshes the later one is read later.
    refreshing: Mutex<()>,
    wake: watch::Sender<u64>,
    pub(crate) polls: Polls,
    pub(crate) probes: Probes,
    /// How far the workers that ask here are.
    pub(crate) workers: Workers,
    master: Arc<MasterKeys>,
}

/// The destinations as of a version.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) version: u64,
    by_domain: HashMap<DomainName, Vec<Arc<Served>>>,
    by_id: HashMap<DestinationId, Arc<Served>>,
}

impl Known {
    fn new(version: u64, rows: Vec<DestinationRow>, master: &MasterKeys) -> Self {
        let mut known = Self { version, ..Self::default() };
        for row in rows {
            let served = Arc::new(Served::open(row, master));
            known.by_domain.entry(served.row.route.domain.clone()).or_default().push(Arc::clone(&served));
            known.by_id.insert(served.row.route.id, served);
        }
        known
    }

    /// Those that a message is for.
    pub(crate) fn matching(&self, header: &Header) -> Vec<Arc<Served>> {
        // Most have none; nothing is allocated for them.
        let Some(of_domain) = self.by_domain.get(&header.domain) else { return Vec::new() };
        of_domain.iter().filter(|served| served.row.route.matches(header)).cloned().collect()
    }

    /// A destination by its number.
    pub(crate) fn find(&self, id: DestinationId) -> Option<&Arc<Served>> {
        self.by_id.get(&id)
    }
}

impl Delivering {
    pub(crate) async fn open(store: &Store, master: Arc<MasterKeys>) -> Result<Self, StoreError> {
        let (version, rows) = store.destinations().await?;
        Ok(Self {
            known: ArcSwap::from_pointee(Known::new(version, rows, &master)),
            refreshing: Mutex::default(),
            wake: watch::Sender::new(0),
            polls: Polls::default(),
            probes: Probes::default(),
            workers: Workers::default(),
            master,
        })
    }

    /// The destinations as they are known.
    pub(crate) fn known(&self) -> Arc<Known> {
        self.known.load_full()
    }

    /// Reads the destinations anew, and wakes who waits for deliveries.
    pub(crate) async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let _turn = self.refreshing.lock().await;
        let (version, rows) = store.destinations().await?;
        self.known.store(Arc::new(Known::new(version, rows, &self.master)));
        self.wake();
        Ok(())
    }

    /// The same, and waits until the workers that ask here go by it.
    pub(crate) async fn announce(&self, store: &Store) -> Result<(), StoreError> {
        self.refresh(store).await?;
        self.workers.know(self.known().version).await;
        Ok(())
    }

    /// The same as [`Delivering::refresh`] if another main server has changed them, or trials are asked for there.
    pub(crate) async fn follow(&self, store: &Store) -> Result<(), StoreError> {
        if self.probes.follow(store).await? {
            self.wake();
        }
        if store.destinations_version().await? == self.known().version { Ok(()) } else { self.refresh(store).await }
    }

    /// Takes in what came of a report.
    pub(crate) fn note(&self, reported: &Reported) {
        let known = self.known();
        for row in &reported.turned {
            if let Some(served) = known.find(row.route.id) {
                served.turn(&row.breaker);
            }
        }
        if reported.wakes || !reported.turned.is_empty() {
            self.wake();
        }
    }

    /// There may be something to lease.
    pub(crate) fn wake(&self) {
        self.wake.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells of every [`Delivering::wake`] from now on.
    pub(crate) fn woken(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }
}
