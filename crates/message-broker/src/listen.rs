//! `listen`: consumes a pull destination: prints each message, or runs a command for it.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mb_api::client::{Client, ClientError, Transport};
use mb_api::dto::pull::{PullRequest, PulledMessage, Settle};
use mb_core::DestinationName;
use mb_core::name::NAME_RULE;
use mb_runtime::lifecycle::Lifecycle;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::layout::{read_secret, read_text};
use crate::output;

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
    /// Messages that are fetched at once
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
    let (certificate, key) = (read_text(&args.cert)?, read_secret(&args.key)?);
    let tls = mb_crypto::tls::main_server_client_config(Some((&certificate, key.expose())), &read_text(&ca)?);
    let transport = Transport::mtls(tls.context("read the certificate")?, &args.url).context("read --url")?;
    let client = Client::new(transport);
    let lifecycle = Lifecycle::new();
    tokio::select! {
        signal = lifecycle.wait_for_signal() => signal.context("wait for a signal").map(|()| ExitCode::SUCCESS),
        consumed = consume(&args, &client) => consumed.map(|()| ExitCode::SUCCESS),
    }
}

/// A main server that is away is waited for: what was given out before comes again. With --drain it is an error.
async fn consume(args: &ListenArgs, client: &Client) -> Result<()> {
    let mut pause = PAUSES.0;
    loop {
        let error = match consume_one(args, client).await {
            Ok(0) if args.drain => return Ok(()),
            Ok(_) => {
                pause = PAUSES.0;
                continue;
            }
            Err(error) if args.drain || !is_passing(&error) => return Err(error),
            Err(error) => error,
        };
        output::note(&format!("{error:#}; trying again"));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn is_passing(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Unreachable(_) | ClientError::Timeout) => true,
        Some(ClientError::Problem(problem)) => matches!(problem.status, 429 | 503),
        _ => false,
    }
}

/// Fetches once; how many there were.
async fn consume_one(args: &ListenArgs, client: &Client) -> Result<usize> {
    let wait_seconds = if args.drain { 0 } else { WAIT };
    let pulled = client.pull(&args.name, &PullRequest { max: args.max, wait_seconds }).await;
    let pulled = pulled.with_context(|| format!("fetch from {}", args.name))?.data;
    match &args.exec {
        None => print(args, client, &pulled).await?,
        // Each is settled by itself: what a command did is not done again because of the next one.
        Some(command) => {
            for message in &pulled {
                run_for(args, client, command, message).await?;
            }
        }
    }
    Ok(pulled.len())
}

async fn print(args: &ListenArgs, client: &Client, messages: &[PulledMessage]) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    // What nobody could read was not taken.
    for message in messages {
        output::data_or_fail(message.message.get()).context("print a message")?;
    }
    let ids = messages.iter().map(|message| message.id.clone()).collect();
    client.ack(&args.name, &Settle { ids }).await.context("ack")
}

async fn run_for(args: &ListenArgs, client: &Client, command: &str, message: &PulledMessage) -> Result<()> {
    let ids = vec![message.id.clone()];
    if succeeds(command, message).await? {
        client.ack(&args.name, &Settle { ids }).await.context("ack")
    } else {
        client.nack(&args.name, &Settle { ids }).await.context("nack")
    }
}

async fn succeeds(command: &str, message: &PulledMessage) -> Result<bool> {
    let text = message.message.get();
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.args([if cfg!(windows) { "/C" } else { "-c" }, command]).stdin(Stdio::piped()).kill_on_drop(true);
    let mut child = shell.spawn().context("run the command")?;
    if let Some(mut input) = child.stdin.take() {
        // A command need not read what it is given.
        let _ = input.write_all(text.as_bytes()).await;
    }
    Ok(child.wait().await.context("wait for the command")?.success())
}
