//! What comes from outside is read without a panic and within bounds, however it was changed: a committed corpus, and
//! mutations of it that are the same in every run.
//!
//! `MB_MUTATIONS` says how many there are of each target; a run of more takes other ones too.

use std::path::Path;
use std::time::{Duration, Instant};

use mb_core::envelope::SignedKey;
use mb_core::handover::Batch;
use mb_core::submission::{BodyRules, Submission};
use mb_core::{Content, Envelope, Policy, Timestamp};
use mb_crypto::ca::SigningRequest;
use mb_crypto::master::{MasterKey, public_from_text};
use mb_crypto::{TrustAnchors, identity, pem};

/// Mutations of each target in an ordinary run.
const ORDINARY: u64 = 3000;

/// An ordinary run of a target ends after this, however slow the machine is.
const BOUND: Duration = Duration::from_secs(20);

fn seeds(names: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    names.iter().map(|name| std::fs::read(folder.join(name)).expect("a seed")).collect()
}

/// xorshift64* (Vigna, 2016): the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).expect("it is below a usize")
    }
}

/// Bytes turned, put in, taken out, doubled, cut off, or exchanged with another seed's.
fn mutate(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let (at, value) = (random.below(bytes.len()), random.next().to_le_bytes()[0]);
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << (value % 8),
            1 if !bytes.is_empty() => bytes[at] = value,
            2 => bytes.insert(at.min(bytes.len()), value),
            3 if !bytes.is_empty() => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            5 => {
                let part = bytes[at.min(bytes.len())..].to_vec();
                bytes.extend(part);
            }
            _ => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[random.below(other.len())..]);
            }
        }
    }
    bytes
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn run(names: &[&str], read: impl Fn(&[u8])) {
    let asked = std::env::var("MB_MUTATIONS").ok().and_then(|count| count.parse::<u64>().ok());
    let seeds = seeds(names);
    for seed in &seeds {
        read(seed);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let begun = Instant::now();
    for _ in 0..asked.unwrap_or(ORDINARY) {
        let (seed, other) = (random.below(seeds.len()), random.below(seeds.len()));
        read(&mutate(&seeds[seed], &seeds[other], &mut random));
        if asked.is_none() && begun.elapsed() > BOUND {
            return;
        }
    }
}

fn as_text(bytes: &[u8], read: impl Fn(&str)) {
    read(&String::from_utf8_lossy(bytes));
}

#[test]
fn signing_requests() {
    run(&["corpus/ec.csr", "corpus/rsa.csr", "corpus/ed25519.csr"], |bytes| {
        as_text(bytes, |text| drop(SigningRequest::from_pem(text)));
    });
}

#[test]
fn certificates_and_keys_in_pem() {
    let files =
        ["golden/ca-v1.crt", "golden/client-v1.crt", "golden/master-key-v1.txt", "golden/master-key-v1.pub.txt"];
    run(&files, |bytes| {
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = std::fs::read_to_string(folder.join("client-v1.crt")).expect("a seed");
    let der = pem::certificates(&text).expect("a certificate").swap_remove(0);
    let mut random = Random(7);
    for _ in 0..ORDINARY {
        drop(identity::from_der(&mutate(&der, &der, &mut random)));
    }
}

#[test]
fn envelopes_data_keys_and_batches() {
    run(&["golden/envelope-v1.bin", "golden/signed-key-v1.bin"], |bytes| {
        drop((Envelope::parse(bytes), SignedKey::parse(bytes), Content::parse(bytes)));
        let batch = Batch { keys: vec![bytes], envelopes: vec![bytes] };
        let mut encoded = Vec::new();
        batch.encode(&mut encoded);
        assert!(Batch::parse(&encoded).is_some(), "what is written is read");
        drop(Batch::parse(bytes));
    });
}

#[test]
fn submissions_and_policies() {
    run(&["corpus/submission.json", "corpus/policy.json"], |bytes| {
        drop(Submission::from_json(bytes, BodyRules::default(), Timestamp::default()));
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
