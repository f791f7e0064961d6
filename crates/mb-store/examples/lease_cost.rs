//! What leasing costs beside deliveries that are scheduled for later: `lease_cost [COUNT]`, 1000 by default.
//!
//! Fills a temporary store, then leases what is due again and again, and prints the median time of a call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mb_core::{
    ClientName, Clock, DestinationKind, DestinationName, DomainName, Header, KeyId, LeaseId, MessageId, MessageState,
    RetrySchedule, Topic,
};
use mb_store::{
    Begin, DestinationSettings, LeaseAsk, NewDelivery, NewDestination, NewMessage, RegisterBatch, Routed, Store, Whose,
};

const BATCH: u32 = 2000;
const ROUNDS: u8 = 50;
const DUE: u32 = 20;

fn message(n: u32, clock: &Clock, later: bool) -> NewMessage {
    let now = clock.now();
    let mut id = [0x70; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    let header = Header {
        message_id: MessageId::from_bytes(id),
        key_id: KeyId::from_bytes([9; 16]),
        queued_at: now,
        deliver_at: later.then(|| now.plus(Duration::from_secs(86_400 + u64::from(n)))),
        expires_at: None,
        client: ClientName::parse("demo").expect("valid"),
        domain: DomainName::default(),
        topic: Topic::default(),
    };
    let sealed = Bytes::from(vec![7; 200]);
    let status = MessageState::Processing;
    NewMessage { header, sender_number_hashed: None, sealed, status, registered_at: now, delivered_at: None }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(1000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let clock = Clock::System;
    let store = Store::open(&directory.path().join("store.db").display().to_string(), clock.clone()).await?;
    store.migrate().await?;
    store.ensure_domain(&DomainName::default(), "example").await?;
    let settings = DestinationSettings {
        url: "https://hooks.example/".into(),
        retry: RetrySchedule::default(),
        concurrency: 8,
        rate: None,
        ca: None,
        identity: None,
    };
    let (domain, name) = (DomainName::default(), DestinationName::parse("hook").ok_or("a name")?);
    let (topics, clients) = (Vec::new(), Vec::new());
    let new = NewDestination { domain, name, kind: DestinationKind::Webhook, topics, clients, settings, secret: None };
    let destination = store.insert_destination(&new, "example").await?.route.id;
    let register = async |messages: Vec<NewMessage>| {
        let of = |message| NewDelivery { message, destination, begin: Begin::Waiting };
        let routed = Routed { version: None, deliveries: (0..messages.len()).map(of).collect() };
        let (keys, dead_letters) = (Vec::new(), Vec::new());
        store.register(RegisterBatch { keys, messages, dead_letters, routed, instance: "example".into() }).await
    };
    for first in (0..count).step_by(BATCH as usize) {
        let last = count.min(first + BATCH);
        register((first..last).map(|n| message(n, &clock, true)).collect()).await?;
    }
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let first = count + u32::from(round) * DUE;
        register((first..first + DUE).map(|n| message(n, &clock, false)).collect()).await?;
        let whose = Whose::Webhooks { except: &[], behind: None };
        let ask = LeaseAsk { lease: LeaseId::from_bytes([round; 16]), holder: "example", limit: DUE, whose };
        let begun = Instant::now();
        let leased = store.lease_deliveries(&ask).await?.deliveries.len();
        times.push(begun.elapsed());
        assert_eq!(leased, DUE as usize, "all that is due");
    }
    times.sort();
    #[expect(clippy::print_stdout, reason = "an example that is run for what it prints")]
    {
        println!("{count} scheduled: {DUE} leased in {:?} (median of {ROUNDS})", times[times.len() / 2]);
    }
    Ok(())
}
