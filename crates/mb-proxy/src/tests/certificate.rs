//! What a proxy accepts under its own certificate: only what the main server will take.

use mb_core::envelope::SignedKey;
use mb_core::policy::CertificateRef;
use mb_crypto::TrustAnchors;
use mb_crypto::data_key::verify_signer;

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

async fn start(clock: &Clock) -> Rig {
    Rig::start_at(clock.clone(), 0, RateLimits::default()).await
}

/// The status and code of a submit by a client whose certificate is good at any time.
async fn submit(rig: &Rig) -> (u16, serde_json::Value) {
    let (status, answer) = rig.send("POST", paths::MESSAGES, "application/json", Body::from(MESSAGE)).await;
    (status.as_u16(), answer["code"].clone())
}

/// Whether the main server would take every key that the journal holds.
async fn all_taken(rig: &Rig) -> bool {
    let anchors = TrustAnchors::from_pem(rig.ca.certificate_pem()).expect("a CA");
    let claimed = Queue::Embedded(rig.journal.clone()).claim("test", Claim { entries: 100, bytes: 1 << 20 }).await;
    assert!(!claimed.entries.is_empty());
    let record = |key: &Bytes| SignedKey::parse(key).expect("a record");
    claimed.keys.iter().all(|key| verify_signer(&record(key), &anchors).is_ok())
}

#[tokio::test]
async fn a_clock_set_back_before_the_certificate_begins_makes_no_key_that_nobody_takes() {
    let clock = Clock::manual(NOW);
    let rig = start(&clock).await;
    clock.set(NOW.minus(Duration::from_hours(1)));
    assert_eq!(submit(&rig).await.0, 202);
    let first = rig.proxy.shared.sealer.key(&rig.server.policy, clock.now()).expect("a key").sealing.key_id();
    let second = rig.proxy.shared.sealer.key(&rig.server.policy, clock.now()).expect("a key").sealing.key_id();
    assert_eq!(first, second, "not a key for every message");
    assert!(all_taken(&rig).await);
    assert_eq!(rig.proxy.can_seal(), Ok(()));
}

#[tokio::test]
async fn an_expired_proxy_accepts_nothing_until_it_has_another_certificate() {
    let clock = Clock::manual(NOW);
    let rig = start(&clock).await;
    assert_eq!(submit(&rig).await.0, 202);
    clock.set(NOW.plus(Duration::from_mins(31)));
    assert_eq!(submit(&rig).await, (503, "proxy_untrusted".into()));
    assert!(rig.proxy.can_seal().is_err());
    rig.proxy.adopt(signer(&rig.ca, clock.now()));
    assert_eq!(submit(&rig).await.0, 202);
    assert!(all_taken(&rig).await);
}

#[tokio::test]
async fn a_certificate_of_another_ca_seals_nothing() {
    let clock = Clock::manual(NOW);
    let rig = start(&clock).await;
    let other = Ca::create("another CA", NOW).expect("a CA");
    rig.proxy.adopt(signer(&other, NOW));
    assert_eq!(submit(&rig).await, (503, "proxy_untrusted".into()));
    assert!(rig.proxy.can_seal().is_err());
}

#[tokio::test]
async fn a_revoked_proxy_seals_nothing_and_its_successor_uses_no_key_of_its() {
    let clock = Clock::manual(NOW);
    let rig = start(&clock).await;
    let sealer = &rig.proxy.shared.sealer;
    let mut policy = rig.server.policy.clone();
    let before = sealer.key(&policy, NOW).expect("a key");
    let verified = SignedKey::parse(&before.record).expect("a record");
    let anchors = TrustAnchors::from_pem(&policy.ca_pem).expect("a CA");
    let Identity { issuer, serial, .. } = verify_signer(&verified, &anchors).expect("good");
    policy.revoked.insert(CertificateRef { issuer, serial });
    let refused = sealer.key(&policy, NOW).err().map(|error| error.code());
    assert_eq!(refused, Some(mb_api::problem::ProblemCode::ProxyUntrusted));
    rig.proxy.adopt(signer(&rig.ca, NOW));
    let after = sealer.key(&policy, NOW).expect("a key");
    assert_ne!(before.sealing.key_id(), after.sealing.key_id());
}
