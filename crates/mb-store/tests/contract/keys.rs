//! What is sealed under master keys: found by its key, sealed anew, reported.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mb_core::{KeyId, Role, UserRole};
use mb_store::{KeyReport, NewMail, NewUser, RegisterBatch, SealedColumn};

use crate::fixture::{Fixture, batch, data_key, message};

const OLD: KeyId = KeyId::from_bytes([1; 16]);
const NEW: KeyId = KeyId::from_bytes([2; 16]);
const START: KeyId = KeyId::from_bytes([0; 16]);

/// A seal as far as the store looks into it.
fn seal(master: KeyId, rest: &str) -> Vec<u8> {
    [&[1][..], master.as_bytes(), rest.as_bytes()].concat()
}

pub(crate) async fn data_keys_are_sealed_anew_in_steps_and_once(fixture: Fixture) {
    let store = &fixture.store;
    let keys = vec![data_key(3, "three"), data_key(4, "four"), data_key(5, "five")];
    store.register(RegisterBatch { keys, ..batch(vec![message(1)]) }).await.expect("registers");
    assert_eq!(store.master_key_uses().await.expect("reads"), BTreeMap::from([(OLD, 3)]));
    let first = store.data_keys_not_under(NEW, START, 2).await.expect("reads");
    assert_eq!(first.iter().map(|row| row.key_id.as_bytes()[0]).collect::<Vec<_>>(), [3, 4]);
    let sealed = first.into_iter().map(|row| (row, seal(NEW, "again"))).collect::<Vec<_>>();
    assert_eq!(store.rewrap_data_keys(NEW, &sealed).await.expect("writes"), 2);
    assert_eq!(store.rewrap_data_keys(NEW, &sealed).await.expect("writes"), 0, "they are other ones by now");
    assert_eq!(store.master_key_uses().await.expect("reads"), BTreeMap::from([(OLD, 1), (NEW, 2)]));
    let left = store.data_keys_not_under(NEW, START, 2).await.expect("reads");
    assert_eq!(left.len(), 1);
    let row = store.data_key(KeyId::from_bytes([3; 16])).await.expect("reads").expect("there");
    assert_eq!((row.master_key_id, &row.record[..]), (NEW, &b"three"[..]));
    assert_eq!(row.rewrapped.as_deref(), Some(&seal(NEW, "again")[..]));
    // What comes with messages again does not undo it.
    let keys = vec![data_key(3, "three")];
    store.register(RegisterBatch { keys, ..batch(vec![message(2)]) }).await.expect("registers");
    let again = store.data_key(KeyId::from_bytes([3; 16])).await.expect("reads");
    assert_eq!(again.expect("there").master_key_id, NEW);
}

pub(crate) async fn a_sealed_value_is_replaced_only_as_it_was_read(fixture: Fixture) {
    let store = &fixture.store;
    let user = NewUser {
        email: "a@example.com".into(),
        password_hash: "hash".into(),
        role: UserRole::User,
        client: None,
        may_send: false,
        expires_at: None,
    };
    store.insert_user(&user, "test").await.expect("inserts");
    let id = store.user_by_email("a@example.com").await.expect("reads").expect("there").id;
    store.offer_totp(id, &seal(OLD, "totp"), "test").await.expect("writes");
    for (to, master) in [("a@example.com", OLD), ("b@example.com", NEW)] {
        let mail = NewMail { to: to.into(), subject: "s".into(), body: seal(master, "mail").into(), expires_at: None };
        store.enqueue_mail(&mail).await.expect("writes");
    }
    assert_eq!(store.master_key_uses().await.expect("reads"), BTreeMap::from([(OLD, 2), (NEW, 1)]));
    for (column, name) in [(SealedColumn::TotpSecret, ""), (SealedColumn::MailBody, "a@example.com")] {
        let rows = store.sealed_not_under(column, NEW, 0, 10).await.expect("reads");
        let [row] = &rows[..] else { panic!("{column:?}: {rows:?}") };
        assert_eq!(row.name, name);
        assert!(store.reseal(column, row, &seal(NEW, "again")).await.expect("writes"), "{column:?}");
        assert!(!store.reseal(column, row, &seal(NEW, "late")).await.expect("writes"), "{column:?}");
        assert_eq!(store.sealed_not_under(column, NEW, 0, 10).await.expect("reads"), []);
    }
    assert_eq!(store.master_key_uses().await.expect("reads"), BTreeMap::from([(NEW, 3)]));
    store.setting_or_insert("sealed", b"one", "test").await.expect("writes");
    assert!(store.exchange_setting("sealed", b"one", b"two").await.expect("writes"));
    assert!(!store.exchange_setting("sealed", b"one", b"three").await.expect("writes"));
    assert_eq!(store.setting("sealed").await.expect("reads").as_deref(), Some(&b"two"[..]));
}

pub(crate) async fn a_report_takes_the_place_of_the_one_before(fixture: Fixture) {
    let store = &fixture.store;
    let report = |reporter: u8, role, keys: &[KeyId]| KeyReport {
        reporter: KeyId::from_bytes([reporter; 16]),
        role,
        name: format!("p{reporter}"),
        master_keys: keys.iter().copied().collect::<BTreeSet<_>>(),
        reported_at: fixture.clock.now(),
    };
    store.report_keys(&report(1, Role::Proxy, &[OLD])).await.expect("writes");
    store.report_keys(&report(2, Role::Server, &[OLD, NEW])).await.expect("writes");
    let later = fixture.clock.now().plus(Duration::from_secs(90));
    fixture.clock.set(later);
    store.report_keys(&report(1, Role::Proxy, &[])).await.expect("writes");
    let reports = store.key_reports().await.expect("reads");
    assert_eq!(reports.iter().map(|report| report.master_keys.len()).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(reports[0].reported_at, later);
    assert_eq!(store.sweep_key_reports(later).await.expect("writes"), 1, "the main server's");
    assert!(store.forget_key_report(KeyId::from_bytes([1; 16]), "root").await.expect("writes"));
    assert!(!store.forget_key_report(KeyId::from_bytes([1; 16]), "root").await.expect("writes"));
    assert_eq!(store.key_reports().await.expect("reads"), []);
}
