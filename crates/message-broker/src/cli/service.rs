//! `service install|uninstall|start|stop|status|repair`: the components as services of Windows or systemd.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use mb_core::Secret;

use super::{Format, runtime};
use crate::access::Access;
use crate::layout::Layout;
use crate::output;
#[cfg(windows)]
use crate::service::scm as host;
#[cfg(unix)]
use crate::service::systemd as host;
use crate::service::{Part, Plan, Row};

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Install services and let them start with the machine
    Install(InstallArgs),
    /// Stop services and remove them; data stays
    Uninstall(WhichArgs),
    /// Start services
    Start(WhichArgs),
    /// Drain and stop services
    Stop(WhichArgs),
    /// Say what is installed and what it does; exit 1 unless all of it runs
    Status(WhichArgs),
    /// Set right what an installation should be: definitions, owners, permissions; start what failed
    Repair(WhichArgs),
    /// What the service control manager of Windows starts
    #[command(hide = true)]
    Run {
        /// Which component
        part: Part,
    },
}

/// Of which services something is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Which {
    /// The four components; of what is installed: everything
    All,
    /// The main server
    MainServer,
    /// The proxy
    Proxy,
    /// The worker
    Worker,
    /// The portal
    Portal,
    /// All four in one process
    Up,
}

#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// Which services
    #[arg(value_enum, default_value = "all", hide_possible_values = false)]
    which: Which,
    /// Linux: the files below another root than the system's, which systemd does not run
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The program that they run [default: this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// The account that they run under [default: Linux message-broker, which is made; Windows a virtual one for each]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Windows: the account's password comes from standard input
    #[arg(long, requires = "account")]
    password_stdin: bool,
    /// Linux: a directory and an account for each role, with that role's secrets alone
    #[arg(long, conflicts_with = "account")]
    split_secrets: bool,
    /// Start them at once
    #[arg(long)]
    start: bool,
}

/// Runs one; `data_dir` is what the command line or the environment says.
pub(crate) fn run(data_dir: Option<&Path>, command: ServiceCommand) -> Result<ExitCode> {
    let data_dir =
        data_dir.map_or_else(|| Ok(host::data_dir()), std::path::absolute).context("name the data directory")?;
    match command {
        ServiceCommand::Install(args) => install(&data_dir, args),
        ServiceCommand::Uninstall(args) => {
            let parts = chosen(&args, &host::installed(args.root.as_deref()))?;
            host::uninstall(args.root.as_deref(), &parts)?;
            output::note("removed; the data stays");
            show(&args, &parts, &data_dir).map(|_| ExitCode::SUCCESS)
        }
        ServiceCommand::Start(args) => {
            let parts = chosen(&args, &host::installed(None))?;
            host::start(&parts)?;
            show(&args, &parts, &data_dir).map(|_| ExitCode::SUCCESS)
        }
        ServiceCommand::Stop(args) => {
            let mut parts = chosen(&args, &host::installed(None))?;
            parts.reverse();
            host::stop(&parts)?;
            show(&args, &parts, &data_dir).map(|_| ExitCode::SUCCESS)
        }
        ServiceCommand::Status(args) => status(&args, &data_dir),
        ServiceCommand::Repair(args) => repair(&args, &data_dir),
        ServiceCommand::Run { part } => serve(part),
    }
}

fn install(data_dir: &Path, args: InstallArgs) -> Result<ExitCode> {
    let program = match args.program {
        Some(program) => std::path::absolute(program).context("name the program")?,
        None => std::env::current_exe().context("find this program")?,
    };
    ensure!(
        args.which.root.is_none() || !args.start,
        "--start and --root exclude each other: nothing runs below --root"
    );
    let parts = match args.which.which {
        Which::All => Part::COMPONENTS.to_vec(),
        one => vec![part(one)?],
    };
    let plan = Plan {
        parts,
        data_dir: data_dir.to_owned(),
        program,
        root: args.which.root.clone(),
        account: args.account,
        password: if args.password_stdin { Some(password()?) } else { None },
        apart: args.split_secrets,
    };
    if let Some(place) = host::lacks_authority(&plan) {
        let layout = Layout::new(&place);
        runtime()?
            .block_on(async {
                Access::found(&layout).await?.close().await;
                anyhow::Ok(())
            })
            .context("make the authority")?;
    }
    host::install(&plan)?;
    if args.start {
        host::start(&plan.parts)?;
    } else if args.which.root.is_none() {
        output::note("installed; they start with the machine, or now by `message-broker service start`");
    }
    show(&args.which, &plan.parts, data_dir).map(|_| ExitCode::SUCCESS)
}

fn status(args: &WhichArgs, data_dir: &Path) -> Result<ExitCode> {
    let installed = host::installed(args.root.as_deref());
    let parts = match args.which {
        Which::All if installed.is_empty() => Part::COMPONENTS.to_vec(),
        Which::All => installed,
        one => vec![part(one)?],
    };
    let rows = show(args, &parts, data_dir)?;
    Ok(if rows.iter().all(|row| row.pid.is_some()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn repair(args: &WhichArgs, data_dir: &Path) -> Result<ExitCode> {
    let root = args.root.as_deref();
    let parts = chosen(args, &host::installed(root))?;
    let program = std::env::current_exe().context("find this program")?;
    for part in &parts {
        let plan =
            host::planned(root, *part, &program).with_context(|| format!("{} is not installed", part.command()))?;
        host::install(&plan).with_context(|| format!("repair {}", part.command()))?;
    }
    if root.is_none() {
        host::revive(&parts)?;
    }
    show(args, &parts, data_dir).map(|_| ExitCode::SUCCESS)
}

fn password() -> Result<Secret<String>> {
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).context("read the account's password")?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(windows)]
fn serve(part: Part) -> Result<ExitCode> {
    host::running::dispatch(part)
}

#[cfg(unix)]
fn serve(_part: Part) -> Result<ExitCode> {
    bail!("only Windows starts services this way: systemd runs the components' own commands")
}

/// Those of the installed services that are meant.
fn chosen(args: &WhichArgs, installed: &[Part]) -> Result<Vec<Part>> {
    match args.which {
        Which::All if installed.is_empty() => bail!("no service is installed: `message-broker service install`"),
        Which::All => Ok(installed.to_vec()),
        one => {
            let part = part(one)?;
            ensure!(
                installed.contains(&part),
                "{0} is not installed: `message-broker service install {0}`",
                part.command()
            );
            Ok(vec![part])
        }
    }
}

fn part(which: Which) -> Result<Part> {
    match which {
        Which::All => bail!("all are several"),
        Which::MainServer => Ok(Part::MainServer),
        Which::Proxy => Ok(Part::Proxy),
        Which::Worker => Ok(Part::Worker),
        Which::Portal => Ok(Part::Portal),
        Which::Up => Ok(Part::Up),
    }
}

fn show(args: &WhichArgs, parts: &[Part], data_dir: &Path) -> Result<Vec<Row>> {
    let rows = host::status(args.root.as_deref(), parts, data_dir)?;
    if args.format.json {
        output::json(&serde_json::json!({ "data": rows, "next": null }))?;
    } else {
        for row in &rows {
            output::data(&line(row));
        }
    }
    Ok(rows)
}

fn line(row: &Row) -> String {
    let enabled = match (row.installed, row.enabled) {
        (false, _) => "not installed",
        (true, Some(true)) => "starts with the machine",
        (true, Some(false)) => "is started by hand",
        (true, None) => "installed",
    };
    let pid = row.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    format!("{:36}  {enabled:23}  {:24}  process {pid:8}  {}", row.service, row.state, row.data_dir.display())
}
