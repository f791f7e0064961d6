//! What the seal and the signature must notice, and what they must let through.

use mb_core::{ClientName, DomainName, MessageId, Role, Topic};
use proptest::prelude::*;

use super::*;
use crate::TrustAnchors;
use crate::ca::{Ca, IssueRequest};
use crate::fixture;
use crate::master::MasterKey;

struct World {
    ca: Ca,
    master: MasterKey,
    sealing: SealingKey,
    record: SignedKey,
}

impl World {
    fn new() -> Self {
        let ca = fixture::ca();
        let proxy = fixture::issue(&ca, "proxy", Role::Proxy);
        let signer = Signer::from_pem(&proxy.certificate_pem, proxy.private_key_pem.expose()).expect("a signer");
        let master = MasterKey::generate().expect("a key");
        let (sealing, record) = SealingKey::new(&master.public(), &signer, fixture::now()).expect("a data key");
        Self { ca, master, sealing, record }
    }

    fn anchors(&self) -> TrustAnchors {
        TrustAnchors::from_pem(self.ca.certificate_pem()).expect("a CA")
    }

    fn data_key(&self) -> DataKey {
        self.master.unwrap(&self.record).expect("its own key")
    }

    fn envelope(&self, content: &Content<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        self.sealing.seal(&header(self.sealing.key_id()), content, &mut out).expect("sealed");
        out
    }
}

fn header(key_id: KeyId) -> Header {
    Header {
        message_id: MessageId::from_bytes([1; 16]),
        key_id,
        queued_at: Timestamp::from_micros(1_700_000_000_000_001),
        deliver_at: None,
        expires_at: Some(Timestamp::from_micros(1_700_000_100_000_001)),
        client: ClientName::parse("demo").expect("valid"),
        domain: DomainName::default(),
        topic: Topic::parse("orders.eu").expect("valid"),
    }
}

const CONTENT: Content<'static> =
    Content { sender_number: Some("+4915112345678"), body: "hello", metadata: Some("{\"a\":1}") };

#[test]
fn what_a_proxy_seals_the_main_server_opens() {
    let world = World::new();
    let identity = verify_signer(&world.record, &world.anchors()).expect("its own signature");
    assert_eq!((identity.name.as_str(), identity.role), ("proxy", Role::Proxy));
    let key = world.data_key();
    let bytes = world.envelope(&CONTENT);
    let envelope = Envelope::parse(&bytes).expect("an envelope");
    assert_eq!(Content::parse(&key.open(&envelope).expect("opened")), Some(CONTENT));
    assert!(!bytes.windows(5).any(|window| window == b"hello"), "the body is not in the clear");
    assert_ne!(bytes, world.envelope(&CONTENT), "a fresh nonce each time");
    assert_eq!(world.sealing.count(), 2);
}

#[test]
fn sealing_appends_and_leaves_what_was_there() {
    let world = World::new();
    let mut out = b"before".to_vec();
    world.sealing.seal(&header(world.sealing.key_id()), &CONTENT, &mut out).expect("sealed");
    assert_eq!(&out[..6], b"before");
    let envelope = Envelope::parse(&out[6..]).expect("an envelope");
    assert!(world.data_key().open(&envelope).is_ok());
    let length = out.len();
    let foreign = header(KeyId::from_bytes([9; 16]));
    assert!(matches!(world.sealing.seal(&foreign, &CONTENT, &mut out), Err(CryptoError::Invalid(_))));
    assert_eq!(out.len(), length);
}

#[test]
fn a_key_is_spent_after_an_hour_or_a_million_messages() {
    let world = World::new();
    let made = world.sealing.created_at();
    assert!(!world.sealing.is_spent(made.plus(MAX_AGE).minus(Duration::from_micros(1))));
    assert!(world.sealing.is_spent(made.plus(MAX_AGE)));
    assert!(!world.sealing.is_spent(made.minus(MAX_AGE)));
    world.sealing.count.store(MAX_MESSAGES, Ordering::Relaxed);
    assert!(world.sealing.is_spent(made));
    world.sealing.count.store(NONCE_BOUND, Ordering::Relaxed);
    assert!(world.sealing.seal(&header(world.sealing.key_id()), &CONTENT, &mut Vec::new()).is_err());
}

#[test]
fn every_changed_bit_of_an_envelope_is_noticed() {
    let world = World::new();
    let key = world.data_key();
    let bytes = world.envelope(&CONTENT);
    for position in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[position / 8] ^= 1 << (position % 8);
        if let Ok(envelope) = Envelope::parse(&changed) {
            assert!(matches!(key.open(&envelope), Err(CryptoError::Forged)), "bit {position}");
        }
    }
}

#[test]
fn parts_of_two_envelopes_do_not_mix() {
    let world = World::new();
    let key = world.data_key();
    let (one, two) = (world.envelope(&CONTENT), world.envelope(&Content { body: "other", ..CONTENT }));
    let (one, two) = (Envelope::parse(&one).expect("one"), Envelope::parse(&two).expect("two"));
    assert!(key.open_parts(one.header_bytes, two.sealed).is_ok(), "the headers are the same");
    let mut later = Vec::new();
    Header { topic: Topic::default(), ..one.header }.encode(&mut later);
    assert!(matches!(key.open_parts(&later, two.sealed), Err(CryptoError::Forged)));
    for length in [0, 1, NONCE_LEN, NONCE_LEN + 15] {
        assert!(matches!(key.open_parts(one.header_bytes, &two.sealed[..length]), Err(CryptoError::Forged)));
    }
}

#[test]
fn a_key_wrapped_to_another_master_key_is_unknown_and_a_moved_one_forged() {
    let world = World::new();
    let other = MasterKey::generate().expect("a key");
    assert!(matches!(other.unwrap(&world.record), Err(CryptoError::UnknownMasterKey(id)) if id == world.master.id()));
    let mut moved = world.record.clone();
    moved.key_id = KeyId::from_bytes([9; 16]);
    assert!(matches!(world.master.unwrap(&moved), Err(CryptoError::Forged)));
    let mut moved = world.record.clone();
    moved.created_at = moved.created_at.plus(Duration::from_secs(1));
    assert!(matches!(world.master.unwrap(&moved), Err(CryptoError::Forged)));
}

/// A record as a holder of `name`'s certificate would sign it, whatever its role.
fn signed_by(ca: &Ca, name: &str, role: Role, certified: Timestamp, at: Timestamp) -> SignedKey {
    let request = IssueRequest { now: certified, ..fixture::request(name, role) };
    let issued = ca.issue(&request).expect("issued");
    let signer = Signer::of_any_role(&issued.certificate_pem, issued.private_key_pem.expose()).expect("a signer");
    let master = MasterKey::generate().expect("a key");
    let mut record = SealingKey::new(&master.public(), &signer, certified).expect("a data key").1;
    record.created_at = at;
    record.signature = signer.sign(&record).expect("signed");
    record
}

#[test]
fn only_a_valid_proxy_of_a_trusted_ca_may_sign() {
    let ca = fixture::ca();
    let anchors = TrustAnchors::from_pem(ca.certificate_pem()).expect("a CA");
    let now = fixture::now();
    assert!(verify_signer(&signed_by(&ca, "proxy", Role::Proxy, now, now), &anchors).is_ok());
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Proxy) {
        let refused = verify_signer(&signed_by(&ca, "x", role, now, now), &anchors);
        assert!(matches!(refused, Err(CryptoError::WrongRole(found)) if found == role), "{role}: {refused:?}");
    }
    let foreign = verify_signer(&signed_by(&fixture::ca(), "proxy", Role::Proxy, now, now), &anchors);
    assert!(matches!(foreign, Err(CryptoError::Untrusted(_))), "{foreign:?}");
}

#[test]
fn validity_is_judged_at_the_time_of_signing() {
    let ca = fixture::ca();
    let anchors = TrustAnchors::from_pem(ca.certificate_pem()).expect("a CA");
    let certified = fixture::now();
    let end = certified.plus(fixture::DAY);
    for (signed, valid) in [
        (certified.minus(Duration::from_mins(6)), false),
        (certified.minus(Duration::from_mins(4)), true),
        (end.minus(Duration::from_mins(1)), true),
        (end.plus(Duration::from_mins(1)), false),
    ] {
        let result = verify_signer(&signed_by(&ca, "proxy", Role::Proxy, certified, signed), &anchors);
        assert_eq!(result.is_ok(), valid, "{signed}: {result:?}");
        assert!(valid || matches!(result, Err(CryptoError::OutsideValidity)));
    }
}

#[test]
fn a_key_is_good_whatever_the_clock_says_or_not_made_at_all() {
    let ca = fixture::ca();
    let anchors = TrustAnchors::from_pem(ca.certificate_pem()).expect("a CA");
    let certified = fixture::now();
    let issued = ca.issue(&IssueRequest { now: certified, ..fixture::request("proxy", Role::Proxy) }).expect("issued");
    let signer = Signer::from_pem(&issued.certificate_pem, issued.private_key_pem.expose()).expect("a signer");
    let master = MasterKey::generate().expect("a key");
    // Renewed, then the clock was set back: to before the certificate began.
    for back in [Duration::ZERO, Duration::from_mins(4), Duration::from_hours(1), fixture::DAY * 400] {
        let (key, record) = SealingKey::new(&master.public(), &signer, certified.minus(back)).expect("a data key");
        assert!(verify_signer(&record, &anchors).is_ok(), "{back:?} back");
        assert_eq!(key.created_at(), record.created_at);
        assert!(master.unwrap(&record).is_ok(), "{back:?} back");
    }
    let late = SealingKey::new(&master.public(), &signer, certified.plus(fixture::DAY * 2));
    assert!(matches!(late, Err(CryptoError::OutsideValidity)), "{late:?}");
}

#[test]
fn a_signer_needs_its_own_key_and_the_role() {
    let ca = fixture::ca();
    let (one, two) = (fixture::issue(&ca, "one", Role::Proxy), fixture::issue(&ca, "two", Role::Proxy));
    assert!(Signer::from_pem(&one.certificate_pem, two.private_key_pem.expose()).is_err());
    let worker = fixture::issue(&ca, "worker", Role::Worker);
    let refused = Signer::from_pem(&worker.certificate_pem, worker.private_key_pem.expose());
    assert!(matches!(refused, Err(CryptoError::WrongRole(Role::Worker))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_bit_of_a_key_record_is_noticed(position in any::<prop::sample::Index>()) {
        // One CA for many bits: making keys is what costs time here.
        thread_local!(static WORLD: World = World::new());
        WORLD.with(|world| {
            let anchors = world.anchors();
            let bytes = world.record.encode();
            let position = position.index(bytes.len() * 8);
            let mut changed = bytes.clone();
            changed[position / 8] ^= 1 << (position % 8);
            if let Ok(record) = SignedKey::parse(&changed) {
                assert!(verify_signer(&record, &anchors).is_err(), "bit {position}");
            }
        });
    }

    #[test]
    fn any_content_comes_back_as_it_went_in(
        number in proptest::option::of("\\+[1-9][0-9]{1,14}"),
        body in ".{1,300}",
        metadata in proptest::option::of("\\{\"[a-z]{1,50}\":\"[^\"\\\\]{0,50}\"\\}"),
    ) {
        thread_local!(static WORLD: World = World::new());
        WORLD.with(|world| {
            let content = Content { sender_number: number.as_deref(), body: &body, metadata: metadata.as_deref() };
            let bytes = world.envelope(&content);
            let opened = world.data_key().open(&Envelope::parse(&bytes).expect("an envelope")).expect("opened");
            assert_eq!(Content::parse(&opened), Some(content));
        });
    }
}
