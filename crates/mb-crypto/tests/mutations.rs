//! What comes from outside is read without a panic and within bounds, however it was changed.

mod mutation;

use mb_core::envelope::SignedKey;
use mb_core::handover::Batch;
use mb_core::submission::{BodyRules, Submission};
use mb_core::{Content, Envelope, Policy, Timestamp};
use mb_crypto::ca::SigningRequest;
use mb_crypto::master::{MasterKey, public_from_text};
use mb_crypto::{TrustAnchors, identity, pem};
use mutation::{run, seeds};

fn as_text(bytes: &[u8], read: impl Fn(&str)) {
    read(&String::from_utf8_lossy(bytes));
}

#[test]
fn signing_requests() {
    run(&seeds(&["corpus/ec.csr", "corpus/rsa.csr", "corpus/ed25519.csr"]), |bytes| {
        as_text(bytes, |text| drop(SigningRequest::from_pem(text)));
    });
}

#[test]
fn certificates_and_keys_in_pem() {
    let files =
        ["golden/ca-v1.crt", "golden/client-v1.crt", "golden/master-key-v1.txt", "golden/master-key-v1.pub.txt"];
    run(&seeds(&files), |bytes| {
        as_text(bytes, |text| {
            if let Ok(chain) = pem::certificates(text) {
                for der in &chain {
                    drop(identity::from_der(der));
                }
            }
            drop((TrustAnchors::from_pem(text), pem::private_key(text), pem::revocation_list(text)));
            drop((MasterKey::from_text(text), public_from_text(text)));
        });
    });
}

#[test]
fn certificates_in_der() {
    let der =
        |pem: &Vec<u8>| pem::certificates(std::str::from_utf8(pem).expect("text")).expect("a certificate").remove(0);
    let seeds: Vec<_> =
        seeds(&["golden/client-v1.crt", "golden/ca-v1.crt"]).iter().map(|pem| der(pem).to_vec()).collect();
    run(&seeds, |bytes| drop((identity::from_der(bytes), identity::life(bytes))));
}

#[test]
fn envelopes_data_keys_and_batches() {
    run(&seeds(&["golden/envelope-v1.bin", "golden/signed-key-v1.bin"]), |bytes| {
        drop((Envelope::parse(bytes), SignedKey::parse(bytes), Content::parse(bytes)));
        let batch = Batch { keys: vec![bytes], envelopes: vec![bytes] };
        let mut encoded = Vec::new();
        batch.encode(&mut encoded);
        assert!(Batch::parse(&encoded).is_some(), "what is written is read");
        drop(Batch::parse(bytes));
    });
}

#[test]
fn submissions() {
    run(&seeds(&["corpus/submission.json", "corpus/policy.json"]), |bytes| {
        drop(Submission::from_json(bytes, BodyRules::default(), Timestamp::default()));
    });
}

#[test]
fn policies() {
    run(&seeds(&["corpus/policy.json", "corpus/submission.json"]), |bytes| {
        drop(serde_json::from_slice::<Policy>(bytes));
    });
}

#[test]
fn the_seeds_themselves_are_good() {
    let seed = |name: &str| seeds(&[name]).remove(0);
    for name in ["corpus/ec.csr", "corpus/rsa.csr", "corpus/ed25519.csr"] {
        as_text(&seed(name), |text| drop(SigningRequest::from_pem(text).expect(name)));
    }
    assert!(serde_json::from_slice::<Policy>(&seed("corpus/policy.json")).is_ok());
    let submission = seed("corpus/submission.json");
    let now = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("a time");
    assert!(Submission::from_json(&submission, BodyRules::default(), now).is_ok());
}
