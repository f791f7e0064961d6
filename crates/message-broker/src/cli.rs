//! The command line: what can be said, and which file does it.
//!
//! Data goes to stdout, words to stderr; business errors exit 1, usage errors 2 (contract, section 6).

mod admin;
mod backup;
mod ca;
mod completions;
mod config;
mod enroll;
mod journal;
mod keys;
mod migrate;
mod openapi;
mod process;
mod retention;
mod role;
mod service;
mod split;
mod up;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::doctor::DoctorArgs;
use crate::generate::GenerateArgs;
use crate::layout::Layout;
use crate::listen::ListenArgs;
use crate::send::SendArgs;
use crate::service::{Part, Supervisor};
use crate::smoke::SmokeTestArgs;
use crate::torture::TortureArgs;
use crate::{access, bench, doctor, generate, listen, output, send, smoke, torture};

/// The data directory unless somebody says otherwise.
const DATA_DIR: &str = "./data";

/// Takes in messages over mutual TLS, loses none, and hands them on.
#[derive(Debug, Parser)]
#[command(name = "message-broker", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Where certificates, keys, journal and database lie [default: ./data; of services /var/lib/message-broker, on Windows
    /// C:\MessageBroker]
    #[arg(long, global = true, env = "MB_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A setting for this run, as in proxy.port=9001; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all four components on an embedded database and queue
    Up,
    /// Run the main server alone
    MainServer,
    /// Run a proxy alone
    Proxy,
    /// Run a worker alone
    Worker,
    /// Run the portal alone
    Portal,
    /// Bring the database's schema up to date
    Migrate(migrate::MigrateArgs),
    /// Issue, list, verify and revoke certificates
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// Rotate the master keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Make, list, verify and restore backups
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// Administer people, clients, domains, messages and the store
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Get a first certificate with a token, for a key that is made here
    Enroll(enroll::EnrollArgs),
    /// Submit one message
    Send(SendArgs),
    /// Consume a pull destination: print each message or run a command for it
    Listen(ListenArgs),
    /// Measure a running broker
    Bench(BenchArgs),
    /// Fill a database with generated messages, to look at speed and plans on a large store
    #[command(hide = true)]
    Generate(GenerateArgs),
    /// Crash a throw-away broker under load and count what it kept
    Torture(TortureArgs),
    /// Look at and repair the proxy's journal
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Install, start and stop the components as services of Windows or systemd
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// Remove what was kept for long enough
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Make a data directory for each role, with that role's secrets alone
    SplitSecrets(split::SplitArgs),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Say what is wrong with this installation and how to mend it
    Doctor(DoctorArgs),
    /// Try a running system as clients, people and the monitoring use it
    SmokeTest(SmokeTestArgs),
    /// Print a completion script
    Completions(completions::CompletionsArgs),
    /// Print the OpenAPI document of the API
    Openapi,
}

/// How a command prints what it found or made.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Format {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) if code == ExitCode::SUCCESS && output::is_lost() => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) => {
            output::note(&format!("message-broker: {}", output::why(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let layout = Layout::new(cli.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR))).with_settings(cli.set);
    match cli.command {
        Command::Up => serve(&layout, Part::Up, &Supervisor::of_environment()),
        Command::MainServer => serve(&layout, Part::MainServer, &Supervisor::of_environment()),
        Command::Proxy => serve(&layout, Part::Proxy, &Supervisor::of_environment()),
        Command::Worker => serve(&layout, Part::Worker, &Supervisor::of_environment()),
        Command::Portal => serve(&layout, Part::Portal, &Supervisor::of_environment()),
        Command::Service(command) => service::run(cli.data_dir.as_deref(), command),
        Command::Migrate(args) => runtime()?.block_on(migrate::run(&layout, args)),
        Command::Ca(command) => runtime()?.block_on(ca::run(&layout, command)),
        Command::Keys(command) => runtime()?.block_on(keys::run(&layout, command)),
        Command::Backup(command) => runtime()?.block_on(backup::run(&layout, command)),
        Command::Admin(command) => runtime()?.block_on(admin::run(&layout, command)),
        Command::Enroll(args) => runtime()?.block_on(enroll::run(&layout, args)),
        Command::Send(args) => runtime()?.block_on(send::run(args, layout.root())),
        Command::Listen(args) => runtime()?.block_on(listen::run(args, layout.root())),
        Command::Bench(args) => {
            mb_runtime::nofile::raise().context("raise the limit of open files")?;
            runtime()?.block_on(bench::run(args, layout.root(), access::preparing(&layout)))
        }
        Command::Generate(args) => runtime()?.block_on(generate::run(&layout, args)),
        Command::Torture(args) => runtime()?.block_on(torture::run(args)),
        Command::Journal(command) => runtime()?.block_on(journal::run(&layout, command)),
        Command::Retention(command) => runtime()?.block_on(retention::run(&layout, command)),
        Command::SplitSecrets(args) => split::run(&layout, &args),
        Command::Config(command) => config::run(&layout, &command),
        Command::Doctor(args) => runtime()?.block_on(doctor::run(&layout, args)),
        Command::SmokeTest(args) => runtime()?.block_on(smoke::run(&layout, args)),
        Command::Completions(args) => completions::run(&args),
        Command::Openapi => Ok(openapi::run()),
    }
}

/// Runs what a service runs, until it is told to stop; tells `supervisor` how it fares.
pub(crate) fn serve(layout: &Layout, part: Part, supervisor: &Supervisor) -> Result<ExitCode> {
    match part.role() {
        Some(role) => role::run(layout, role, supervisor),
        None => up::run(layout, supervisor),
    }
}

/// Which service the service control manager has started this process for.
#[cfg(windows)]
pub(crate) fn service_of_this_process() -> Option<(Layout, Part)> {
    let cli = Cli::try_parse().ok()?;
    let Command::Service(service::ServiceCommand::Run { part }) = cli.command else { return None };
    Some((Layout::new(cli.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR))).with_settings(cli.set), part))
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, as in proxy.port=9001")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the async runtime")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
