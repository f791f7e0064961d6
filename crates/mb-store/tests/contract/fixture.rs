//! A migrated store of its own for every test, and the values that the tests put into it.

use bytes::Bytes;
use mb_core::{ClientName, Clock, DomainName, Header, KeyId, MessageId, MessageState, Timestamp, Topic};
use mb_store::{DataKeyRow, NewDeadLetter, NewMessage, RegisterBatch, Store};

/// The time at which tests begin, with microseconds that a coarser clock would lose.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_123_457);

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) address: String,
    directory: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = format!("sqlite://{}", directory.path().join("store.db").display());
        let clock = Clock::manual(NOW);
        let store = Store::open(&address, clock.clone()).await.expect("opens");
        store.migrate().await.expect("migrates");
        Self { store, clock, address, directory }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }
}

pub(crate) fn client(name: &str) -> ClientName {
    ClientName::parse(name).expect("a valid name")
}

pub(crate) fn domain(name: &str) -> DomainName {
    DomainName::parse(name).expect("a valid name")
}

/// An id that only depends on `n`; greater for a greater `n`.
pub(crate) fn id(n: u32) -> MessageId {
    let mut bytes = [0x70; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    MessageId::from_bytes(bytes)
}

/// A delivered message of client `demo`.
pub(crate) fn message(n: u32) -> NewMessage {
    let header = Header {
        message_id: id(n),
        key_id: KeyId::from_bytes([9; 16]),
        queued_at: NOW,
        deliver_at: None,
        expires_at: None,
        client: client("demo"),
        domain: DomainName::default(),
        topic: Topic::default(),
    };
    NewMessage {
        header,
        sender_number_hashed: Some([7; 32]),
        sealed: Bytes::from(format!("sealed {n}")),
        status: MessageState::Delivered,
        registered_at: NOW,
        delivered_at: Some(NOW),
    }
}

pub(crate) fn dead_letter(n: u32, envelope: &'static str) -> NewDeadLetter {
    NewDeadLetter {
        message_id: id(n),
        reason: "stale".into(),
        envelope: Bytes::from(envelope),
        header: Some(message(n).header),
        created_at: NOW,
    }
}

pub(crate) fn data_key(n: u8, record: &'static str) -> DataKeyRow {
    DataKeyRow {
        key_id: KeyId::from_bytes([n; 16]),
        master_key_id: KeyId::from_bytes([1; 16]),
        record: Bytes::from(record),
        proxy_name: "proxy".into(),
        proxy_serial: vec![n],
        created_at: NOW,
    }
}

pub(crate) fn batch(messages: Vec<NewMessage>) -> RegisterBatch {
    RegisterBatch { keys: Vec::new(), messages, dead_letters: Vec::new(), instance: "one".into() }
}

pub(crate) fn dead(dead_letters: Vec<NewDeadLetter>) -> RegisterBatch {
    RegisterBatch { dead_letters, ..batch(Vec::new()) }
}
