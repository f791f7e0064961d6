//! `generate`: fills a database with messages as weeks of work would leave them, to look at speed and plans on a large store.
//!
//! Each is genuine: sealed under data keys that this installation's proxy signed, its number hashed under the search key,
//! so that lists, searches and `admin messages show --decrypt` treat it like any other. They go in by the store's own
//! register transaction, spread evenly over the days before now.

mod text;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use mb_core::{ClientName, Clock, Content, DomainName, Envelope, Header, IdSource, MessageState, Timestamp, Topic};
use mb_crypto::data_key::{SealingKey, Signer};
use mb_crypto::search::SearchKey;
use mb_runtime::Metrics;
use mb_store::{DataKeyRow, Instance, NewMessage, RegisterBatch, Routed, Store};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::bootstrap;
use crate::config::Resolved;
use crate::layout::{Layout, read_secret, read_text};
use crate::lock::RoleLock;
use crate::output;
use text::Random;

/// Messages of one register call.
const BATCH: u64 = 2000;
/// How often it is said how far it is.
const SAY_EVERY: u64 = 1_000_000;

const ACTOR: &str = "system:generate";

/// Fill a database with generated messages, to look at speed and plans on a large store
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// How many messages
    #[arg(long, value_name = "N")]
    count: u64,
    /// Another database than the configured one, as in `DATABASE_URL`
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// How many clients sent them
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    clients: u64,
    /// How many domains the clients belong to
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    domains: u64,
    /// Over how many days before now they are spread
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// Confirm that messages which nobody has sent go into that database
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Report {
    messages: u64,
    seconds: f64,
    messages_per_second: f64,
    database_bytes: u64,
}

/// Generates and stores.
///
/// # Errors
/// The main server runs here, its files or the database cannot be used.
pub async fn run(layout: &Layout, args: GenerateArgs) -> Result<ExitCode> {
    if !args.yes {
        bail!("this stores messages that nobody has sent, and nothing takes them out again: repeat it with --yes");
    }
    let mut resolved = Resolved::of(layout)?;
    if let Some(url) = &args.database {
        resolved.config.store.url.clone_from(url);
    }
    layout.create()?;
    let _lock = RoleLock::take(layout, "main-server")?;
    let (plan, store) = prepare(layout, &resolved, &args).await?;
    let began = Instant::now();
    plan.fill(&store).await?;
    let seconds = began.elapsed().as_secs_f64();
    let report = Report {
        messages: args.count,
        seconds,
        messages_per_second: rate(args.count, seconds),
        database_bytes: store.size().await,
    };
    store.close().await;
    if args.json {
        output::json(&report)?;
    } else {
        output::data(&format!(
            "{} messages in {seconds:.1} s, {:.0} per second; the database has {} MiB",
            report.messages,
            report.messages_per_second,
            report.database_bytes >> 20
        ));
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::cast_precision_loss, reason = "a rate is a double")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(1e-9)
}

/// What messages are made of.
struct Plan {
    signer: Signer,
    master: mb_core::policy::MasterPublicKey,
    search: SearchKey,
    clients: Vec<(ClientName, DomainName)>,
    ids: IdSource,
    count: u64,
    from: Timestamp,
    spread: Duration,
    batches: AtomicU64,
}

/// Makes what a first start makes where it is missing, and the clients.
async fn prepare(layout: &Layout, resolved: &Resolved, args: &GenerateArgs) -> Result<(Arc<Plan>, Store)> {
    let (clock, mut metrics) = (Clock::System, Metrics::new());
    let stopping = CancellationToken::new();
    let (server, store) = bootstrap::main_server(layout, resolved, &clock, &mut metrics, stopping).await?;
    bootstrap::component_certificates(layout, &resolved.config, server.authority(), &store, &clock).await?;
    let master = bootstrap::present_master_keys(layout, &resolved.config)?.context("read the encryption key")?;
    let wrapped = store.setting("search_key").await.context("read the search key")?.unwrap_or_default();
    let search = SearchKey::unwrap(&master, &wrapped).context("read the search key")?;
    let (chain, key) = layout.component("proxy");
    let signer = Signer::from_pem(&read_text(&chain)?, read_secret(&key)?.expose()).context("read proxy.crt")?;
    let mut clients = Vec::new();
    for number in 0..args.clients {
        let name = |text: String| ClientName::parse(&text).context("name a client");
        let domain = DomainName::parse(&format!("generated-{}", number % args.domains)).context("name a domain")?;
        let client = name(format!("generated-{number}"))?;
        store.ensure_client(&client, &domain, ACTOR).await.with_context(|| format!("make the client {client}"))?;
        clients.push((client, domain));
    }
    let spread = Duration::from_hours(24 * args.days);
    let plan = Plan {
        signer,
        master: master.public(),
        search,
        clients,
        ids: IdSource::after(None),
        count: args.count,
        from: clock.now().minus(spread),
        spread,
        batches: AtomicU64::new(0),
    };
    Ok((Arc::new(plan), store))
}

impl Plan {
    async fn fill(self: &Arc<Self>, store: &Store) -> Result<()> {
        let began = Instant::now();
        let lane = async || -> Result<()> {
            while let Some(first) = self.next_batch() {
                let plan = Arc::clone(self);
                let batch = tokio::task::spawn_blocking(move || plan.batch(first)).await.context("make messages")??;
                store.register(batch).await.context("store messages")?;
                let done = first + BATCH;
                if done.is_multiple_of(SAY_EVERY) {
                    let seconds = began.elapsed().as_secs_f64();
                    output::note(&format!("{done} messages, {:.0} per second", rate(done, seconds)));
                }
            }
            Ok(())
        };
        // While one waits for the disk the next is sealed.
        let (one, two, three, four) = tokio::join!(lane(), lane(), lane(), lane());
        one.and(two).and(three).and(four)
    }

    /// The number of the next batch's first message.
    fn next_batch(&self) -> Option<u64> {
        let first = self.batches.fetch_add(1, Ordering::Relaxed) * BATCH;
        (first < self.count).then_some(first)
    }

    /// Messages `first` and those after it.
    fn batch(&self, first: u64) -> Result<RegisterBatch> {
        let now = Clock::System.now();
        let (key, record) = SealingKey::new(&self.master, &self.signer, now).context("make a data key")?;
        let row = DataKeyRow {
            key_id: record.key_id,
            master_key_id: record.master_key_id,
            record: Bytes::from(record.encode()),
            proxy_name: self.signer.identity().name.clone(),
            proxy_serial: self.signer.identity().serial.clone(),
            created_at: record.created_at,
            rewrapped: None,
        };
        let mut random = Random::new(first);
        let numbers = first..(first + BATCH).min(self.count);
        let messages = numbers.map(|number| self.message(number, &key, &mut random)).collect::<Result<_>>()?;
        let instance = Instance::from("generate".to_owned());
        Ok(RegisterBatch { keys: vec![row], messages, dead_letters: Vec::new(), routed: Routed::default(), instance })
    }

    fn message(&self, number: u64, key: &SealingKey, random: &mut Random) -> Result<NewMessage> {
        let micros = u128::from(number) * self.spread.as_micros() / u128::from(self.count);
        let queued_at = self.from.plus(Duration::from_micros(u64::try_from(micros)?));
        let (client, domain) = random.one_of(&self.clients).clone();
        let header = Header {
            message_id: self.ids.next(queued_at, mb_crypto::random::public_array()),
            key_id: key.key_id(),
            queued_at,
            deliver_at: None,
            expires_at: None,
            client,
            domain,
            topic: Topic::parse(random.one_of::<&str>(&text::TOPICS)).context("name a topic")?,
        };
        let (sender_number, body) = (random.number(), random.body());
        let content = Content { sender_number: Some(&sender_number), body: &body, metadata: None };
        let mut envelope = Vec::new();
        key.seal(&header, &content, &mut envelope).context("seal a message")?;
        let sealed = Bytes::copy_from_slice(Envelope::parse(&envelope).context("read an envelope")?.sealed);
        let registered_at = queued_at.plus(Duration::from_millis(40));
        Ok(NewMessage {
            header,
            sender_number_hashed: Some(self.search.hash(&sender_number)),
            sealed,
            status: MessageState::Delivered,
            registered_at,
            delivered_at: Some(registered_at),
        })
    }
}
