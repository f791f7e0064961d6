//! `torture`: does the promise hold when the process dies?
//!
//! Starts a throw-away broker of this same binary, submits to it from several connections, kills it without warning at
//! seeded moments - under load and while it recovers - and starts it again. In the end every id that was answered with 202
//! must be stored, and an Idempotency-Key must have given one id however often it was sent. What was sent but not answered
//! may be there or not; nobody was promised anything.
//!
//! A black box like bench: the broker is a child process, known by its contract alone.

mod broker;
mod lane;
mod ledger;
mod plan;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mb_core::Clock;
use rustls::ClientConfig;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bench::{Asker, Sent, Target, Verdict, verify};
use crate::output;

use broker::Broker;
use lane::Shared;
use ledger::Ledger;
use plan::{Kill, plan};

/// The load stands still for at most this long.
const STALL: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(2);

/// Crash a throw-away broker under load and count what it kept.
#[derive(clap::Args, Clone, Debug)]
pub struct TortureArgs {
    /// Decides when to kill and what to send; printed, so that a run can be repeated [default: from the clock]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Go on until this many messages are accepted
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000), value_name = "N")]
    pub count: u64,
    /// How often to kill the broker
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=10_000), value_name = "N")]
    pub rounds: u32,
    /// Connections at a time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    pub connections: u16,
    /// Keep the broker's files here instead of a folder that is removed in the end; must be new or empty
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a run found.
#[derive(Clone, PartialEq, Debug, Serialize)]
struct Report {
    seed: u64,
    /// Distinct ids answered with 202.
    acked: usize,
    /// Of these, final in the store.
    stored: u64,
    /// Of these, never found.
    lost: usize,
    /// Of these, found but not final when the waiting ended.
    pending: u64,
    /// One key with two ids, one id for two messages, one id with two rows.
    duplicates: u64,
    kills: u32,
    /// Answers to keys that had been answered before.
    repeats: u64,
    /// Messages whose request was cut off and that cannot be asked for again.
    unanswered: u64,
    errors: std::collections::BTreeMap<String, u64>,
    seconds: f64,
}

impl Report {
    fn new(seed: u64, kills: u32, ledger: Ledger, verdict: &Verdict, elapsed: Duration) -> Self {
        Self {
            seed,
            acked: ledger.acked.len(),
            stored: verdict.delivered + verdict.not_delivered,
            lost: verdict.lost.len(),
            pending: verdict.pending,
            duplicates: ledger.duplicates + verdict.repeated,
            kills,
            repeats: ledger.repeats,
            unanswered: ledger.unanswered,
            errors: ledger.errors,
            seconds: (elapsed.as_secs_f64() * 10.0).round() / 10.0,
        }
    }

    fn is_good(&self) -> bool {
        self.acked > 0 && self.lost == 0 && self.pending == 0 && self.duplicates == 0
    }

    fn table(&self) -> String {
        let mut rows = vec![
            ("seed", self.seed.to_string()),
            ("kills", self.kills.to_string()),
            ("acked", self.acked.to_string()),
            ("stored", self.stored.to_string()),
            ("lost", self.lost.to_string()),
            ("pending", self.pending.to_string()),
            ("duplicates", self.duplicates.to_string()),
            ("repeats", self.repeats.to_string()),
            ("unanswered", self.unanswered.to_string()),
            ("seconds", self.seconds.to_string()),
        ];
        rows.extend(self.errors.iter().map(|(code, count)| ("error", format!("{code}: {count}"))));
        let rows: Vec<String> = rows.into_iter().map(|(name, value)| format!("{name:<12} {value}")).collect();
        rows.join("\n")
    }
}

/// Runs the crash test and prints what it found. Exit code 1 if anything was lost, is not stored, or is there twice.
///
/// # Errors
/// If the broker does not start, does not come back, or takes nothing any more. Its files are kept then.
pub async fn run(args: TortureArgs) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(|| Clock::System.now().micros().unsigned_abs());
    let home = Home::new(args.keep.clone())?;
    output::note(&format!("seed {seed}, {} kills, files in {}", args.rounds, home.path().display()));
    let started = Instant::now();
    match torture(&args, seed, &home).await {
        Ok((ledger, verdict, kills)) => {
            let report = Report::new(seed, kills, ledger, &verdict, started.elapsed());
            verdict.lost.iter().take(10).for_each(|lost| output::note(&format!("lost: {}", lost.id)));
            if args.json {
                output::json(&report)?;
            } else {
                output::data(&report.table());
            }
            if report.is_good() {
                return Ok(ExitCode::SUCCESS);
            }
            output::note(&format!("the broker's files are kept in {}", home.keep().display()));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.context(format!("torture with seed {seed}, files kept in {}", home.keep().display()))),
    }
}

async fn torture(args: &TortureArgs, seed: u64, home: &Home) -> anyhow::Result<(Ledger, Verdict, u32)> {
    let mut broker = Broker::new(home.path())?;
    broker.start()?;
    let tls = broker.ready().await?;
    let shared = Arc::new(Shared::new(broker.target(), Arc::clone(&tls), seed));
    let mut lanes = JoinSet::new();
    for number in 0..args.connections {
        lanes.spawn(lane::run(Arc::clone(&shared), number));
    }
    let mut kills = 0;
    for kill in plan(seed, args.rounds, args.count) {
        reach(&shared, kill.acked, &mut broker).await?;
        kills += strike(&mut broker, kill).await?;
    }
    reach(&shared, args.count, &mut broker).await?;
    shared.stop();
    while let Some(joined) = lanes.join_next().await {
        joined.context("run load")?;
    }
    let ledger = shared.take_ledger();
    output::note(&format!("{} acked, {kills} kills; looking for all of them", ledger.acked.len()));
    let verdict = find_all(broker.target(), tls, &ledger).await;
    Ok((ledger, verdict, kills))
}

/// Waits until so many messages are acked.
async fn reach(shared: &Shared, acked: u64, broker: &mut Broker) -> anyhow::Result<()> {
    let (mut seen, mut moved) = (shared.acked(), Instant::now());
    loop {
        let now = shared.acked();
        if now >= acked {
            return Ok(());
        }
        if now > seen {
            (seen, moved) = (now, Instant::now());
        }
        broker.check()?;
        if moved.elapsed() > STALL {
            let fault = shared.last_fault().unwrap_or_else(|| "no answer".to_owned());
            bail!("nothing was accepted for {STALL:?}: {fault}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Kills the broker, sometimes once more while it recovers, and waits until it is back. Returns how often it died.
async fn strike(broker: &mut Broker, kill: Kill) -> anyhow::Result<u32> {
    let mut kills = 1;
    tokio::time::sleep(kill.delay).await;
    broker.kill()?;
    if let Some(delay) = kill.in_recovery {
        broker.start()?;
        tokio::time::sleep(delay).await;
        broker.kill()?;
        kills += 1;
    }
    broker.start()?;
    broker.ready().await?;
    Ok(kills)
}

async fn find_all(target: Target, tls: Arc<ClientConfig>, ledger: &Ledger) -> Verdict {
    let sent = ledger.acked.chunks(10_000).map(|messages| Sent { client: 0, messages: messages.to_vec() }).collect();
    verify(&Asker { target, clients: Arc::new(vec![tls]) }, sent).await
}

/// The folder of the broker's files.
enum Home {
    Given(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Home {
    fn new(keep: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(path) = keep else {
            let folder = tempfile::Builder::new().prefix("mb-torture-").tempdir();
            return Ok(Self::Temporary(folder.context("create folder")?));
        };
        std::fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        let mut entries = std::fs::read_dir(&path).with_context(|| format!("read {}", path.display()))?;
        if entries.next().is_some() {
            bail!("{} is not empty; torture works on a folder of its own", path.display());
        }
        Ok(Self::Given(std::path::absolute(&path).context("find folder")?))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// Leaves the files where they are.
    fn keep(self) -> PathBuf {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.keep(),
        }
    }
}

#[cfg(test)]
mod tests {
    use mb_core::{MessageId, Timestamp};

    use super::*;
    use crate::bench::Accepted;

    fn report(lost: usize, pending: u64, duplicates: u64) -> Report {
        let message = Accepted { id: MessageId::from_bytes([1; 16]), at: Timestamp::default() };
        let mut ledger = Ledger::default();
        ledger.acked = vec![message; 5];
        ledger.duplicates = duplicates;
        let verdict = Verdict { delivered: 5, pending, lost: vec![message; lost], ..Verdict::new() };
        Report::new(7, 2, ledger, &verdict, Duration::from_millis(1234))
    }

    #[test]
    fn only_a_run_without_loss_and_repetition_is_good() {
        assert!(report(0, 0, 0).is_good());
        assert!(!report(1, 0, 0).is_good());
        assert!(!report(0, 1, 0).is_good());
        assert!(!report(0, 0, 1).is_good());
        let json = serde_json::to_value(report(1, 0, 3)).unwrap();
        assert_eq!((&json["seed"], &json["acked"], &json["stored"]), (&7.into(), &5.into(), &5.into()));
        assert_eq!((&json["lost"], &json["duplicates"]), (&1.into(), &3.into()));
    }

    #[test]
    fn a_folder_with_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Home::new(Some(folder.path().to_owned())).is_ok());
        std::fs::write(folder.path().join("message-broker.db"), "precious").unwrap();
        assert!(Home::new(Some(folder.path().to_owned())).is_err());
    }
}
