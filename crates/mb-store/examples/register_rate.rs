//! How many messages per second one writer registers. Prints rows per second and what the database has grown to.
//!
//! `cargo run --release -p mb-store --example register_rate -- [ROWS] [ROWS_PER_CALL] [CALLS_AT_ONCE] [ADDRESS]`
//!
//! Without an address it is a file in the present folder, which goes again. A database at an address must be there; it is
//! migrated, and keeps its rows.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use mb_core::{ClientName, Clock, DomainName, Header, IdSource, KeyId, MessageState, Topic};
use mb_store::{NewMessage, RegisterBatch, Routed, Store};

const CLIENTS: u64 = 1000;
const SEALED_BYTES: usize = 230;

/// `SplitMix64`, by Sebastiano Vigna: enough randomness for sender numbers that hit an index anywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]));
        bytes
    }
}

fn message(random: &mut Random, ids: &IdSource, clients: &[ClientName]) -> NewMessage {
    let now = Clock::System.now();
    let client = usize::try_from(random.next() % CLIENTS).unwrap_or_default();
    let header = Header {
        message_id: ids.next(now, random.bytes()),
        key_id: KeyId::from_bytes([7; 16]),
        queued_at: now,
        deliver_at: None,
        expires_at: None,
        client: clients[client].clone(),
        domain: DomainName::default(),
        topic: Topic::default(),
    };
    NewMessage {
        header,
        sender_number_hashed: Some(random.bytes()),
        sealed: Bytes::from(random.bytes::<SEALED_BYTES>().to_vec()),
        status: MessageState::Delivered,
        registered_at: now,
        delivered_at: Some(now),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default| arguments.next().map_or(Ok(default), |argument| argument.parse::<usize>());
    let (rows, per_call, at_once) = (argument(300_000)?, argument(500)?, argument(4)?);

    let directory = tempfile::tempdir_in(".")?;
    let file = || directory.path().join("store.db").display().to_string();
    let address = arguments.next().unwrap_or_else(file);
    let store = Store::open(&address, Clock::System).await?;
    store.migrate().await?;

    let clients = (0..CLIENTS).filter_map(|n| ClientName::parse(&format!("client-{n}"))).collect::<Arc<[_]>>();
    let ids = Arc::new(IdSource::after(None));
    let left = Arc::new(AtomicUsize::new(rows / per_call));
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for seed in 0..at_once as u64 {
        let (store, ids, clients, left) = (store.clone(), ids.clone(), clients.clone(), left.clone());
        running.spawn(async move {
            let mut random = Random(seed);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let messages = (0..per_call).map(|_| message(&mut random, &ids, &clients)).collect();
                let (keys, dead_letters) = (Vec::new(), Vec::new());
                store
                    .register(RegisterBatch {
                        keys,
                        messages,
                        dead_letters,
                        routed: Routed::default(),
                        instance: "rate".into(),
                    })
                    .await?;
            }
            Ok::<_, mb_store::StoreError>(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let took = began.elapsed();
    let rate = u128::try_from(rows)? * 1000 / took.as_millis().max(1);
    let size = store.size().await / 1024 / 1024;
    writeln!(std::io::stdout(), "{rate} rows/s, {rows} rows in {took:.2?}, {size} MiB on disk")?;
    store.close().await;
    Ok(())
}
