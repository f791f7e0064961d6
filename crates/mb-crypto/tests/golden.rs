//! Bytes written by version 1 of each format must stay readable for ever: they lie in journals, stores and backups.
//!
//! The files in `golden/` were written once and are never written again. A new format version adds files beside them.

use std::path::Path;

use mb_core::envelope::SignedKey;
use mb_core::{Content, Envelope, Role, Timestamp};
use mb_crypto::master::{MasterKey, MasterKeys, public_from_text};
use mb_crypto::sealed_value::{self, Purpose};
use mb_crypto::totp::TotpSecret;
use mb_crypto::{TrustAnchors, data_key, identity, pem};

fn read(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).expect("a golden file")
}

fn text(name: &str) -> String {
    String::from_utf8(read(name)).expect("UTF-8")
}

/// When the golden files were made: 2026-01-15T12:00:00Z.
const MADE: Timestamp = Timestamp::from_micros(1_768_478_400_000_000);

#[test]
fn master_key_v1_is_read() {
    let master = MasterKey::from_text(&text("master-key-v1.txt")).expect("a master key");
    assert_eq!(master.id().to_string(), "13bc7b555e6f22d5ecbaf2a883de2bad");
    assert_eq!(public_from_text(&text("master-key-v1.pub.txt")).expect("a public key"), master.public());
    let secret = master.unwrap_secret("golden", &read("secret-v1.bin")).expect("opened");
    assert_eq!(&secret[..], b"a small secret");
}

/// The file was made by another implementation (Python, cryptography).
#[test]
fn sealed_value_v1_is_opened() {
    let master = MasterKey::from_text(&text("master-key-v1.txt")).expect("a master key");
    let sealed = read("sealed-value-v1.bin");
    assert_eq!(sealed_value::master_key_id(&sealed).expect("an id"), master.id());
    let opened = sealed_value::open(&MasterKeys::from(master), Purpose::TotpSecret, "7", &sealed).expect("opened");
    assert_eq!(TotpSecret::from_bytes(&opened).expect("a secret").expose(), b"12345678901234567890");
}

#[test]
fn signed_key_v1_and_envelope_v1_are_opened() {
    let master = MasterKey::from_text(&text("master-key-v1.txt")).expect("a master key");
    let anchors = TrustAnchors::from_pem(&text("ca-v1.crt")).expect("a CA");
    let record = SignedKey::parse(&read("signed-key-v1.bin")).expect("a key record");
    assert_eq!(record.created_at, MADE);
    let signer = data_key::verify_signer(&record, &anchors).expect("a proxy's signature");
    assert_eq!((signer.name.as_str(), signer.role), ("proxy", Role::Proxy));
    let key = master.unwrap(&record).expect("unwrapped");
    let bytes = read("envelope-v1.bin");
    let envelope = Envelope::parse(&bytes).expect("an envelope");
    assert_eq!(envelope.header.message_id.to_string(), "019bc1b2-7800-7abc-8def-0123456789ab");
    assert_eq!(envelope.header.key_id, key.key_id());
    assert_eq!(envelope.header.client.as_str(), "demo");
    assert_eq!(envelope.header.topic.as_str(), "orders.eu");
    let opened = key.open(&envelope).expect("opened");
    let content = Content {
        sender_number: Some("+4915112345678"),
        body: "Grüße, \u{1f44b} 你好 مرحبا",
        metadata: Some("{\"branch\":7}"),
    };
    assert_eq!(Content::parse(&opened), Some(content));
}

#[test]
fn certificates_of_version_1_name_the_same_holders() {
    let anchors = TrustAnchors::from_pem(&text("ca-v1.crt")).expect("a CA");
    let chain = pem::certificates(&text("client-v1.crt")).expect("a certificate");
    let found = anchors.verify(&chain, MADE).expect("verified");
    assert_eq!(found, identity::from_der(&chain[0]).expect("an identity"));
    assert_eq!((found.name.as_str(), found.role), ("demo", Role::Client));
    assert_eq!(found.domain.map(|domain| domain.to_string()).as_deref(), Some("acme"));
    assert_eq!(found.fingerprint, "5a7cfdf9a5248f91fdefb8a70e96030d726c693be40fd28cefb7d5c687fbf17b");
    assert_eq!(
        (found.not_before.seconds(), found.not_after.seconds()),
        (MADE.seconds() - 300, MADE.seconds() + 86_400)
    );
}
