//! What the tests share: a disk, a clock, entries, and ways to empty a journal.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use mb_core::envelope::SignedKey;
use mb_core::{ClientName, Clock, DomainName, Header, KeyId, MessageId, Timestamp, Topic};

use crate::queue::{Claim, Claimed, Queue};
use crate::{Append, Disk, Journal, JournalConfig, Recovery, SimDisk};

/// When the tests take place.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

pub(crate) const EPOCH: [u8; 16] = [7; 16];

pub(crate) const ALL: Claim = Claim { entries: 100_000, bytes: u64::MAX };

/// A machine with one journal.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) sim: SimDisk,
    pub(crate) clock: Clock,
    pub(crate) config: JournalConfig,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let config = JournalConfig { segment_bytes: 16 << 10, max_bytes: 1 << 20, ..JournalConfig::new("j") };
        Self { sim: SimDisk::new(), clock: Clock::manual(NOW), config }
    }

    pub(crate) fn open(&self) -> Journal {
        self.open_with_report().0
    }

    pub(crate) fn open_with_report(&self) -> (Journal, Recovery) {
        let disk = Disk::Simulated(self.sim.clone());
        Journal::open(self.config.clone(), self.clock.clone(), disk).expect("the disk works")
    }

    /// The same machine after a power cut.
    pub(crate) fn after_power_cut(&self, seed: u64) -> Self {
        Self { sim: self.sim.after_power_cut(seed), ..self.clone() }
    }

    /// Shuts a journal down and opens it again.
    pub(crate) async fn reopen(&self, journal: Journal) -> Journal {
        close(journal).await;
        self.open()
    }

    pub(crate) fn later(&self, by: Duration) {
        self.clock.set(self.clock.now().plus(by));
    }

    /// The segment files, oldest first.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        Disk::Simulated(self.sim.clone()).list(&self.config.dir, "seg").expect("the disk works")
    }
}

pub(crate) async fn close(journal: Journal) {
    journal.shutdown().await;
}

pub(crate) fn signed_key(key: u8) -> Bytes {
    let key = SignedKey {
        key_id: KeyId::from_bytes([key; 16]),
        master_key_id: KeyId::from_bytes([4; 16]),
        created_at: NOW,
        encapsulated: vec![key; 32],
        wrapped: vec![7; 48],
        certificate: vec![8; 100],
        signature: vec![9; 71],
    };
    Bytes::from(key.encode())
}

/// An envelope with this id, accepted at this time, sealed with this key; `len` bytes of "ciphertext".
pub(crate) fn envelope(id: MessageId, queued_at: Timestamp, key: u8, len: usize) -> Bytes {
    let header = Header {
        message_id: id,
        key_id: KeyId::from_bytes([key; 16]),
        queued_at,
        deliver_at: None,
        expires_at: None,
        client: ClientName::parse("demo").expect("valid"),
        domain: DomainName::default(),
        topic: Topic::default(),
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    let filler = id.as_bytes()[15];
    bytes.resize(bytes.len() + 28 + len, filler);
    Bytes::from(bytes)
}

/// The id of message number `n`: a UUIDv7 that grows with it.
pub(crate) fn id(n: u32) -> MessageId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&NOW.millis().to_be_bytes()[2..]);
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    MessageId::from_bytes(bytes)
}

/// Message number `n`.
pub(crate) fn message(n: u32) -> Append {
    sized(n, 100)
}

pub(crate) fn sized(n: u32, len: usize) -> Append {
    Append { id: id(n), envelope: envelope(id(n), NOW, 1, len), key: signed_key(1), tag: None }
}

/// A message with idempotency key number `n` and some content.
pub(crate) fn tagged(n: u8, content: u8) -> Append {
    let id = MessageId::v8(&[n; 32]);
    Append { id, envelope: envelope(id, NOW, 1, 100), key: signed_key(1), tag: Some([content; 16]) }
}

pub(crate) fn messages(range: std::ops::Range<u32>) -> Vec<Append> {
    range.map(message).collect()
}

pub(crate) fn ids(range: std::ops::Range<u32>) -> Vec<MessageId> {
    range.map(id).collect()
}

pub(crate) fn ids_of(claimed: &Claimed) -> Vec<MessageId> {
    let id = |envelope: &Bytes| mb_core::envelope::peek_ids(envelope).expect("an envelope").0;
    claimed.entries.iter().map(|entry| id(&entry.envelope)).collect()
}

/// Answers every open question; the store has everything (`false`) or lacks everything (`true`).
pub(crate) async fn answer(journal: &Journal, lacking: bool) -> Vec<MessageId> {
    let asked = journal.unconfirmed(100_000).await;
    let ids: Vec<_> = asked.iter().map(|(_, id)| *id).collect();
    let lacking = if lacking { ids.iter().copied().collect() } else { HashSet::new() };
    journal.confirm(EPOCH, &asked, &lacking);
    ids
}

/// Claims `count` entries, in as many claims as it takes.
pub(crate) async fn claim(journal: &Journal, count: usize) -> Claimed {
    let queue = Queue::Embedded(journal.clone());
    let mut all = Claimed::default();
    while all.entries.len() < count {
        let claimed = queue.claim("w", ALL).await;
        assert!(!claimed.entries.is_empty(), "the journal is shut down");
        all.entries.extend(claimed.entries);
        for key in claimed.keys {
            if !all.keys.contains(&key) {
                all.keys.push(key);
            }
        }
    }
    all
}

/// Claims `count` entries, acknowledges them, and lets the store confirm them.
pub(crate) async fn deliver(journal: &Journal, count: usize) -> Vec<MessageId> {
    let claimed = claim(journal, count).await;
    journal.ack(&claimed.entries.iter().map(|entry| entry.tag).collect::<Vec<_>>());
    let mut confirmed = 0;
    while confirmed < count {
        confirmed += answer(journal, false).await.len();
    }
    ids_of(&claimed)
}

/// Everything unconfirmed, as a store that lacks it all would get it.
pub(crate) async fn take_all(journal: &Journal) -> Claimed {
    let depth = journal.status().depth;
    take(journal, usize::try_from(depth).expect("small")).await
}

/// Claims `count` entries while a store that lacks everything answers all questions.
pub(crate) async fn take(journal: &Journal, count: usize) -> Claimed {
    let asker = async { while !answer(journal, true).await.is_empty() {} };
    tokio::select! {
        claimed = claim(journal, count) => claimed,
        () = asker => panic!("the journal is shut down"),
    }
}

/// Does the keeper's work now instead of within a second.
pub(crate) fn tidy(journal: &Journal) {
    journal.shared().upkeep().turn(journal.shared());
}
