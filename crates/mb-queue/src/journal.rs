//! The write-ahead journal: an append-only, checksummed, group-committed log on this machine's disk.
//!
//! An append returns when the sync that covers it is done. From then on the entry is handed to workers, asked about, and
//! trimmed once the store confirmed it; confirmed segments stay for a while, so that a store restored from a backup gets
//! back what it lost. Three threads work here: the writer (the only one that an append waits for), the cursor (reads a
//! backlog back) and the keeper (everything nobody waits for).

pub(crate) mod aside;
pub(crate) mod config;
mod cursor;
mod damaged;
mod format;
pub(crate) mod fsync;
mod gone;
mod handover;
mod health;
mod inbox;
mod index;
mod keeper;
mod keys;
mod lookup;
mod queue;
mod recovery;
mod scan;
mod segment;
pub(crate) mod status;
mod supply;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod watermark;
pub(crate) mod window;
mod writer;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use mb_core::{Clock, MessageId, Timestamp};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::disk::{Disk, File};
use crate::error::{AppendError, AppendFailed, JournalError};
use aside::{Aside, AsideKeys};
use config::JournalConfig;
use format::DATA_START;
use fsync::{FsyncClock, FsyncTimes};
use handover::{Confirmed, Handover, Questions};
use health::Health;
use inbox::{Call, Inbox, Incoming};
use keeper::{Keeper, Upkeep};
use keys::KeyCache;
use status::{Found, JournalStatus, Recovery};
use supply::Supply;
use table::Table;
use window::{Limits, Seq};

/// Bytes of envelopes that wait in memory for a worker; the rest of the window is read again when it is claimed.
const RESIDENT: u64 = 16 << 20;

/// One entry to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The message's id, the same as in the envelope.
    pub id: MessageId,
    /// The encoded envelope.
    pub envelope: Bytes,
    /// The encoded signed key that the envelope uses.
    pub key: Bytes,
    /// The content tag of a message that carries an idempotency key.
    pub tag: Option<[u8; 16]>,
}

/// What became of an entry. The latter two only for entries with a content tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appended {
    /// It is durable.
    Stored {
        /// How many entries are unconfirmed, this one included.
        depth: u64,
    },
    /// The journal holds the same message already.
    Replayed {
        /// When it was accepted.
        queued_at: Timestamp,
    },
    /// The journal holds another message under this id.
    Conflict,
}

/// The journal; clones share it. It ends when the last clone is dropped or by [`Journal::shutdown`].
#[derive(Clone, Debug)]
pub struct Journal {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the journal's threads and callers share.
#[derive(Debug)]
pub(crate) struct Shared {
    config: JournalConfig,
    clock: Clock,
    disk: Disk,
    table: Table,
    inbox: Inbox,
    supply: Supply,
    handover: Handover,
    keys: KeyCache,
    aside_keys: AsideKeys,
    keeper: Keeper,
    upkeep: Mutex<Upkeep>,
    health: Health,
    fsync: FsyncClock,
    /// Held as long as anything of the journal runs.
    _lock: File,
}

impl Journal {
    /// Opens the journal in a directory, creating it if there is none; blocks while it reads what is there.
    ///
    /// # Errors
    /// [`JournalError::InUse`] if another process has it open; [`JournalError::Io`] if the directory cannot be read or
    /// written. A full journal opens.
    pub fn open(config: JournalConfig, clock: Clock, disk: Disk) -> Result<(Self, Recovery), JournalError> {
        disk.create_dir_all(&config.dir).map_err(JournalError::io("create", &config.dir))?;
        let lock_path = config.dir.join("lock");
        let lock = disk.lock(&lock_path).map_err(JournalError::io("lock", lock_path))?;
        let lock = lock.ok_or_else(|| JournalError::InUse(config.dir.clone()))?;
        let recovered = recovery::recover(&config, &disk)?;
        let (damaged, aside) = recovery::set_aside(&config, &disk)?;
        let limits = Limits {
            entries: config.window_entries.max(1),
            bytes: config.window_bytes.max(1),
            resident: RESIDENT,
            lease: config.lease,
            reforward_after: config.reforward_after,
            passed_after: config.passed_after,
        };
        let durable_seq = recovered.start.next_seq.saturating_sub(1);
        let shared = Arc::new(Shared {
            table: Table::new(recovered.segments),
            inbox: Inbox::new(config.max_waiting),
            supply: Supply::default(),
            handover: Handover::new(limits, recovered.start),
            keys: KeyCache::default(),
            aside_keys: AsideKeys::default(),
            keeper: Keeper::default(),
            upkeep: Mutex::new(Upkeep::new(recovered.saved, recovered.next_first_seq)),
            health: Health::default(),
            fsync: FsyncClock::default(),
            config,
            clock,
            disk,
            _lock: lock,
        });
        shared.health.damaged_segments.store(damaged, Ordering::Relaxed);
        for (reason, count) in aside {
            shared.health.aside(reason).store(count, Ordering::Relaxed);
        }
        shared.upkeep().supply(&shared);
        shared.health.full.set(shared.supply.refused() == Some(AppendError::Full));
        let handle = Handle { shared, threads: Mutex::default() };
        handle.spawn("journal-writer", move |shared| {
            writer::run(shared, durable_seq);
            shared.handover.close();
            shared.keeper.stop();
        })?;
        handle.spawn("journal-cursor", cursor::run)?;
        handle.spawn("journal-keeper", keeper::run)?;
        Ok((Self { handle: Arc::new(handle) }, recovered.report))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// The newest UUIDv7 that it holds: ids made from now on have to be greater.
    pub fn newest_id(&self) -> Option<MessageId> {
        self.shared().table.all().iter().filter_map(|segment| segment.index().range().newest()).max()
    }

    /// Appends entries; returns when the sync that covers all of them is done.
    ///
    /// # Errors
    /// [`AppendFailed`] tells which of the entries were taken all the same.
    pub async fn append(&self, entries: Vec<Append>) -> Result<Vec<Appended>, AppendFailed> {
        let room = self.shared().room();
        let entries =
            entries.into_iter().map(|entry| Incoming::new(entry, room)).collect::<Result<_, AppendError>>()?;
        self.append_all(entries).await
    }

    async fn append_all(&self, entries: Vec<Incoming>) -> Result<Vec<Appended>, AppendFailed> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.shared().inbox.push(Call::Many(entries, reply))?;
        answer.await.unwrap_or(Err(AppendError::Closed.into()))
    }

    /// Appends one entry, without a list around it.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append_one(&self, entry: Append) -> Result<Appended, AppendError> {
        let entry = Incoming::new(entry, self.shared().room())?;
        let (reply, answer) = oneshot::channel();
        self.shared().inbox.push(Call::One(entry, reply))?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Looks for entries that are still on this disk, waiting or kept.
    pub async fn find(&self, ids: &[MessageId]) -> Vec<Option<Found>> {
        let shared = Arc::clone(self.shared());
        let wanted = ids.to_vec();
        let found = tokio::task::spawn_blocking(move || shared.find(&wanted)).await;
        found.unwrap_or_else(|_| vec![None; ids.len()])
    }

    /// Waits until the store has to be asked about entries, and returns those: acknowledged ones, ones of which it is not
    /// known whether the store has them, and from time to time those that are in another queue. Meant for one caller; a question without an answer is returned again by the
    /// next call. Empty only when the journal is shut down. Safe to cancel.
    pub async fn unconfirmed(&self, max: usize) -> Vec<(Seq, MessageId)> {
        let handover = &self.shared().handover;
        loop {
            let mut asking = std::pin::pin!(handover.asking());
            asking.as_mut().enable();
            match handover.questions(Instant::now().into_std(), max.max(1)) {
                Questions::About(questions) => return questions,
                Questions::WaitUntil(Some(at)) => {
                    // Either a ring or the time: what it was shows in the next round.
                    drop(tokio::time::timeout_at(Instant::from_std(at), asking).await);
                }
                Questions::WaitUntil(None) => asking.await,
                Questions::Closed => return Vec::new(),
            }
        }
    }

    /// Takes the store's answer: its epoch, what it was asked, and what of that it lacks. An epoch that differs from the
    /// one known means that the store was restored: all entries still here are offered again.
    pub fn confirm(&self, epoch: [u8; 16], asked: &[(Seq, MessageId)], lacking: &HashSet<MessageId>) {
        let shared = self.shared();
        if shared.handover.confirm(epoch, asked, lacking, &shared.table) == Confirmed::Rewound {
            tracing::warn!("the store has a new epoch; all kept entries are offered again");
        }
    }

    /// Its state now.
    pub fn status(&self) -> JournalStatus {
        let shared = self.shared();
        let (depth, oldest) = shared.handover.depth();
        let watermark = shared.handover.watermark();
        let kept = shared.handover.kept(&shared.table);
        let damaged_entries = shared.table.all().iter().map(|segment| segment.marks().damaged).sum();
        JournalStatus {
            depth,
            open: shared.handover.open(),
            open_bound: shared.config.window_entries as u64,
            bytes_bound: shared.config.max_bytes,
            bytes: shared.table.bytes() + shared.supply.bytes(),
            oldest,
            kept_segments: kept.segments,
            kept_bytes: kept.bytes,
            damaged_entries,
            damaged_segments: shared.health.damaged_segments.load(Ordering::Relaxed),
            stale: shared.health.aside(Aside::Stale).load(Ordering::Relaxed),
            refused: shared.health.aside(Aside::Refused).load(Ordering::Relaxed),
            full: shared.health.full.is_up(),
            epoch: watermark.epoch,
            degraded: shared.health.degraded(damaged_entries),
        }
    }

    /// How long its syncs took.
    pub fn fsync_times(&self) -> FsyncTimes {
        self.shared().fsync.times()
    }

    /// Writes what waits, saves the watermark and ends the threads. Appends are refused from now on, and whoever waits for
    /// entries gets none.
    pub async fn shutdown(&self) {
        self.shared().inbox.close();
        let threads = std::mem::take(&mut *self.handle.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().filter_map(|thread| thread.join().err()).count());
        if joined.await.is_ok_and(|panicked| panicked > 0) {
            tracing::error!("a journal thread ended by a panic");
        }
    }
}

impl Handle {
    fn spawn(&self, name: &str, run: impl FnOnce(&Shared) + Send + 'static) -> Result<(), JournalError> {
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared));
        let thread = spawned.map_err(JournalError::io("start thread for", &self.shared.config.dir))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }
}

/// Dropping does not wait: the threads finish what they have and end by themselves.
impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.inbox.close();
    }
}

impl Shared {
    fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that a segment has for groups.
    fn room(&self) -> u64 {
        self.config.segment_size() - DATA_START
    }
}
