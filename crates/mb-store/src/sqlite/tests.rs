//! What the contract suite cannot see from outside: plans, faults of the disk, transactions that are left behind.

use mb_core::Clock;
use sqlx::SqlSafeStr as _;

use super::*;
use crate::backend::Backend;
use crate::message_list::{FULL, candidates};
use crate::messages::{DEAD_STATUSES, EXISTING, LACKING, MESSAGE, PRESENT, STATUSES};
use crate::newest::NEWEST;
use crate::retention::{DONE_WITH, LETTERS_OF_DOMAIN, LETTERS_OF_NOBODY, OLDEST};
use crate::{RegisterBatch, Routed, Store};
use crate::{audit_list, many_rows};

async fn store() -> (Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let address = directory.path().join("store.db").display().to_string();
    let store = Store::open(&address, Clock::System).await.unwrap();
    store.migrate().await.unwrap();
    (store, directory)
}

fn sqlite(store: &Store) -> &Sqlite {
    match store.backend() {
        Backend::Sqlite(db) => db,
        Backend::MySql(_) => panic!("a path is opened as a file"),
    }
}

/// What `SQLite` would do for a statement, a line for each step.
async fn plan(store: &Store, sql: &str) -> Vec<String> {
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")).into_sql_str();
    let rows = store.backend().fetch(explain, []).await.unwrap();
    rows.iter().map(|row| row.text(3).unwrap().to_owned()).collect()
}

async fn count_domains(store: &Store) -> i64 {
    store.backend().fetch_optional("SELECT COUNT(*) FROM domains", []).await.unwrap().unwrap().int(0).unwrap()
}

/// Rows of ten domains and a hundred clients, spread over time, and what `SQLite` finds out about them by ANALYZE, on which
/// its plans depend.
async fn generate(store: &Store) {
    let rows = 100_i64 << many_rows::doublings();
    let messages = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) \
                    INSERT INTO messages (message_id, client_id, domain, topic, queued_at, key_id, \
                    sender_number_hashed, encrypted_body, status, registered_at) \
                    SELECT randomblob(16), 'client-' || (i % 100), 'domain-' || (i % 10), 'default', i * 1000000, \
                    randomblob(16), randomblob(32), randomblob(200), 'delivered', i * 1000000 FROM n";
    let letters = "INSERT INTO dead_letters (message_id, digest, reason, envelope, client_id, domain, topic, queued_at, \
                   created_at) SELECT message_id, sender_number_hashed, 'stale', encrypted_body, client_id, domain, \
                   topic, queued_at, registered_at FROM messages LIMIT ? / 10";
    let audit = "INSERT INTO audit_log (at, actor, action, object, detail) \
                 SELECT queued_at, client_id, 'thing.do', domain, '{}' FROM messages LIMIT ? / 10";
    let mut tx = store.backend().begin().await.unwrap();
    for sql in [messages, letters, audit] {
        tx.execute(sql, [Value::Int(rows)]).await.unwrap();
    }
    tx.execute("ANALYZE", []).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn hot_statements_search_by_their_index_however_many_rows_there_are() {
    let (store, _directory) = store().await;
    hot_statements_search(&store).await;
    each_list_goes_by_its_index(&store).await;
    generate(&store).await;
    hot_statements_search(&store).await;
    each_list_goes_by_its_index(&store).await;
}

async fn hot_statements_search(store: &Store) {
    let lists = [
        candidates::OF_DOMAIN,
        candidates::OF_CLIENT,
        candidates::DEAD_OF_DOMAIN,
        candidates::DEAD_OF_CLIENT,
        candidates::BY_ID,
        candidates::DEAD_BY_ID,
        candidates::BY_SENDER.sqlite,
        candidates::DOMAINS.sqlite,
        candidates::DEAD_DOMAINS.sqlite,
        FULL.sqlite,
    ];
    let audit = [audit_list::BY_TIME, audit_list::BY_ACTOR, audit_list::BY_OBJECT];
    let by_ids = [LACKING, PRESENT, EXISTING, STATUSES, DEAD_STATUSES, DONE_WITH].map(|statement| statement.sqlite);
    for sql in by_ids
        .into_iter()
        .chain([MESSAGE, OLDEST, LETTERS_OF_DOMAIN.sqlite, LETTERS_OF_NOBODY.sqlite])
        .chain(lists)
        .chain(audit)
    {
        let plan = plan(store, sql).await;
        let names = |verb: &str, line: &String| {
            ["messages", "dead_letters", "letter", "other", "audit_log"]
                .iter()
                .any(|table| line.starts_with(&format!("{verb} {table}")))
        };
        assert!(plan.iter().any(|line| names("SEARCH", line)), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|line| names("SCAN", line)), "{sql}: {plan:?}");
    }
}

async fn each_list_goes_by_its_index(store: &Store) {
    let expected = [
        (candidates::OF_DOMAIN, "messages_domain (domain=? AND queued_at>? AND queued_at<?)"),
        (candidates::OF_CLIENT, "messages_client (client_id=? AND queued_at>? AND queued_at<?)"),
        (candidates::DEAD_OF_DOMAIN, "dead_letters_domain (domain=? AND queued_at>? AND queued_at<?)"),
        (candidates::DEAD_OF_CLIENT, "dead_letters_client (client_id=? AND queued_at>? AND queued_at<?)"),
        (NEWEST, "messages_client (client_id=? AND queued_at>?)"),
        (candidates::BY_ID, "(message_id>? AND message_id<?)"),
        (candidates::BY_SENDER.sqlite, "messages_sender (<expr>=? AND sender_number_hashed=?)"),
        (candidates::DOMAINS.sqlite, "messages_domain (domain>?)"),
        (OLDEST, "messages_domain (domain=? AND queued_at>? AND queued_at<?)"),
        (LETTERS_OF_DOMAIN.sqlite, "dead_letters_domain (domain=? AND queued_at>? AND queued_at<?)"),
        (LETTERS_OF_NOBODY.sqlite, "dead_letters_domain (domain=? AND queued_at=? AND rowid>?)"),
        (audit_list::BY_TIME, "audit_log_at (at>? AND at<?)"),
        (audit_list::BY_ACTOR, "audit_log_actor (actor=? AND at>? AND at<?)"),
        (audit_list::BY_OBJECT, "audit_log_object (object=? AND at>? AND at<?)"),
    ];
    for (sql, index) in expected {
        let plan = plan(store, sql).await;
        assert!(plan.iter().any(|line| line.contains(index)), "{index}: {plan:?}");
        // Equal times alone are sorted: a page costs what it shows, not what lies behind it.
        assert!(!plan.iter().any(|line| line == "USE TEMP B-TREE FOR ORDER BY"), "{sql}: {plan:?}");
    }
}

#[tokio::test]
async fn the_database_syncs_every_commit_and_bounds_its_memory() {
    let (store, _directory) = store().await;
    let mut writer = sqlite(&store).writer().acquire().await.unwrap();
    let pragmas = ["PRAGMA synchronous", "PRAGMA foreign_keys", "PRAGMA cache_size"];
    for (pragma, expected) in pragmas.into_iter().zip([2, 1, -16384]) {
        let value = sqlx::query_scalar::<_, i64>(pragma).fetch_one(&mut *writer).await.unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
    let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode").fetch_one(&mut *writer).await.unwrap();
    assert_eq!(mode, "wal");
    let mut tx = sqlite(&store).readers.begin().await.unwrap();
    let error = sqlx::query("DELETE FROM settings").execute(&mut *tx).await.map_err(StoreError::from).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)) && error.is_passing(), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let (store, directory) = store().await;
    store.new_epoch("test").await.unwrap();
    for name in ["store.db", "store.db-wal"] {
        let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_left_behind_is_undone_at_once() {
    let (store, _directory) = store().await;
    let mut tx = store.backend().begin().await.unwrap();
    tx.execute("INSERT INTO domains (name, created_at) VALUES ('left', 0)", []).await.unwrap();
    drop(tx);
    let mut tx = store.backend().begin().await.unwrap();
    tx.execute("INSERT INTO domains (name, created_at) VALUES ('kept', 0)", []).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count_domains(&store).await, 1);
}

#[tokio::test]
async fn a_full_disk_passes() {
    let (store, _directory) = store().await;
    let mut tx = store.backend().begin().await.unwrap();
    tx.execute("PRAGMA max_page_count = 1", []).await.unwrap();
    tx.rollback().await.unwrap();
    let letter = crate::NewDeadLetter {
        message_id: mb_core::MessageId::from_bytes([1; 16]),
        reason: "stale".into(),
        envelope: vec![1; 1_000_000].into(),
        header: None,
        created_at: mb_core::Timestamp::default(),
    };
    let call = RegisterBatch {
        keys: Vec::new(),
        messages: Vec::new(),
        dead_letters: vec![letter],
        routed: Routed::default(),
        instance: "test".into(),
    };
    let error = store.register(call.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Full(_)) && error.is_passing(), "{error}");
    assert!(matches!(store.check().await, Err(StoreError::Full(_))), "unhealthy while nothing can be written");
    // The bound was the connection's; the one that met the fault is gone.
    store.register(call).await.unwrap();
    store.check().await.unwrap();
    assert_eq!(store.dead_letters(None, 2).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_whose_writer_has_ended_is_not_well() {
    let (store, _directory) = store().await;
    store.check().await.unwrap();
    store.shared.writer.lock().unwrap().as_ref().unwrap().abort();
    let call = RegisterBatch {
        keys: Vec::new(),
        messages: Vec::new(),
        dead_letters: Vec::new(),
        routed: Routed::default(),
        instance: "test".into(),
    };
    assert!(matches!(store.register(call).await, Err(StoreError::Closed)));
    assert!(matches!(store.check().await, Err(StoreError::Closed)));
}
