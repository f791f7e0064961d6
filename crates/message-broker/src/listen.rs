//! `listen`: consumes a pull destination: prints each message, or runs a command for it. What another consumer may have by
//! now is neither printed nor run.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mb_api::client::{Client, ClientError, Transport};
use mb_api::dto::pull::{PullRequest, PulledMessage, Settle};
use mb_core::name::NAME_RULE;
use mb_core::{DestinationName, Secret};
use mb_crypto::tls::RevokedSet;
use mb_runtime::lifecycle::Lifecycle;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::layout::{read_secret, read_text};
use crate::output;

/// How often a message is prolonged while its command runs.
const PROLONG: Duration = Duration::from_secs(20);
/// A message is this consumer's for a minute from when it was given out; its answer was on its way for a while.
const HOLDS: Duration = Duration::from_secs(50);
/// How long the main server waits for a message.
const WAIT: u64 = 25;
/// The first pause after a question that nobody answered, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Consume a pull destination.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ListenArgs {
    /// The destination, of the certificate's domain
    #[arg(value_parser = name)]
    pub(crate) name: DestinationName,
    /// The main server
    #[arg(long, default_value = "https://localhost:8000", value_name = "URL")]
    pub(crate) url: String,
    /// The consumer's certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: PathBuf,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// CA certificate (PEM); the default is certs/ca.crt of the data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Run this by the shell for each message, which it reads from its standard input; unless it exits with 0 the message
    /// is given back
    #[arg(long, value_name = "CMD")]
    pub(crate) exec: Option<String>,
    /// Messages that are fetched at once; with --exec it is one
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) max: u32,
    /// End when nothing waits any more
    #[arg(long)]
    pub(crate) drain: bool,
}

fn name(text: &str) -> Result<DestinationName, String> {
    DestinationName::parse(text).ok_or_else(|| NAME_RULE.to_owned())
}

/// Consumes until a signal, or with --drain until nothing waits.
///
/// # Errors
/// The main server cannot be reached or refuses, a certificate cannot be used, the command cannot be run.
pub(crate) async fn run(args: ListenArgs, data_dir: &Path) -> Result<ExitCode> {
    let ca = args.ca.clone().unwrap_or_else(|| data_dir.join("certs").join("ca.crt"));
    let mut consumer = Consumer::open(args, ca)?;
    let lifecycle = Lifecycle::new();
    tokio::select! {
        signal = lifecycle.wait_for_signal() => signal.context("wait for a signal").map(|()| ExitCode::SUCCESS),
        ended = consumer.consume() => ended.map(|()| ExitCode::SUCCESS),
    }
}

/// A consumer with its files as they were last good.
struct Consumer {
    args: ListenArgs,
    ca: PathBuf,
    files: Files,
    client: Client,
}

/// What says who consumes, and whom it trusts.
struct Files {
    certificate: String,
    key: Secret<String>,
    ca: String,
}

impl Files {
    fn read(args: &ListenArgs, ca: &Path) -> Result<Self> {
        Ok(Self { certificate: read_text(&args.cert)?, key: read_secret(&args.key)?, ca: read_text(ca)? })
    }

    fn is(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.key.expose() == other.key.expose() && self.ca == other.ca
    }

    fn client(&self, url: &str) -> Result<Client> {
        let identity = Some((self.certificate.as_str(), self.key.expose().as_str()));
        let tls = mb_crypto::tls::main_server_client_config(identity, &self.ca, &RevokedSet::default())
            .context("read the certificate")?;
        Ok(Client::new(Transport::mtls(tls, url).context("read --url")?))
    }
}

impl Consumer {
    fn open(args: ListenArgs, ca: PathBuf) -> Result<Self> {
        let files = Files::read(&args, &ca)?;
        let client = files.client(&args.url)?;
        Ok(Self { args, ca, files, client })
    }

    /// Takes up files that were renewed; while they cannot be used the ones before serve.
    fn refresh(&mut self) {
        // A certificate and its key change one after the other.
        let Ok(files) = Files::read(&self.args, &self.ca) else { return };
        if files.is(&self.files) {
            return;
        }
        if let Ok(client) = files.client(&self.args.url) {
            output::note("the certificate files have changed and are in use now");
            (self.files, self.client) = (files, client);
        }
    }

    /// A main server that is away is waited for: what was given out before comes again. With --drain it is an error.
    async fn consume(&mut self) -> Result<()> {
        let mut pause = PAUSES.0;
        loop {
            self.refresh();
            let error = match self.consume_once().await {
                Ok(0) if self.args.drain => return Ok(()),
                Ok(_) => {
                    pause = PAUSES.0;
                    continue;
                }
                Err(error) if self.args.drain || !is_passing(&error) => return Err(error),
                Err(error) => error,
            };
            output::note(&format!("{error:#}; trying again"));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Fetches once; how many there were. For a command one at a time: another consumer may have the next one meanwhile.
    async fn consume_once(&self) -> Result<usize> {
        let args = &self.args;
        let wait_seconds = if args.drain { 0 } else { WAIT };
        let max = if args.exec.is_some() { 1 } else { args.max };
        let asked = Instant::now();
        let pulled = self.client.pull(&args.name, &PullRequest { max, wait_seconds }).await;
        let pulled = pulled.with_context(|| format!("fetch from {}", args.name))?.data;
        match &args.exec {
            None => self.print(&pulled, asked + Duration::from_secs(wait_seconds) + HOLDS).await?,
            Some(command) => {
                for message in &pulled {
                    self.run_for(command, message).await?;
                }
            }
        }
        Ok(pulled.len())
    }

    /// Prints what is this consumer's until then.
    async fn print(&self, messages: &[PulledMessage], until: Instant) -> Result<()> {
        let mut ids = Vec::with_capacity(messages.len());
        // What nobody could read was not taken, nor what took so long to be read that another has it.
        for message in messages.iter().take_while(|_| Instant::now() < until) {
            output::data_or_fail(message.message.get()).context("print a message")?;
            ids.push(message.id.clone());
        }
        if ids.is_empty() { Ok(()) } else { settled(self.client.ack(&self.args.name, &Settle { ids }).await, "ack") }
    }

    /// Runs the command, and keeps the message for as long as it takes.
    async fn run_for(&self, command: &str, message: &PulledMessage) -> Result<()> {
        let settle = Settle { ids: vec![message.id.clone()] };
        let mut running = std::pin::pin!(succeeds(command, message));
        let succeeded = loop {
            match tokio::time::timeout(PROLONG, &mut running).await {
                Ok(succeeded) => break succeeded?,
                Err(_) => match self.client.prolong(&self.args.name, &settle).await {
                    Ok(prolonged) if !prolonged.lost.is_empty() => {
                        output::note("the message is another consumer's by now: its command is ended");
                        return Ok(());
                    }
                    Ok(_) => {}
                    Err(error) => output::note(&format!("{:#}", anyhow::Error::from(error).context("keep a message"))),
                },
            }
        };
        if succeeded {
            settled(self.client.ack(&self.args.name, &settle).await, "ack")
        } else {
            settled(self.client.nack(&self.args.name, &settle).await, "nack")
        }
    }
}

/// That a message is another's by now, or is not wanted any more, is no reason to end.
fn settled(answer: Result<(), ClientError>, what: &'static str) -> Result<()> {
    match answer {
        Err(ClientError::Problem(problem)) if problem.status == 409 => {
            output::note(&format!("{what}: {}", problem.detail));
            Ok(())
        }
        answer => answer.context(what),
    }
}

fn is_passing(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Unreachable(_) | ClientError::Timeout) => true,
        Some(ClientError::Problem(problem)) => matches!(problem.status, 429 | 503),
        _ => false,
    }
}

async fn succeeds(command: &str, message: &PulledMessage) -> Result<bool> {
    let text = message.message.get();
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.args([if cfg!(windows) { "/C" } else { "-c" }, command]).stdin(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    shell.process_group(0);
    let mut child = shell.spawn().context("run the command")?;
    #[cfg(unix)]
    let mut group = Group(child.id());
    if let Some(mut input) = child.stdin.take() {
        // A command need not read what it is given.
        let _ = input.write_all(text.as_bytes()).await;
    }
    let status = child.wait().await.context("wait for the command")?;
    #[cfg(unix)]
    {
        // What it left running on purpose stays.
        group.0 = None;
    }
    Ok(status.success())
}

/// What the shell of a command has started, by the shell's id. Dropped while the command runs, it asks all of it to end.
#[cfg(unix)]
struct Group(Option<u32>);

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0.and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::TERM);
        }
    }
}
