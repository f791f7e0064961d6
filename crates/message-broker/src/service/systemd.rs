//! Services of systemd: the units and accounts are written, systemd is asked for the rest.
//!
//! Everything that is asked of it goes through one function. With another root than the system's (an image, a package, a
//! test) files are written and links made below it, and nothing is started.

mod accounts;
mod units;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::split::{self, Seat};
use super::{Part, Plan, Row, holder};
use crate::layout::Layout;
use units::Place;

/// Where an administrator's units lie; before those of packages.
const UNITS: &str = "etc/systemd/system";
/// Where units of packages lie.
const PACKAGED: [&str; 2] = ["usr/lib/systemd/system", "lib/systemd/system"];
/// Where an administrator's accounts lie.
const ACCOUNTS: &str = "etc/sysusers.d";

/// The data directory of services unless somebody says otherwise.
pub(crate) fn data_dir() -> PathBuf {
    units::DATA_DIR.into()
}

/// Installs the services, or sets right those that are: accounts, directories and whose they are, units, start with the
/// machine.
///
/// # Errors
/// systemd does not run here, a file cannot be written or given away, an account is not there.
pub(crate) fn install(plan: &Plan) -> Result<()> {
    refuse_without_systemd(plan.root.as_deref())?;
    let places = plan.parts.iter().map(|part| Ok((*part, place(plan, *part)))).collect::<Result<Vec<_>>>()?;
    // What cannot be written is found before anything is.
    let texts = places.iter().map(|(part, place)| units::render(*part, place)).collect::<Result<Vec<_>>>()?;
    make_accounts(plan)?;
    make_directories(plan, &places)?;
    for ((part, _), text) in places.iter().zip(&texts) {
        write(&below(plan.root.as_deref(), UNITS).join(units::name(*part)), text)?;
    }
    write(&below(plan.root.as_deref(), UNITS).join(units::TARGET.0), units::TARGET.1)?;
    reload(plan.root.as_deref())?;
    systemctl(plan.root.as_deref(), "enable", &names(&plan.parts))?;
    Ok(())
}

/// Where an authority must be made before [`install`] can give each role what is its own; `None` if there is one, or if it is
/// made elsewhere: on a machine without a main server.
pub(crate) fn lacks_authority(plan: &Plan) -> Option<PathBuf> {
    let root = plan.root.as_deref();
    let has = |dir: &Path| Layout::new(&below(root, dir)).ca_certificate().exists();
    let wanted = plan.apart && plan.parts.contains(&Part::MainServer);
    let made = has(&plan.data_dir) || has(&own_directory(plan, Part::MainServer));
    (wanted && !made).then(|| below(root, &plan.data_dir))
}

/// Stops the services and removes what [`install`] wrote; data and accounts stay.
///
/// # Errors
/// systemd does not run here, a file cannot be removed.
pub(crate) fn uninstall(root: Option<&Path>, parts: &[Part]) -> Result<()> {
    refuse_without_systemd(root)?;
    let folder = below(root, UNITS);
    let ours: Vec<_> = parts.iter().copied().filter(|part| folder.join(units::name(*part)).exists()).collect();
    if ours.is_empty() {
        bail!("no service that `service install` made is here; packages remove their own");
    }
    if root.is_none() {
        systemctl(root, "stop", &names(&ours))?;
    }
    systemctl(root, "disable", &names(&ours))?;
    for part in &ours {
        remove(&folder.join(units::name(*part)))?;
    }
    if installed(root).is_empty() {
        systemctl(root, "disable", &[units::TARGET.0])?;
        remove(&folder.join(units::TARGET.0))?;
        for (name, _) in units::ACCOUNTS {
            remove(&below(root, ACCOUNTS).join(name))?;
        }
    }
    reload(root)
}

/// Starts services and waits until each has started.
///
/// # Errors
/// systemd does not run here, or one does not start.
pub(crate) fn start(parts: &[Part]) -> Result<()> {
    refuse_without_systemd(None)?;
    systemctl(None, "start", &names(parts)).map(drop)
}

/// Stops services and waits until each has drained.
///
/// # Errors
/// systemd does not run here, or one does not stop.
pub(crate) fn stop(parts: &[Part]) -> Result<()> {
    refuse_without_systemd(None)?;
    systemctl(None, "stop", &names(parts)).map(drop)
}

/// What is installed, and what it does.
///
/// # Errors
/// A unit or a lock cannot be read.
pub(crate) fn status(root: Option<&Path>, parts: &[Part], unless_said: &Path) -> Result<Vec<Row>> {
    parts.iter().map(|part| row(root, *part, unless_said)).collect()
}

fn row(root: Option<&Path>, part: Part, unless_said: &Path) -> Result<Row> {
    let unit = unit(root, part);
    let data_dir = unit.as_deref().and_then(data_dir_of).unwrap_or_else(|| unless_said.to_owned());
    let booted = root.is_none() && is_booted();
    let (enabled, state, pid) = if booted {
        let shown =
            systemctl(None, "show", &["--property=ActiveState,SubState,UnitFileState,MainPID", units::name(part)])?;
        let of = |key| units::value(&shown, key).unwrap_or_default().to_owned();
        let pid = of("MainPID").parse().ok().filter(|pid| *pid != 0);
        (Some(of("UnitFileState") == "enabled"), format!("{} ({})", of("ActiveState"), of("SubState")), pid)
    } else {
        let linked = |target: &str| below(root, UNITS).join(target).join(units::name(part)).symlink_metadata().is_ok();
        let enabled =
            unit.is_some().then(|| linked("message-broker.target.wants") || linked("multi-user.target.wants"));
        (enabled, "unknown: systemd does not run here".to_owned(), None)
    };
    let pid = if pid.is_none() && root.is_none() { holder(&data_dir, part)? } else { pid };
    let service = units::name(part).to_owned();
    Ok(Row { part, service, installed: unit.is_some(), enabled, state, pid, data_dir })
}

/// The parts whose units are here, by whomever they were installed.
pub(crate) fn installed(root: Option<&Path>) -> Vec<Part> {
    Part::ALL.into_iter().filter(|part| unit(root, *part).is_some()).collect()
}

/// How the service of `part` was installed, to do it again; `None` if it is not.
pub(crate) fn planned(root: Option<&Path>, part: Part, program: &Path) -> Option<Plan> {
    let unit = unit(root, part)?;
    let account = units::value(&unit, "User")?.to_owned();
    let data_dir = data_dir_of(&unit)?;
    let apart = account == units::own_account(part);
    let data_dir = if apart { shared_name(&data_dir, part) } else { data_dir };
    let account = (!apart && account != units::ACCOUNT).then_some(account);
    Some(Plan {
        parts: vec![part],
        data_dir,
        program: program.to_owned(),
        root: root.map(Path::to_owned),
        account,
        password: None,
        apart,
    })
}

/// Gives failed services another chance.
///
/// # Errors
/// One does not start.
pub(crate) fn revive(parts: &[Part]) -> Result<()> {
    for part in parts {
        let shown = systemctl(None, "show", &["--property=ActiveState", units::name(*part)])?;
        if units::value(&shown, "ActiveState") == Some("failed") {
            systemctl(None, "reset-failed", &[units::name(*part)])?;
            systemctl(None, "start", &[units::name(*part)])?;
        }
    }
    Ok(())
}

fn place(plan: &Plan, part: Part) -> Place {
    let account = match &plan.account {
        Some(account) => account.clone(),
        None if plan.apart => units::own_account(part),
        None => units::ACCOUNT.to_owned(),
    };
    let own = if plan.apart { units::own_account(part) } else { units::ACCOUNT.to_owned() };
    Place {
        program: plan.program.clone(),
        data_dir: own_directory(plan, part),
        account,
        environment: format!("/etc/default/{own}"),
    }
}

/// Where `part` works: in the directory of all, or in one that is named after it.
fn own_directory(plan: &Plan, part: Part) -> PathBuf {
    if !plan.apart {
        return plan.data_dir.clone();
    }
    let mut name = plan.data_dir.clone().into_os_string();
    name.push(suffix(part));
    name.into()
}

/// What [`own_directory`] was made from.
fn shared_name(own: &Path, part: Part) -> PathBuf {
    let own = own.display().to_string();
    own.strip_suffix(&suffix(part)).map_or_else(|| own.clone().into(), PathBuf::from)
}

/// `-main`, `-proxy`, ...
fn suffix(part: Part) -> String {
    units::own_account(part).trim_start_matches(units::ACCOUNT).to_owned()
}

fn make_accounts(plan: &Plan) -> Result<()> {
    if plan.account.is_some() {
        return Ok(());
    }
    let root = plan.root.as_deref();
    let (name, text) = units::ACCOUNTS[usize::from(plan.apart)];
    write(&below(root, ACCOUNTS).join(name), text)?;
    accounts::make(root, name)
}

fn make_directories(plan: &Plan, places: &[(Part, Place)]) -> Result<()> {
    let root = plan.root.as_deref();
    let mut seats = Vec::new();
    for (part, place) in places {
        let owner = accounts::owner(root, &place.account)?;
        seats.push(Seat { part: *part, dir: below(root, &place.data_dir), owner: Some(owner) });
    }
    if plan.apart {
        set_apart(&Layout::new(&below(root, &plan.data_dir)), &seats)?;
    }
    for seat in seats {
        Layout::new(&seat.dir).create()?;
        accounts::close_private(&seat.dir)?;
        let (uid, gid) = seat.owner.context("every seat has an owner")?;
        split::give(&seat.dir, uid, gid)?;
    }
    Ok(())
}

/// Gives the roles what is theirs of the directory of all, which is root's alone afterwards.
fn set_apart(whole: &Layout, seats: &[Seat]) -> Result<()> {
    if !whole.root().exists() {
        return Ok(());
    }
    split::move_apart(whole, seats)?;
    split::give(whole.root(), 0, 0)?;
    split::close(whole.root())
}

fn unit(root: Option<&Path>, part: Part) -> Option<String> {
    let folders = [UNITS].into_iter().chain(PACKAGED);
    folders.into_iter().find_map(|folder| std::fs::read_to_string(below(root, folder).join(units::name(part))).ok())
}

fn data_dir_of(unit: &str) -> Option<PathBuf> {
    units::value(unit, "Environment")?.strip_prefix("MB_DATA_DIR=").map(PathBuf::from)
}

fn names(parts: &[Part]) -> Vec<&'static str> {
    let target = parts.iter().any(|part| *part != Part::Up).then_some(units::TARGET.0);
    parts.iter().map(|part| units::name(*part)).chain(target).collect()
}

fn below(root: Option<&Path>, path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    root.unwrap_or(Path::new("/")).join(path.strip_prefix("/").unwrap_or(path))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// As `sd_booted(3)` asks.
fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn refuse_without_systemd(root: Option<&Path>) -> Result<()> {
    ensure!(
        root.is_some() || is_booted(),
        "systemd does not run on this machine, so there is nothing to install services in: write the files for another \
         machine with --root DIR, or let your own supervisor run `message-broker main-server` and the others"
    );
    Ok(())
}

fn reload(root: Option<&Path>) -> Result<()> {
    if root.is_none() { systemctl(None, "daemon-reload", &[]).map(drop) } else { Ok(()) }
}

/// Everything that is asked of systemd.
fn systemctl(root: Option<&Path>, verb: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("systemctl");
    if let Some(root) = root {
        command.arg("--root").arg(root);
    }
    let output = command.arg("--no-pager").arg(verb).args(arguments).output().context("run systemctl")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    bail!("systemctl {verb} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())
}
