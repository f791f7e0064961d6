//! Services of Windows: the service control manager keeps what each runs, under which account, and what follows a failure.
//!
//! Each component has a virtual account of its own unless `--account` names another. A dependency is set only on a service
//! of this machine that the configuration uses: `MySQL*` or `MariaDB` for the main server, `Memurai` or `Redis` for the worker.

mod engines;
mod install;
pub(crate) mod running;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use windows_service::service::{Service, ServiceAccess, ServiceExitCode, ServiceStartType, ServiceState};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::{Part, Plan, Row, acl, holder};

/// How long a service may take to start: a long recovery says that it goes on.
const STARTS: Duration = Duration::from_mins(10);
/// How long one may take to drain.
const STOPS: Duration = Duration::from_mins(5);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);
/// `ERROR_SERVICE_NEVER_STARTED`: what the manager has for a service that nobody has started since the machine did.
const NEVER_STARTED: ServiceExitCode = ServiceExitCode::Win32(1077);

/// The data directory of services unless somebody says otherwise: the guide's application root.
pub(crate) fn data_dir() -> PathBuf {
    r"C:\MessageBroker".into()
}

/// What Windows calls the service.
const fn name(part: Part) -> &'static str {
    match part {
        Part::MainServer => "MessageBrokerMainServer",
        Part::Proxy => "MessageBrokerProxy",
        Part::Worker => "MessageBrokerWorker",
        Part::Portal => "MessageBrokerPortal",
        Part::Up => "MessageBroker",
    }
}

/// What people read, and the source of its entries in the event log.
const fn display_name(part: Part) -> &'static str {
    match part {
        Part::MainServer => "Message Broker Main Server",
        Part::Proxy => "Message Broker Proxy",
        Part::Worker => "Message Broker Worker",
        Part::Portal => "Message Broker Portal",
        Part::Up => "Message Broker",
    }
}

/// The account that a service has by itself.
fn virtual_account(part: Part) -> String {
    format!(r"NT SERVICE\{}", name(part))
}

/// Nothing has to be made before: the main server makes its authority when it starts.
pub(crate) fn lacks_authority(_plan: &Plan) -> Option<PathBuf> {
    None
}

/// Installs the services, or sets right those that are.
///
/// # Errors
/// The service control manager refuses, an access list cannot be set.
pub(crate) fn install(plan: &Plan) -> Result<()> {
    ensure!(plan.root.is_none(), "--root is for Linux: the service control manager knows this system alone");
    ensure!(
        !plan.apart,
        "--split-secrets is for Linux: here every service has an account of its own, and secrets and certs\\ca.key are closed \
         to all but the main server's"
    );
    install::install(plan)
}

/// Stops the services and removes them; data stays.
///
/// # Errors
/// The service control manager refuses.
pub(crate) fn uninstall(_root: Option<&Path>, parts: &[Part]) -> Result<()> {
    for part in parts.iter().rev() {
        let service = open(*part, ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE)?;
        stop_one(*part, &service)?;
        service.delete().with_context(|| format!("remove {}", name(*part)))?;
        // Entries that were written stay readable as text.
        winlog2::deregister(display_name(*part)).ok();
    }
    Ok(())
}

/// Starts services one after the other and waits until each has started.
///
/// # Errors
/// One does not start.
pub(crate) fn start(parts: &[Part]) -> Result<()> {
    for part in parts {
        let service = open(*part, ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG | ServiceAccess::START)?;
        let state = service.query_status().with_context(|| format!("ask for {}", name(*part)))?.current_state;
        if state == ServiceState::Stopped {
            service.start::<&OsStr>(&[]).with_context(|| format!("start {}", name(*part)))?;
        }
        reach(*part, &service, ServiceState::Running, STARTS)?;
        if matches!(part, Part::MainServer | Part::Up) {
            // Its first start has made them.
            acl::close_secrets(&command_line(&service)?.1, *part);
        }
    }
    Ok(())
}

/// Stops services one after the other and waits until each has drained.
///
/// # Errors
/// One does not stop.
pub(crate) fn stop(parts: &[Part]) -> Result<()> {
    for part in parts {
        stop_one(*part, &open(*part, ServiceAccess::QUERY_STATUS | ServiceAccess::STOP)?)?;
    }
    Ok(())
}

fn stop_one(part: Part, service: &Service) -> Result<()> {
    let state = || service.query_status().with_context(|| format!("ask for {}", name(part)));
    // Windows hands no word to a service that is starting; one that ends over it is stopped all the same.
    if state()?.current_state == ServiceState::StartPending
        && reach(part, service, ServiceState::Running, STARTS).is_err()
    {
        ensure!(
            state()?.current_state == ServiceState::Stopped,
            "{} is starting still and cannot be stopped",
            name(part)
        );
    }
    match state()?.current_state {
        ServiceState::Stopped => return Ok(()),
        ServiceState::StopPending => {}
        _ => {
            service.stop().with_context(|| format!("stop {}", name(part)))?;
        }
    }
    reach(part, service, ServiceState::Stopped, STOPS)
}

fn reach(part: Part, service: &Service, wanted: ServiceState, within: Duration) -> Result<()> {
    let give_up = Instant::now() + within;
    loop {
        let status = service.query_status().with_context(|| format!("ask for {}", name(part)))?;
        if status.current_state == wanted {
            return Ok(());
        }
        if status.current_state == ServiceState::Stopped {
            bail!(
                "{} has ended ({:?}): its log and the event log of {:?} say why",
                name(part),
                status.exit_code,
                display_name(part)
            );
        }
        ensure!(Instant::now() < give_up, "{} is {} still", name(part), words(status.current_state));
        std::thread::sleep(LOOK);
    }
}

/// What is installed, and what it does.
///
/// # Errors
/// The service control manager refuses.
pub(crate) fn status(_root: Option<&Path>, parts: &[Part], unless_said: &Path) -> Result<Vec<Row>> {
    parts.iter().map(|part| row(*part, unless_said)).collect()
}

fn row(part: Part, unless_said: &Path) -> Result<Row> {
    let service = name(part).to_owned();
    let Ok(found) = open(part, ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG) else {
        let (state, data_dir) = ("not installed".to_owned(), unless_said.to_owned());
        let pid = holder(&data_dir, part)?;
        return Ok(Row { part, service, installed: false, enabled: None, state, pid, data_dir });
    };
    let status = found.query_status().with_context(|| format!("ask for {service}"))?;
    let start = found.query_config().with_context(|| format!("ask for {service}"))?.start_type;
    let data_dir = command_line(&found)?.1;
    let pid = match status.process_id {
        Some(pid) => Some(pid),
        None => holder(&data_dir, part)?,
    };
    let (enabled, state) = (Some(start == ServiceStartType::AutoStart), words(status.current_state).to_owned());
    Ok(Row { part, service, installed: true, enabled, state, pid, data_dir })
}

/// The parts that are installed.
pub(crate) fn installed(_root: Option<&Path>) -> Vec<Part> {
    Part::ALL.into_iter().filter(|part| open(*part, ServiceAccess::QUERY_STATUS).is_ok()).collect()
}

/// How the service of `part` was installed, to do it again; `None` if it is not.
pub(crate) fn planned(_root: Option<&Path>, part: Part, program: &Path) -> Option<Plan> {
    let service = open(part, ServiceAccess::QUERY_CONFIG).ok()?;
    let (account, data_dir) = command_line(&service).ok()?;
    let account = account.filter(|account| *account != virtual_account(part));
    let program = program.to_owned();
    Some(Plan { parts: vec![part], data_dir, program, root: None, account, password: None, apart: false })
}

/// Starts what has failed.
///
/// # Errors
/// One does not start.
pub(crate) fn revive(parts: &[Part]) -> Result<()> {
    for part in parts {
        let status = open(*part, ServiceAccess::QUERY_STATUS)?.query_status().context("ask for the service")?;
        let failed = ![ServiceExitCode::NO_ERROR, NEVER_STARTED].contains(&status.exit_code);
        if status.current_state == ServiceState::Stopped && failed {
            start(&[*part])?;
        }
    }
    Ok(())
}

/// Account and data directory of a service, from what it is started by.
fn command_line(service: &Service) -> Result<(Option<String>, PathBuf)> {
    let config = service.query_config().context("ask for the service's definition")?;
    let account = config.account_name.map(|account| account.to_string_lossy().into_owned());
    let line = config.executable_path.display().to_string();
    let directory = line.split_once("--data-dir ").and_then(|(_, rest)| rest.split_once(" service run"));
    let directory = directory.map_or_else(data_dir, |(directory, _)| directory.trim_matches('"').into());
    Ok((account, directory))
}

/// The account that the service of `part` has; `None` if it is not installed.
pub(super) fn account_of(part: Part) -> Option<String> {
    command_line(&open(part, ServiceAccess::QUERY_CONFIG).ok()?).ok()?.0
}

/// What a service is started with, after its program.
fn arguments(plan: &Plan, part: Part) -> Vec<OsString> {
    let words = ["service", "run", part.command()];
    [OsString::from("--data-dir"), plan.data_dir.clone().into_os_string()]
        .into_iter()
        .chain(words.map(OsString::from))
        .collect()
}

fn open(part: Part, access: ServiceAccess) -> Result<Service> {
    let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT);
    let manager = manager.context("connect to the service control manager")?;
    manager.open_service(name(part), access).with_context(|| format!("open the service {}", name(part)))
}

const fn words(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::StartPending => "starting",
        ServiceState::StopPending => "stopping",
        ServiceState::Running => "running",
        ServiceState::ContinuePending => "continuing",
        ServiceState::PausePending => "pausing",
        ServiceState::Paused => "paused",
    }
}
