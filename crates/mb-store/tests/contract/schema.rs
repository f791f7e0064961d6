//! The life of the database itself: migrations, faults, sudden ends.

use mb_core::Topic;
use mb_store::{Registered, Store, StoreError};

use crate::fixture::{Fixture, batch, id, message};

pub(crate) async fn migrating_again_does_nothing(fixture: Fixture) {
    let epoch = fixture.store.epoch().await.expect("reads");
    assert_eq!(fixture.store.migrate().await.expect("migrates"), []);
    assert_eq!(fixture.store.epoch().await.expect("reads"), epoch);
    let status = fixture.store.migration_status().await.expect("reads");
    assert!(status.iter().all(|migration| migration.applied));
    assert_eq!(status.first().map(|migration| (migration.version, migration.description.as_str())), Some((1, "flow")));
}

pub(crate) async fn a_newer_schema_is_refused(fixture: Fixture) {
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
               VALUES (9999, 'future', 1, x'00', 0)";
    fixture.beside().await.run(sql).await;
    let error = fixture.store.migrate().await.expect_err("is newer");
    assert!(matches!(error, StoreError::SchemaNewer { found: 9999, .. }), "{error}");
    assert!(!error.is_passing());
    assert!(fixture.store.migration_status().await.is_err());
}

pub(crate) async fn what_was_answered_survives_without_a_close(fixture: Fixture) {
    fixture.store.register(batch((0..300).map(message).collect())).await.expect("registers");
    // The files as a killed process would leave them: the log is not written back.
    for suffix in ["", "-wal"] {
        std::fs::copy(fixture.path(&format!("store.db{suffix}")), fixture.path(&format!("copy.db{suffix}")))
            .expect("copies");
    }
    let copy = fixture.path("copy.db").display().to_string();
    let copy = Store::open(&copy, fixture.clock.clone()).await.expect("opens");
    assert_eq!(copy.migrate().await.expect("migrates"), []);
    let ids = (0..301).map(id).collect::<Vec<_>>();
    assert_eq!(copy.lacking(&ids).await.expect("reads").1, [id(300)]);
    copy.check().await.expect("is well");
    assert!(copy.size().await > 300 * 100);
}

pub(crate) async fn a_closed_store_says_so(fixture: Fixture) {
    let store = fixture.store.clone();
    let (first, ()) = tokio::join!(store.register(batch(vec![message(1)])), fixture.store.close());
    assert!(matches!(first, Ok(_) | Err(StoreError::Closed)), "{first:?}");
    let error = store.register(batch(vec![message(2)])).await.expect_err("is closed");
    assert!(matches!(error, StoreError::Closed) && error.is_passing(), "{error}");
    assert!(matches!(store.check().await, Err(StoreError::Closed)));
    store.close().await;
    let again = Store::open(&fixture.address, fixture.clock.clone()).await.expect("opens");
    let there = again.lacking(&[id(1), id(2)]).await.expect("reads").1;
    assert_eq!(there, if first.is_ok() { vec![id(2)] } else { vec![id(1), id(2)] });
}

pub(crate) async fn a_fault_of_one_call_does_not_reach_the_others(fixture: Fixture) {
    let mut beside = fixture.beside().await;
    let sqlite = "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.topic = 'refused' \
                  BEGIN SELECT RAISE(ABORT, 'refused by the test'); END";
    let server = "CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW BEGIN IF NEW.topic = 'refused' \
                  THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused by the test'; END IF; END";
    beside.run_either(sqlite, server).await;
    let mut bad = message(2);
    bad.header.topic = Topic::parse("refused").expect("valid");
    // While another connection holds the lock, the calls gather in one group.
    beside.run_either("BEGIN IMMEDIATE", "LOCK TABLES messages WRITE").await;
    let call = |messages| fixture.store.register(batch(messages));
    let (first, refused, second, ()) =
        tokio::join!(call(vec![message(1)]), call(vec![message(20), bad]), call(vec![message(3)]), async {
            beside.run_either("COMMIT", "UNLOCK TABLES").await;
        },);
    assert_eq!(first.expect("registers").messages, [Registered::Stored]);
    assert_eq!(second.expect("registers").messages, [Registered::Stored]);
    let error = refused.expect_err("is refused");
    assert!(matches!(error, StoreError::Refused(_)) && !error.is_passing(), "{error}");
    let lacking = fixture.store.lacking(&[id(1), id(2), id(3), id(20)]).await.expect("reads").1;
    assert_eq!(lacking, [id(2), id(20)]);
}
