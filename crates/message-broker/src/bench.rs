//! `bench`: load over mutual TLS, and the proof that what was accepted was stored.
//!
//! A black box: it knows the contract's routes and the data directory's certificates, and nothing of the broker's code. It
//! shares the machine with what it measures, so its own cost per request is kept down to copying digits, TLS and two
//! system calls.

mod answer;
mod args;
mod connection;
mod destinations;
mod echo;
mod http2;
mod idle;
mod load;
mod payload;
mod receiver;
mod report;
mod schedule;
mod tally;
mod target;
mod verify;

use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mb_core::ClientName;
use rustls::ClientConfig;

use crate::config::{self, Resolved};
use crate::output;

pub use args::{BenchArgs, Format, Http, MAX_CLIENTS, MAX_DESTINATIONS, parse_duration};
pub use destinations::{Wanted, Wish};

pub(crate) use answer::{message_ids, problem_code, problem_detail};
pub(crate) use connection::{Fault, Http1};
pub(crate) use tally::{Accepted, Sent};
pub(crate) use target::{Credentials, Target};
pub(crate) use verify::{Asker, Verdict, verify};

use echo::Echo;
use idle::Held;
use load::Load;
use receiver::Receiver;
use report::Report;
use schedule::{Limit, Schedule};

/// Something that takes a while and may fail.
type Doing = Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// What a load generator cannot do by itself. It is given by whoever knows the way to the main server.
pub struct Preparing {
    /// Makes certificates for the named clients, in the data directory at the places of contract section 7.
    pub issue: Box<dyn FnOnce(Vec<String>) -> Doing>,
    /// Makes and removes destinations.
    pub destinations: Box<dyn Fn(Wish) -> Doing>,
}

impl std::fmt::Debug for Preparing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preparing").finish_non_exhaustive()
    }
}

/// How long is waited at most for the last webhooks.
const SETTLING: Duration = Duration::from_mins(2);

/// Runs the load and prints the report. Certificates are issued only for clients that have none yet.
///
/// Exit code 1 if nothing was accepted, or something accepted was never found.
///
/// # Errors
/// If the proxy cannot be reached, a certificate cannot be used, or the arguments make no sense.
pub async fn run(args: BenchArgs, data_dir: &Path, preparing: Preparing) -> anyhow::Result<ExitCode> {
    args.shape()?;
    let Preparing { issue, destinations } = preparing;
    let clients = credentials(&args, data_dir, issue).await?;
    let wanted = destinations::wanted(&args);
    if wanted.is_empty() {
        return measure(args, data_dir, clients).await;
    }
    output::note(&format!("making {} destinations", wanted.len()));
    destinations(Wish::Make(wanted.clone())).await.context("make destinations")?;
    let code = measure(args, data_dir, clients).await;
    destinations(Wish::Remove(wanted)).await.context("remove destinations")?;
    code
}

async fn measure(args: BenchArgs, data_dir: &Path, clients: Vec<Credentials>) -> anyhow::Result<ExitCode> {
    let shape = args.shape()?;
    let configs = |http| clients.iter().map(|client| client.tls(http)).collect::<anyhow::Result<Vec<_>>>();
    let tls = configs(args.http)?;
    let echo = if args.echo { Some(Echo::start(data_dir, args.http, shape).await?) } else { None };
    let receiver = match args.receive {
        Some(port) => Some(Receiver::start(port).await?),
        None => None,
    };
    let target = match &echo {
        Some(echo) => Target::local(echo.address.port()),
        None => Target::find(&proxy_url(args.url.as_deref(), data_dir)?).await?,
    };
    // What goes to a destination that never answers is never final.
    let verify_stored = !args.no_verify && echo.is_none() && args.hang == 0;
    if let Some(time) = args.warmup {
        warm_up(&args, &target, &tls, time).await?;
    }
    let held = if args.idle > 0 { Some(Held::open(args.idle, &target, &tls).await?) } else { None };
    let load = load(&args, &target, &tls, verify_stored)?;
    let mut outcome = load::run(load, Schedule::new(args.limit(), args.rate, shape.items)).await;
    let sent = std::mem::take(&mut outcome.tally.sent);
    let verdict = if verify_stored {
        let asker = Asker { target, clients: Arc::new(configs(Http::One)?) };
        Some(verify(&asker, sent).await)
    } else {
        None
    };
    let mut report = Report::new(outcome, verdict.as_ref());
    report.idle = held.map(Held::count);
    if let Some(receiver) = receiver {
        receiver.settle(SETTLING).await;
        report.webhooks(receiver.received(), &receiver.on_their_way());
    }
    for fault in &report.faults {
        output::note(fault);
    }
    if args.json {
        output::json(&report)?;
    } else {
        output::data(report.table().trim_end());
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn load(args: &BenchArgs, target: &Target, tls: &[Arc<ClientConfig>], keep_ids: bool) -> anyhow::Result<Load> {
    Ok(Load {
        target: target.clone(),
        clients: tls.to_vec(),
        lanes: args.lanes(),
        http: args.http,
        streams: args.streams,
        shape: args.shape()?,
        timeout: args.timeout,
        new_connections: args.new_connections,
        keep_ids,
        closed_loop: args.rate.is_none(),
    })
}

async fn warm_up(args: &BenchArgs, target: &Target, tls: &[Arc<ClientConfig>], time: Duration) -> anyhow::Result<()> {
    let load = load(args, target, tls, false)?;
    let items = load.shape.items;
    let outcome = load::run(load, Schedule::new(Limit::Time(time), args.rate, items)).await;
    output::note(&format!("warm-up: {} accepted", outcome.tally.accepted));
    Ok(())
}

/// The clients to play; those that have no certificate yet get one.
/// The proxy that was named, or this machine's at the configured port.
///
/// # Errors
/// The configuration cannot be read.
pub(crate) fn proxy_url(named: Option<&str>, data_dir: &Path) -> anyhow::Result<String> {
    if let Some(url) = named {
        return Ok(url.to_owned());
    }
    let resolved = Resolved::load(data_dir, &config::environment_pairs())?;
    Ok(format!("https://localhost:{}", resolved.config.proxy.port))
}

async fn credentials(
    args: &BenchArgs,
    data_dir: &Path,
    issue: Box<dyn FnOnce(Vec<String>) -> Doing>,
) -> anyhow::Result<Vec<Credentials>> {
    let Some(count) = args.clients else {
        let given = Credentials::given(data_dir, args.cert.as_deref(), args.key.as_deref(), args.ca.as_deref());
        return Ok(vec![given]);
    };
    if args.cert.is_some() {
        output::note("--clients plays clients of the data directory: --cert and --key are not used");
    }
    let mut clients = Vec::new();
    let mut missing = Vec::new();
    for number in 1..=count {
        let name = ClientName::parse(&format!("bench-{number:04}")).context("name client")?;
        let client = Credentials::of(data_dir, &name).trusting(args.ca.as_deref());
        if !client.exist() {
            missing.push(name.to_string());
        }
        clients.push(client);
    }
    if !missing.is_empty() {
        output::note(&format!("issuing {} client certificates", missing.len()));
        issue(missing).await.context("issue client certificates")?;
    }
    Ok(clients)
}

#[cfg(test)]
mod tests;
