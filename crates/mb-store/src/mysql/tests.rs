//! What the contract suite cannot see from outside: sessions, plans over many rows, transactions that are left behind.

#[path = "../../tests/server/mod.rs"]
mod server;

mod needs_mariadbd;
mod needs_mysqld;

use mb_core::Clock;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::*;
use crate::backend::Backend;
use crate::{RegisterBatch, Routed, Store};
use server::{Database, Product};

mod plans;

async fn store(product: Product) -> (Store, Database) {
    let database = Database::create(product).await;
    let store = Store::open(&database.address(), Clock::System).await.unwrap();
    store.migrate().await.unwrap();
    (store, database)
}

fn mysql(store: &Store) -> &MySql {
    match store.backend() {
        Backend::MySql(db) => db,
        Backend::Sqlite(_) => panic!("the address is a server's"),
    }
}

/// Whatever the server is set to, a session means the same.
async fn sessions_are_strict_and_speak_utc(product: Product) {
    let (store, _database) = store(product).await;
    let sql = "SELECT CONCAT_WS(' ', @@session.time_zone, @@session.character_set_client, \
               @@session.character_set_results, @@session.collation_connection, @@session.innodb_lock_wait_timeout, @@session.wait_timeout)";
    for pool in [&mysql(&store).pool, &mysql(&store).registering] {
        let said = sqlx::query_scalar::<_, String>(sql).fetch_one(pool).await.unwrap();
        assert_eq!(said, "+00:00 utf8mb4 utf8mb4 utf8mb4_bin 3 30");
        let mode = sqlx::query_scalar::<_, String>("SELECT @@session.sql_mode").fetch_one(pool).await.unwrap();
        assert!(mode.contains("STRICT_ALL_TABLES") && !mode.contains("NO_BACKSLASH_ESCAPES"), "{mode}");
    }
    let mut tx = store.backend().begin().await.unwrap();
    let long = "x".repeat(64);
    let values = [Value::Text(&long), Value::Time(mb_core::Timestamp::default())];
    let cut = tx.execute("INSERT INTO domains (name, created_at) VALUES (?, ?)", values).await.unwrap_err();
    assert!(matches!(cut, StoreError::Refused(_)), "{cut}");
    tx.rollback().await.unwrap();
}

async fn a_transaction_that_is_left_behind_is_undone_at_once(product: Product) {
    let (store, _database) = store(product).await;
    let sql = "INSERT INTO domains (name, created_at) VALUES (?, UTC_TIMESTAMP(6))";
    let mut tx = store.backend().begin().await.unwrap();
    tx.execute(sql, [Value::Text("left")]).await.unwrap();
    drop(tx);
    let mut tx = store.backend().begin().await.unwrap();
    tx.execute(sql, [Value::Text("kept")]).await.unwrap();
    tx.commit().await.unwrap();
    let names = store.domains().await.unwrap().into_iter().map(|domain| domain.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names, ["kept"]);
}

async fn a_registering_connection_that_was_cut_is_replaced(product: Product) {
    let (store, database) = store(product).await;
    let call = || RegisterBatch {
        keys: Vec::new(),
        messages: Vec::new(),
        dead_letters: Vec::new(),
        routed: Routed::default(),
        instance: "t".into(),
    };
    store.register(call()).await.unwrap();
    let own = "SELECT CONNECTION_ID()";
    let id = sqlx::query_scalar::<_, u64>(own).fetch_one(&mysql(&store).registering).await.unwrap();
    server::administer(database.port, &format!("KILL {id}")).await;
    store.register(call()).await.unwrap();
    store.check().await.unwrap();
}

const DELIVERY: [&str; 4] = [
    "INSERT INTO domains (name, created_at) VALUES ('d', UTC_TIMESTAMP(6))",
    "INSERT INTO destinations (id, domain, name, is_live, kind, state, url, topics, clients, retry, concurrency, \
     created_at, changed_at, breaker) VALUES (7, 'd', 'n', 1, 'webhook', 'enabled', 'https://r/', '', '', '5s', 8, \
     UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), '')",
    "INSERT INTO messages (message_id, client_id, domain, topic, queued_at, key_id, sender_number_hashed, \
     encrypted_body, status, registered_at) VALUES (REPEAT('m', 16), 'c', 'd', 't', UTC_TIMESTAMP(6), \
     REPEAT('k', 16), REPEAT('h', 32), 'sealed', 'queued', UTC_TIMESTAMP(6))",
    "INSERT INTO deliveries (message_id, destination_id, state, lane, due_at, created_at) \
     VALUES (REPEAT('m', 16), 7, 'open', 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
];

/// Whoever leases does not wait for the others' turn, so that what is withdrawn meanwhile must see it.
async fn what_is_being_leased_is_not_withdrawn(product: Product) {
    let (store, _database) = store(product).await;
    for sql in DELIVERY {
        mysql(&store).pool.execute(sql).await.unwrap();
    }
    let mut lease = store.backend().begin_leasing().await.unwrap();
    let sql = "UPDATE deliveries SET lease_id = REPEAT('l', 16), leased_by = 'w', \
               due_at = UTC_TIMESTAMP(6) + INTERVAL 60 SECOND";
    lease.execute(sql, []).await.unwrap();
    let message = mb_core::MessageId::from_bytes([b'm'; 16]);
    let instance = "t".into();
    let cancel = store.cancel_message(message, None, &instance, "test");
    let commit = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        lease.commit().await.unwrap();
    };
    let (cancelled, ()) = tokio::join!(cancel, commit);
    assert_eq!(cancelled.unwrap(), crate::Cancelled::InDelivery);
}

async fn a_transaction_that_gave_way_is_done_again(product: Product) {
    let (store, _database) = store(product).await;
    let pool = &mysql(&store).pool;
    for (conflict, tries) in [(1213, 4), (1205, 4), (3101, 4)] {
        let mut left = tries;
        let work = crate::retrying::retrying(|| {
            left -= 1;
            let sql =
                format!("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {conflict}, MESSAGE_TEXT = 'said by the test'");
            let sql = if left > 0 { sql } else { "DO 0".to_owned() };
            async move { pool.execute(AssertSqlSafe(sql)).await.map(drop).map_err(StoreError::from) }
        });
        work.await.unwrap_or_else(|error| panic!("{conflict}: {error}"));
    }
}

/// What a server says is sorted by what is to be done: try again at once, later, when an operator has been there, never.
async fn faults_are_sorted_by_what_is_to_be_done(product: Product) {
    let (store, _database) = store(product).await;
    let cases = [
        (1213, "busy", true),
        (1205, "busy", true),
        (3101, "busy", true),
        (1114, "full", false),
        (1290, "read-only", false),
        (1045, "unavailable", false),
        (1047, "unavailable", false),
        (1317, "unavailable", false),
        (1062, "refused", false),
        (1406, "refused", false),
    ];
    for (number, word, conflict) in cases {
        let sql = format!("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'said by the test'");
        let error = mysql(&store).pool.execute(AssertSqlSafe(sql)).await.unwrap_err();
        let error = StoreError::from(error);
        assert!(error.to_string().contains(word), "{number}: {error}");
        assert_eq!((error.is_conflict(), error.is_passing()), (conflict, word != "refused"), "{number}");
    }
}

/// What an operator is told of a server. The tests' own is forgetful on purpose, and its user may do everything.
async fn a_server_tells_how_it_is_set_up(product: Product) {
    let (store, database) = store(product).await;
    let report = store.server_report().await.unwrap().expect("a server");
    assert_eq!(report.database, database.name);
    assert_eq!((report.flush_log_at_commit, report.sync_binlog), (Some(0), None));
    assert!(report.is_durable().is_err_and(|reason| reason.contains("innodb_flush_log_at_trx_commit is 0")));
    assert_eq!(report.charset, "utf8mb4");
    assert!(report.max_packet.is_some_and(|bytes| bytes >= 1 << 20), "{report:?}");
    assert!(report.grants.iter().any(|grant| grant.starts_with("GRANT ") && grant.contains("WITH GRANT OPTION")));
    assert!(report.now.since(Clock::System.now()) < Duration::from_mins(1));
    assert!(report.version.chars().next().is_some_and(|c| c.is_ascii_digit()), "{}", report.version);
}
