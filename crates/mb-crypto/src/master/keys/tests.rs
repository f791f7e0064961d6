//! A rotation step by step, and cut short after each of its steps.

use mb_core::Timestamp;
use std::path::PathBuf;
use tempfile::TempDir;

use super::*;
use crate::audit::ChainKey;
use crate::data_key::{SealingKey, Signer};
use crate::fixture;
use crate::sealed_value::Purpose;
use crate::search::SearchKey;
use mb_core::Role;

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("encryption.key");
    (directory, path)
}

fn opened(path: &Path) -> MasterKeys {
    MasterKeys::open(path).expect("readable").expect("there")
}

fn rotate(keys: &MasterKeys) -> KeyId {
    let next = keys.prepare().expect("prepared");
    assert!(keys.activate(next).expect("activated"));
    next
}

/// A data key that a proxy wraps to what is active now.
fn data_key(keys: &MasterKeys) -> SignedKey {
    let proxy = fixture::issue(&fixture::ca(), "proxy", Role::Proxy);
    let signer = Signer::from_pem(&proxy.certificate_pem, proxy.private_key_pem.expose()).expect("a signer");
    SealingKey::new(&keys.public(), &signer, fixture::now()).expect("a data key").1
}

#[test]
fn what_was_sealed_before_a_rotation_opens_after_it_and_after_a_restart() {
    let (_directory, path) = directory();
    assert!(MasterKeys::open(&path).expect("readable").is_none());
    let keys = MasterKeys::create(&path).expect("created");
    let first = keys.active().id();
    let (secret, data) = (keys.wrap_secret("a", b"hello").expect("sealed"), data_key(&keys));
    let value = sealed_value::seal(&keys, Purpose::TotpSecret, "7", b"totp").expect("sealed");
    let second = rotate(&keys);
    assert_eq!(keys.list(), [(second, KeyState::Active), (first, KeyState::Retired)]);
    for keys in [keys, opened(&path)] {
        assert_eq!(keys.active().id(), second);
        assert_eq!(keys.unwrap_secret("a", &secret).expect("opened")[..], *b"hello");
        assert_eq!(sealed_value::open(&keys, Purpose::TotpSecret, "7", &value).expect("opened")[..], *b"totp");
        assert_eq!(keys.unwrap(&data).expect("unwrapped").key_id(), data.key_id);
        let sealed = keys.wrap_secret("a", b"new").expect("sealed");
        assert_eq!(sealed_value::master_key_id(&sealed).expect("an id"), second);
    }
}

#[test]
fn what_is_sealed_anew_needs_the_old_key_no_more() {
    let keys = MasterKeys::generate().expect("a key");
    let first = keys.active().id();
    let (secret, data) = (keys.wrap_secret("a", b"hello").expect("sealed"), data_key(&keys));
    let value = sealed_value::seal(&keys, Purpose::TotpSecret, "7", b"totp").expect("sealed");
    rotate(&keys);
    let secret = keys.rewrap_secret("a", &secret).expect("opens").expect("sealed anew");
    let value = reseal(&keys, Purpose::TotpSecret, "7", &value).expect("opens").expect("sealed anew");
    let again = keys.rewrap(&data, None).expect("opens").expect("sealed anew");
    assert_eq!(keys.rewrap_secret("a", &secret).expect("opens"), None);
    assert_eq!(reseal(&keys, Purpose::TotpSecret, "7", &value).expect("opens"), None);
    assert_eq!(keys.rewrap(&data, Some(&again)).expect("opens"), None);
    assert!(keys.delete(first).expect("deleted"));
    assert_eq!(keys.unwrap_secret("a", &secret).expect("opened")[..], *b"hello");
    assert_eq!(sealed_value::open(&keys, Purpose::TotpSecret, "7", &value).expect("opened")[..], *b"totp");
    assert_eq!(keys.unwrap_again(&data, &again).expect("opened").key_id(), data.key_id);
    assert!(matches!(keys.unwrap(&data), Err(CryptoError::UnknownMasterKey(id)) if id == first));
    rotate(&keys);
    let third = keys.rewrap(&data, Some(&again)).expect("opens").expect("sealed anew");
    assert_ne!(third, again);
    assert!(keys.unwrap_again(&data, &third).is_ok());
}

#[test]
fn a_data_key_sealed_anew_opens_beside_its_own_record_alone_and_whole() {
    let keys = MasterKeys::generate().expect("a key");
    let (one, other) = (data_key(&keys), data_key(&keys));
    rotate(&keys);
    let sealed = keys.rewrap(&one, None).expect("opens").expect("sealed anew");
    assert!(matches!(keys.unwrap_again(&other, &sealed), Err(CryptoError::Forged)));
    let signed_by_another = SignedKey { signature: vec![1], ..one.clone() };
    assert!(matches!(keys.unwrap_again(&signed_by_another, &sealed), Err(CryptoError::Forged)));
    for position in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[position / 8] ^= 1 << (position % 8);
        assert!(keys.unwrap_again(&one, &changed).is_err(), "bit {position}");
    }
    for end in 0..sealed.len() {
        assert!(keys.unwrap_again(&one, &sealed[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn numbers_and_the_audit_log_keep_their_keys_across_a_rotation() {
    let keys = MasterKeys::generate().expect("a key");
    let (search, chain) = (SearchKey::generate(), ChainKey::derive(&keys.active()).expect("derived"));
    let (wrapped_search, wrapped_chain) = (search.wrap(&keys).expect("sealed"), chain.wrap(&keys).expect("sealed"));
    rotate(&keys);
    let again = SearchKey::unwrap(&keys, &wrapped_search).expect("opened");
    assert_eq!(again.hash("+4915112345678"), search.hash("+4915112345678"));
    let record = mb_core::audit::AuditRecord {
        id: 1,
        at: Timestamp::default(),
        actor: "root",
        action: "a",
        object: "b",
        detail: "{}",
    };
    let again = ChainKey::unwrap(&keys, &wrapped_chain).expect("opened");
    assert_eq!(again.link(&[0; 32], &record), chain.link(&[0; 32], &record));
    assert!(SearchKey::unwrap(&keys, &wrapped_chain).is_err());
}

#[test]
fn a_rotation_cut_short_anywhere_loses_no_key() {
    let (directory, path) = directory();
    let keys = MasterKeys::create(&path).expect("created");
    let first = keys.active();
    let second = keys.prepare().expect("prepared");
    assert_eq!(keys.prepare().expect("prepared"), second, "one is prepared at a time");
    let states = |path: &Path| opened(path).list();
    assert_eq!(states(&path), [(first.id(), KeyState::Active), (second, KeyState::Prepared)]);
    // The old key was written down, the new one is not active yet.
    let retired = directory.path().join(format!("encryption.{}.key", first.id()));
    std::fs::copy(&path, &retired).expect("copied");
    assert_eq!(states(&path), [(first.id(), KeyState::Active), (second, KeyState::Prepared)]);
    // The new one is active and still lies where it was prepared.
    std::fs::copy(directory.path().join("encryption.next.key"), &path).expect("copied");
    assert_eq!(states(&path), [(second, KeyState::Active), (first.id(), KeyState::Retired)]);
    assert!(keys.reload().expect("readable"));
    assert_eq!(keys.list(), states(&path));
    let third = keys.prepare().expect("prepared");
    assert_ne!(third, second);
}

#[test]
fn the_active_key_is_never_deleted_and_a_foreign_one_never_activated() {
    let (_directory, path) = directory();
    let keys = MasterKeys::create(&path).expect("created");
    let first = keys.active().id();
    assert!(!keys.delete(first).expect("asked"));
    assert!(!keys.activate(first).expect("asked"));
    let second = rotate(&keys);
    assert!(!keys.activate(first).expect("asked"), "a retired key does not come back");
    assert!(keys.delete(first).expect("deleted"));
    assert_eq!(opened(&path).list(), [(second, KeyState::Active)]);
}

#[test]
fn a_broken_key_file_changes_nothing_and_is_named() {
    let (directory, path) = directory();
    let keys = MasterKeys::create(&path).expect("created");
    let before = keys.list();
    let next = directory.path().join("encryption.next.key");
    crate::files::write_private(&next, b"garbage").expect("written");
    let error = keys.reload().expect_err("unreadable").to_string();
    assert!(error.contains("encryption.next.key"), "{error}");
    assert_eq!(keys.list(), before);
    std::fs::remove_file(&next).expect("removed");
    std::fs::rename(&path, directory.path().join("aside")).expect("moved");
    let error = keys.reload().expect_err("gone").to_string();
    assert!(error.contains("encryption.key"), "{error}");
    assert_eq!(keys.list(), before, "what is in memory stays");
}
