//! The audit log: searched, chained, and closed to those who come too late.

use std::time::Duration;

use mb_core::audit::GENESIS;
use mb_store::{AuditCheckpoint, AuditFilter, AuditHead, Store};

use crate::fixture::{Fixture, NOW};

async fn record(store: &Store, actor: &str, action: &str, object: &str) {
    store.audit(actor, action, object, serde_json::json!({})).await.expect("records");
}

pub(crate) async fn rows_are_chained_in_order_and_once(fixture: Fixture) {
    let store = &fixture.store;
    for n in 0..3 {
        record(store, "a@x", "user.login", &format!("{n}")).await;
    }
    let start = store.audit_head().await.expect("reads");
    assert_eq!(start, AuditHead { position: 0, hash: GENESIS });
    let rows = store.unchained_audit(2).await.expect("reads");
    assert_eq!(rows.iter().map(|row| row.object.as_str()).collect::<Vec<_>>(), ["0", "1"]);
    assert_eq!(rows[0].record().to_bytes().first(), Some(&1));
    let links = [(rows[0].id, [1; 32]), (rows[1].id, [2; 32])];
    assert!(store.chain_audit(&start, &links).await.expect("chains"));
    assert!(!store.chain_audit(&start, &links).await.expect("asks"), "the chain goes on elsewhere");
    let head = store.audit_head().await.expect("reads");
    assert_eq!(head, AuditHead { position: 2, hash: [2; 32] });
    assert!(!store.chain_audit(&head, &links[..1]).await.expect("asks"), "it is chained already");
    assert_eq!(store.audit_head().await.expect("reads"), head, "nothing of a refused call remains");
    let rest = store.unchained_audit(10).await.expect("reads");
    assert!(store.chain_audit(&head, &[(rest[0].id, [3; 32])]).await.expect("chains"));
    assert!(store.unchained_audit(10).await.expect("reads").is_empty());
    let chain = store.audit_chain(0, 2).await.expect("reads");
    assert_eq!((chain[0].prev_hash, chain[0].hash, chain[1].prev_hash), (GENESIS, [1; 32], [1; 32]));
    assert_eq!(chain[0].entry, rows[0]);
    let behind = store.audit_chain(2, 10).await.expect("reads");
    assert_eq!((behind.len(), behind[0].position, behind[0].prev_hash), (1, 3, [2; 32]));
}

pub(crate) async fn what_was_committed_is_known_beside_the_database(fixture: Fixture) {
    let store = &fixture.store;
    store.recorded_audit();
    for n in 0..3 {
        record(store, "a@x", "user.login", &format!("{n}")).await;
    }
    let rows = store.unchained_audit(9).await.expect("reads");
    let recorded = store.recorded_audit();
    assert_eq!(recorded, rows[rows.len() - 3..]);
    assert!(store.recorded_audit().is_empty(), "once");
    let (first, last) = (recorded[0].id, recorded[2].id);
    let link = [(rows[0].id, [1; 32])];
    assert!(store.chain_audit(&store.audit_head().await.expect("reads"), &link).await.expect("chains"));
    let between = store.audit_between(rows[0].id, last).await.expect("reads");
    assert!(between[0].1 && !between[between.len() - 1].1, "{between:?}");
    assert_eq!(store.audit_between(first, last).await.expect("reads").len(), 3);
}

pub(crate) async fn checkpoints_are_kept_as_they_were_signed(fixture: Fixture) {
    let store = &fixture.store;
    assert_eq!(store.last_checkpoint().await.expect("reads"), None);
    let checkpoint = |position| AuditCheckpoint {
        at: NOW,
        position,
        audit_id: 7,
        hash: [1; 32],
        signature: vec![2, 3],
        certificate_pem: "-----BEGIN".into(),
    };
    for position in 1..=3 {
        store.insert_checkpoint(&checkpoint(position)).await.expect("inserts");
    }
    assert_eq!(store.last_checkpoint().await.expect("reads"), Some(checkpoint(3)));
    let first = store.checkpoints(0, 2).await.expect("reads");
    assert_eq!(first.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>(), [checkpoint(1), checkpoint(2)]);
    assert_eq!(store.checkpoints(first[1].0, 2).await.expect("reads").len(), 1);
}

pub(crate) async fn the_log_is_searched_page_by_page(fixture: Fixture) {
    let store = &fixture.store;
    let rows = [
        ("root", "user.create", "a@x"),
        ("a@x", "session.begin", "a@x"),
        ("root", "user.delete", "b@x"),
        ("a@x", "session.end", "a@x"),
        ("root", "domain.create", "eu"),
    ];
    for (n, (actor, action, object)) in (0..).zip(rows) {
        fixture.clock.set(NOW.plus(Duration::from_secs(n / 2)));
        record(store, actor, action, object).await;
    }
    let all = async |filter: &AuditFilter| {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = store.audit_page(filter, after, 2).await.expect("reads");
            found.extend(page.entries.into_iter().map(|row| row.entry.action));
            match page.next {
                Some(next) => after = Some(next),
                None => return found,
            }
        }
    };
    let text = |text: &str| Some(text.to_owned());
    let second = |n| Some(NOW.plus(Duration::from_secs(n)));
    let none = AuditFilter::default();
    let cases: [(AuditFilter, &[&str]); 8] = [
        (none.clone(), &["domain.create", "session.end", "user.delete", "session.begin", "user.create"]),
        (AuditFilter { actor: text("a@x"), ..none.clone() }, &["session.end", "session.begin"]),
        (AuditFilter { object: text("a@x"), ..none.clone() }, &["session.end", "session.begin", "user.create"]),
        (AuditFilter { action: text("user."), ..none.clone() }, &["user.delete", "user.create"]),
        (AuditFilter { actor: text("root"), object: text("a@x"), ..none.clone() }, &["user.create"]),
        (AuditFilter { actor: text("root"), action: text("dom"), ..none.clone() }, &["domain.create"]),
        (AuditFilter { from: second(1), to: second(2), ..none.clone() }, &["session.end", "user.delete"]),
        (AuditFilter { actor: text("nobody"), ..none }, &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(all(&filter).await, expected, "{filter:?}");
    }
}
