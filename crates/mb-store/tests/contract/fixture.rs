//! A migrated store of its own for every test, and the values that the tests put into it.

use std::time::Duration;

use bytes::Bytes;
use mb_core::{ClientName, Clock, DomainName, Header, KeyId, MessageId, MessageState, Timestamp, Topic};
use mb_store::{DataKeyRow, NewDeadLetter, NewMessage, RegisterBatch, Routed, Store};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, SqliteConnection};

use crate::server::{Database, Product};

/// The time at which tests begin, with microseconds that a coarser clock would lose.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_123_457);

/// A store in a place of its own.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) address: String,
    pub(crate) place: Place,
}

/// Where the store is; it goes with the fixture.
pub(crate) enum Place {
    Files(tempfile::TempDir),
    Server(Database),
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = format!("sqlite://{}", directory.path().join("store.db").display());
        Self::migrated(address, Place::Files(directory)).await
    }

    pub(crate) async fn mariadb() -> Self {
        Self::server(Product::MariaDb).await
    }

    pub(crate) async fn mysql() -> Self {
        Self::server(Product::MySql).await
    }

    async fn server(product: Product) -> Self {
        let database = Database::create(product).await;
        Self::migrated(database.address(), Place::Server(database)).await
    }

    async fn migrated(address: String, place: Place) -> Self {
        let clock = Clock::manual(NOW);
        let store = Store::open(&address, clock.clone()).await.expect("opens");
        store.migrate().await.expect("migrates");
        Self { store, clock, address, place }
    }

    /// Another store on the same database, as a second main server has it.
    pub(crate) async fn second(&self) -> Store {
        Store::open(&self.address, self.clock.clone()).await.expect("opens")
    }

    /// A connection beside the store.
    pub(crate) async fn beside(&self) -> Beside {
        match self.place {
            Place::Files(_) => Beside::Sqlite(SqliteConnection::connect(&self.address).await.expect("opens")),
            Place::Server(_) => Beside::MySql(MySqlConnection::connect(&self.address).await.expect("connects")),
        }
    }

    /// Lets time pass for who asks the database for it: a server's clock cannot be set, so what it has noted grows
    /// older instead.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.set(self.clock.now().plus(time));
        if let Place::Server(_) = self.place {
            let micros = time.as_micros();
            for (table, column) in [("leases", "lease_until"), ("proxies", "seen_at"), ("workers", "seen_at")] {
                let sql = format!("UPDATE {table} SET {column} = {column} - INTERVAL {micros} MICROSECOND");
                self.beside().await.run(&sql).await;
            }
        }
    }

    /// The database on a server.
    pub(crate) fn database(&self) -> &Database {
        match &self.place {
            Place::Server(database) => database,
            Place::Files(_) => panic!("a file is on no server"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        match &self.place {
            Place::Files(directory) => directory.path().join(name),
            Place::Server(_) => panic!("a server's files are its own"),
        }
    }
}

/// A connection beside the store.
pub(crate) enum Beside {
    Sqlite(SqliteConnection),
    MySql(MySqlConnection),
}

impl Beside {
    pub(crate) async fn run(&mut self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => drop(connection.execute(sql).await.expect("is done")),
            Self::MySql(connection) => drop(connection.execute(sql).await.expect("is done")),
        }
    }

    /// A statement in the words of `SQLite`, or of a server.
    pub(crate) async fn run_either(&mut self, sqlite: &str, server: &str) {
        let sql = if matches!(self, Self::Sqlite(_)) { sqlite } else { server };
        self.run(sql).await;
    }

    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(connection).await.expect("is there"),
            Self::MySql(connection) => sqlx::query_scalar(sql).fetch_one(connection).await.expect("is there"),
        }
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
        rewrapped: None,
    }
}

pub(crate) fn batch(messages: Vec<NewMessage>) -> RegisterBatch {
    RegisterBatch {
        keys: Vec::new(),
        messages,
        dead_letters: Vec::new(),
        routed: Routed::default(),
        instance: "one".into(),
    }
}

pub(crate) fn dead(dead_letters: Vec<NewDeadLetter>) -> RegisterBatch {
    RegisterBatch { dead_letters, ..batch(Vec::new()) }
}
