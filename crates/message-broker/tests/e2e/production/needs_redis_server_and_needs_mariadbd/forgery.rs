//! Who can write to Redis can forge nothing: what is not as a proxy sealed it is refused and counted, and what it was put in
//! the place of comes again from the proxy's journal.

use std::time::{Duration, Instant};

use mb_core::envelope::SignedKey;
use mb_core::handover::Batch;
use mb_core::{ClientName, Clock, Content, DomainName, Envelope, Header, MessageId, Role, Topic};
use mb_crypto::ca::{Ca, IssueRequest};
use mb_crypto::data_key::{SealingKey, Signer};
use mb_crypto::{master, pem};
use rustls::SignatureScheme;

use super::super::cluster::{Cluster, wait_until};
use crate::harness::{accepted_id, submit};

const REFUSED: &str = "mb_server_register_results_total{result=\"refused\"}";

/// What a forger has who took over the worker's machine and Redis: public keys, the worker's certificate and its key.
struct Forger {
    sealing: SealingKey,
    /// Signed by a certificate for a proxy, of an authority of the forger's own.
    foreign: SignedKey,
    /// Signed by the worker's own certificate.
    worker: SignedKey,
}

impl Forger {
    fn new(cluster: &Cluster) -> Self {
        let read = |name: &str| std::fs::read_to_string(cluster.dir().join(name)).expect("readable");
        let now = Clock::System.now();
        let own = Ca::create("an authority of the forger's own", now).expect("a CA");
        let validity = Duration::from_hours(24);
        let request = IssueRequest { name: "proxy", role: Role::Proxy, domain: None, sans: &[], validity, now };
        let issued = own.issue(&request).expect("issues");
        let signer = Signer::from_pem(&issued.certificate_pem, issued.private_key_pem.expose()).expect("a signer");
        let server =
            master::public_from_text(&read("secrets/encryption.key.pub")).expect("the main server's public key");
        let (sealing, foreign) = SealingKey::new(&server, &signer, now).expect("a data key");
        let certificate = pem::certificates(&read("certs/worker.crt")).expect("a certificate").swap_remove(0);
        let mut worker = SignedKey { certificate: certificate.to_vec(), ..foreign.clone() };
        let to_sign = [b"mb-data-key-1\0".as_slice(), &worker.signed_bytes()].concat();
        let key = pem::private_key(&read("certs/worker.key")).expect("a key").clone_key();
        let key = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&key).expect("P-256");
        let key = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).expect("P-256");
        worker.signature = key.sign(&to_sign).expect("signs");
        Self { sealing, foreign, worker }
    }

    /// A message that demo never sent.
    fn message(&self, id: u8) -> Vec<u8> {
        let mut bytes = *b"\x01\x9a\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x00";
        bytes[15] = id;
        let header = Header {
            message_id: MessageId::from_bytes(bytes),
            key_id: self.sealing.key_id(),
            queued_at: Clock::System.now(),
            deliver_at: None,
            expires_at: None,
            client: ClientName::parse("demo").expect("valid"),
            domain: DomainName::default(),
            topic: Topic::default(),
        };
        let content = Content { sender_number: Some("+4915112345678"), body: "pay the forger", metadata: None };
        let mut envelope = Vec::new();
        self.sealing.seal(&header, &content, &mut envelope).expect("seals");
        envelope
    }
}

fn unit(keys: &[&[u8]], envelopes: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Batch { keys: keys.to_vec(), envelopes: envelopes.to_vec() }.encode(&mut bytes);
    bytes
}

/// The same envelope with one field of its header changed.
fn altered(envelope: &[u8], change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let parsed = Envelope::parse(envelope).expect("an envelope");
    let mut header = parsed.header.clone();
    change(&mut header);
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes.extend_from_slice(parsed.sealed);
    assert_ne!(bytes, envelope);
    bytes
}

fn wait_refused(cluster: &Cluster, count: u64) {
    wait_until(cluster, "the refusal", || cluster.worker_metric("mb_worker_refused_total") >= count);
    assert_eq!(cluster.worker_metric("mb_worker_refused_total"), count, "each is counted once");
    assert_eq!(cluster.metric(cluster.ports.server, REFUSED), count, "by both");
}

#[test]
fn what_no_proxy_sealed_is_refused_and_counted() {
    let cluster = Cluster::start();
    let mut queue = cluster.queue();
    let forger = Forger::new(&cluster);
    let (foreign, worker) = (forger.foreign.encode(), forger.worker.encode());
    let messages = [0, 1, 2].map(|id| forger.message(id));
    queue.add(&unit(&[&foreign], &[&messages[0]]));
    queue.add(&unit(&[&worker], &[&messages[1]]));
    queue.add(&unit(&[], &[&messages[2]]));
    wait_refused(&cluster, 3);
    wait_until(&cluster, "their removal", || cluster.queue().length() == 0);
    let id = submit(&mut cluster.demo().expect("connected"), "genuine");
    cluster.wait_stored(&[id].into(), Duration::from_mins(1));
    assert_eq!(cluster.stored(), (1, 1), "nothing of the forger's is stored");
    let letters = cluster.database.sql("SELECT COUNT(*) FROM broker.dead_letters");
    let keys = cluster.database.sql("SELECT COUNT(*) FROM broker.data_keys");
    assert_eq!((letters.trim(), keys.trim()), ("0", "1"), "nor kept otherwise");
    let log = cluster.log("worker");
    assert!(log.contains("envelope refused as not genuine"), "and it is told: {log}");
}

#[test]
fn a_changed_envelope_is_refused_and_the_genuine_one_still_arrives() {
    let mut cluster = Cluster::start_with(&[("MB_REDIS__FORWARD_AGAIN", "1")], &[]);
    cluster.kill_role("worker");
    let mut connection = cluster.demo().expect("connected");
    let body = r#"{"sender_number":"+4915112345678","message_body":"genuine","topic":"orders.eu"}"#;
    let id = accepted_id(&connection.post("/api/v1/messages", body).expect("answered"));
    wait_until(&cluster, "forwarding", || cluster.queue().length() == 1);

    let mut queue = cluster.queue();
    let (entry, bytes) = queue.entries().swap_remove(0);
    let genuine = Batch::parse(&bytes).expect("a unit");
    queue.delete(&entry);
    let later = Some(Clock::System.now().plus(Duration::from_hours(1)));
    for forged in [
        altered(genuine.envelopes[0], |header| header.topic = Topic::parse("orders.us").expect("valid")),
        altered(genuine.envelopes[0], |header| header.deliver_at = later),
        altered(genuine.envelopes[0], |header| header.expires_at = later),
        altered(genuine.envelopes[0], |header| header.client = ClientName::parse("other").expect("valid")),
        altered(genuine.envelopes[0], |header| header.domain = DomainName::parse("other").expect("valid")),
    ] {
        queue.add(&unit(&genuine.keys, &[&forged]));
    }
    cluster.start_role("worker");
    wait_until(&cluster, "a start", || std::net::TcpStream::connect(("127.0.0.1", cluster.ports.worker)).is_ok());
    wait_refused(&cluster, 5);
    assert_eq!(cluster.stored(), (0, 0));

    // What is sent later overtakes it, and so the proxy notices.
    let later = submit(&mut connection, "later");
    let begun = Instant::now();
    cluster.wait_stored(&[id.clone(), later].into(), Duration::from_mins(1));
    assert!(begun.elapsed() < Duration::from_secs(30), "it came by itself, soon: {:?}", begun.elapsed());
    let hex = id.replace('-', "");
    let row = format!(
        "SELECT topic, client_id, domain, deliver_at IS NULL, expires_at IS NULL FROM broker.messages WHERE message_id = X'{hex}'"
    );
    assert_eq!(cluster.database.sql(&row).trim(), "orders.eu\tdemo\tdefault\t1\t1");
}
