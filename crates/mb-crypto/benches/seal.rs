//! What the proxy pays to seal a message and the main server to open it, and what a data key and a signer cost.
//!
//! `cargo bench -p mb-crypto`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use mb_core::envelope::SignedKey;
use mb_core::{ClientName, Clock, Content, DomainName, Envelope, Header, KeyId, MessageId, Role, Timestamp, Topic};
use mb_crypto::ca::{Ca, IssueRequest};
use mb_crypto::data_key::{SealingKey, Signer, verify_signer};
use mb_crypto::master::MasterKey;
use mb_crypto::search::SearchKey;
use mb_crypto::{TrustAnchors, identity, random};

struct World {
    ca: Ca,
    master: MasterKey,
    sealing: SealingKey,
    record: SignedKey,
}

fn world(now: Timestamp) -> World {
    let ca = Ca::create("bench", now).expect("a CA");
    let request = IssueRequest {
        name: "proxy",
        role: Role::Proxy,
        domain: None,
        sans: &[],
        validity: Duration::from_hours(24),
        now,
    };
    let proxy = ca.issue(&request).expect("issued");
    let signer = Signer::from_pem(&proxy.certificate_pem, proxy.private_key_pem.expose()).expect("a signer");
    let master = MasterKey::generate().expect("a key");
    let (sealing, record) = SealingKey::new(&master.public(), &signer, now).expect("a data key");
    World { ca, master, sealing, record }
}

fn header(key_id: KeyId, now: Timestamp) -> Header {
    Header {
        message_id: MessageId::from_bytes(random::public_array()),
        key_id,
        queued_at: now,
        deliver_at: None,
        expires_at: None,
        client: ClientName::parse("branch-1").expect("valid"),
        domain: DomainName::default(),
        topic: Topic::default(),
    }
}

fn per_message(criterion: &mut Criterion, world: &World, now: Timestamp) {
    let body = "x".repeat(200);
    let content = Content { sender_number: Some("+4915112345678"), body: &body, metadata: None };
    let header = header(world.sealing.key_id(), now);
    let mut sealed = Vec::new();
    world.sealing.seal(&header, &content, &mut sealed).expect("sealed");
    let key = world.master.unwrap(&world.record).expect("unwrapped");
    let search = SearchKey::generate();

    let mut group = criterion.benchmark_group("message of 200 bytes");
    group.throughput(Throughput::Elements(1));
    let mut out = Vec::with_capacity(4096);
    group.bench_function("seal", |bencher| {
        bencher.iter(|| {
            out.clear();
            world.sealing.seal(black_box(&header), black_box(&content), &mut out)
        });
    });
    group.bench_function("parse and open", |bencher| {
        bencher.iter(|| key.open(&Envelope::parse(black_box(&sealed)).expect("an envelope")).expect("opened"));
    });
    group.bench_function("search hash", |bencher| bencher.iter(|| search.hash(black_box("+4915112345678"))));
    group.bench_function("12 random public bytes", |bencher| bencher.iter(random::public_array::<12>));
    group.finish();
}

fn per_key(criterion: &mut Criterion, world: &World) {
    let anchors = TrustAnchors::from_pem(world.ca.certificate_pem()).expect("a CA");
    criterion.bench_function("verify signer", |bencher| bencher.iter(|| verify_signer(&world.record, &anchors)));
    criterion.bench_function("unwrap data key", |bencher| bencher.iter(|| world.master.unwrap(&world.record)));
    let certificate = &world.record.certificate;
    criterion.bench_function("identity of a connection", |bencher| bencher.iter(|| identity::from_der(certificate)));
}

fn main() {
    let now = Clock::System.now();
    let world = world(now);
    let mut criterion = Criterion::default().warm_up_time(Duration::from_millis(500)).configure_from_args();
    per_message(&mut criterion, &world, now);
    per_key(&mut criterion, &world);
    criterion.final_summary();
}
