//! A small system around the queue: a journal with its forwarder and confirm loop, workers, and a store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mb_core::{Clock, MessageId, envelope};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::server::Server;
use crate::journal::tests::support::{Rig, id, messages};
use crate::redis::{Forwarder, RedisConfig, RedisQueue, unit};
use crate::{Claim, Journal, Queue};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often each message was registered, and which history this is.
#[derive(Clone, Default)]
pub(super) struct Store {
    registered: Arc<Mutex<HashMap<MessageId, u32>>>,
    epoch: Arc<AtomicU8>,
}

impl Store {
    pub(super) fn has(&self, id: MessageId) -> bool {
        self.registered.lock().expect("no panic while held").contains_key(&id)
    }

    pub(super) fn count(&self) -> usize {
        self.registered.lock().expect("no panic while held").len()
    }

    /// Register calls per message, all together.
    pub(super) fn registrations(&self) -> u32 {
        self.registered.lock().expect("no panic while held").values().sum()
    }

    /// As if a backup had been restored in which these are missing.
    pub(super) fn restore_without(&self, lost: &[MessageId]) {
        let mut registered = self.registered.lock().expect("no panic while held");
        registered.retain(|id, _| !lost.contains(id));
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    fn epoch(&self) -> [u8; 16] {
        [self.epoch.load(Ordering::SeqCst); 16]
    }

    pub(super) fn register(&self, ids: impl Iterator<Item = MessageId>) {
        let mut registered = self.registered.lock().expect("no panic while held");
        ids.for_each(|id| *registered.entry(id).or_default() += 1);
    }
}

pub(super) struct World {
    pub(super) config: RedisConfig,
    pub(super) journal: Journal,
    pub(super) store: Store,
    next: u32,
    /// Whether the store answers.
    is_up: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// A journal that forwards again soon and keeps `window` entries on the way.
pub(super) fn rig(window: usize) -> Rig {
    let mut rig = Rig::new();
    rig.config.max_bytes = 64 << 20;
    rig.config.segment_bytes = 4 << 20;
    rig.config.window_entries = window;
    rig.config.reforward_after = Duration::from_secs(1);
    rig.config.passed_after = Duration::from_secs(1);
    rig
}

impl World {
    /// A proxy without workers; the store answers.
    pub(super) fn new(config: &RedisConfig, rig: &Rig) -> Self {
        let (journal, store) = (rig.open(), Store::default());
        let (is_up, up) = watch::channel(true);
        let mut tasks = JoinSet::new();
        let forwarder = Forwarder::new(journal.clone(), config.clone(), Clock::System);
        tasks.spawn(forwarder.run(std::future::pending()));
        tasks.spawn(confirm(journal.clone(), store.clone(), up));
        Self { config: config.clone(), journal, store, next: 0, is_up, tasks }
    }

    pub(super) fn of(server: &Server) -> Self {
        Self::new(&server.config, &rig(50_000))
    }

    /// Whether register and confirm are answered from now on.
    pub(super) fn set_up(&self, is_up: bool) {
        self.is_up.send_replace(is_up);
    }

    /// Starts workers.
    pub(super) fn work(&mut self, workers: u32) {
        for n in 0..workers {
            let (queue, keeper) = RedisQueue::new(self.config.clone(), &format!("w{n}"), Clock::System);
            self.tasks.spawn(keeper.run(std::future::pending()));
            self.tasks.spawn(work(Queue::Redis(queue), self.store.clone(), self.is_up.subscribe()));
        }
    }

    /// Accepts messages.
    pub(super) async fn accept(&mut self, count: u32) {
        for start in (self.next..self.next + count).step_by(500) {
            let end = (self.next + count).min(start + 500);
            self.journal.append(messages(start..end)).await.expect("the journal takes them");
        }
        self.next += count;
    }

    /// Messages accepted so far.
    pub(super) fn accepted(&self) -> usize {
        self.next as usize
    }

    /// Waits until the store has all that was accepted, and the journal knows.
    pub(super) async fn until_all_stored(&self) {
        let missing = || (0..self.next).filter(|n| !self.store.has(id(*n))).count();
        let done = async {
            while missing() > 0 || self.journal.status().depth > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let is_done = tokio::time::timeout(PATIENCE, done).await.is_ok();
        assert!(is_done, "missing in the store: {}, journal: {:?}", missing(), self.journal.status());
    }

    /// Envelopes in the stream.
    pub(super) async fn forwarded(&self, server: &Server) -> u64 {
        let entries: Vec<(String, Vec<Vec<u8>>)> = server.run("XRANGE q - +").await;
        let units = entries.into_iter().filter_map(|(_, mut fields)| unit::decode(fields.pop()?));
        units.map(|(_, envelopes)| envelopes.len() as u64).sum()
    }

    /// Waits for something; fails after a minute.
    pub(super) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let done = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, done).await.is_ok(), "waited in vain: {what}");
    }
}

async fn confirm(journal: Journal, store: Store, mut up: watch::Receiver<bool>) {
    loop {
        let asked = journal.unconfirmed(2000).await;
        if up.wait_for(|up| *up).await.is_err() {
            return;
        }
        let epoch = store.epoch();
        let lacking = asked.iter().map(|(_, id)| *id).filter(|id| !store.has(*id)).collect();
        journal.confirm(epoch, &asked, &lacking);
    }
}

async fn work(queue: Queue, store: Store, mut up: watch::Receiver<bool>) {
    loop {
        let claimed = queue.claim("w", Claim { entries: 200, bytes: 2 << 20 }).await;
        assert_eq!(claimed.keys.len(), 1, "the keys come along");
        let tags: Vec<_> = claimed.entries.iter().map(|entry| entry.tag).collect();
        // As the worker does: what cannot be registered for most of its lease is given back.
        let waited = tokio::time::timeout(Duration::from_millis(700), up.wait_for(|up| *up)).await.is_ok();
        if !waited {
            queue.nack(&tags).await;
            continue;
        }
        let ids = claimed.entries.iter().filter_map(|entry| envelope::peek_ids(&entry.envelope));
        store.register(ids.map(|(id, _)| id));
        queue.ack(&tags).await;
    }
}
