//! Test suites that need more than the Rust toolchain, and what to do where it is missing.
//!
//! A test that needs suite `x-y` has `needs_x_y` in its name (a module of that name will do), so that a run without it
//! leaves the test out instead of letting it pass unseen; the runner then counts it as skipped. A test that only looks
//! a little less closely without a program reads `MB_SKIP_SUITES`, a comma list of the suites that are left out.
//!
//! A program that no package of this system brings is unpacked by a script from where it moves on from day to day. Whether
//! it is to be had today is no verdict on a change, so its suite alone may stay out where nothing else may: loudly.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::args::Options;
use crate::command;
use crate::report::Outcome;

/// The variable that names the suites left out.
pub(crate) const SKIP_VARIABLE: &str = "MB_SKIP_SUITES";

/// A suite is named after the program that it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Suite {
    /// The program.
    pub(crate) program: &'static str,
    /// Programs that it needs besides.
    with: &'static [&'static str],
    source: Source,
}

/// Where a program comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// Packages of Debian's.
    Debian(&'static [&'static str]),
    /// A Python package in this version, into a folder of its own below `target/`.
    Python(&'static str),
    /// Python packages that bring no program, likewise.
    Modules(&'static [&'static str]),
    /// A script of this package, the folder that it fills, and packages of Debian's that it takes.
    Script(&'static str, &'static str, &'static [&'static str]),
}

/// Every suite. `openssl` and `curl` are the second opinion on certificates, keys and HTTP; `python3` runs the samples;
/// `strace` sees whether an answer waits for the disk; `systemd-analyze` reads the units; `prometheus` scrapes as an
/// operator's does; `chromium`
/// uses the portal, led by its driver; `schemathesis` makes up requests from the OpenAPI document; `sslyze` scans the TLS
/// ports; `unshare` gives a process name servers of its own; `setpriv` runs as another account; `redis-server` is the queue of separate processes, and its own Sentinel;
/// `mariadbd` and `mysqld` are the databases that the store is for besides its own file, into which `sqlite3` writes what no
/// program of this version does; `nft` reads the firewall's rules and
/// `tree-sitter-powershell` the scripts that nothing here can run.
const SUITES: [Suite; 17] = [
    Suite { program: "openssl", with: &[], source: Source::Debian(&["openssl"]) },
    Suite { program: "curl", with: &[], source: Source::Debian(&["curl"]) },
    Suite { program: "python3", with: &[], source: Source::Debian(&["python3"]) },
    Suite { program: "strace", with: &[], source: Source::Debian(&["strace"]) },
    Suite {
        program: "chromium",
        with: &["chromedriver"],
        source: Source::Debian(&["chromium", "chromium-driver", "fonts-dejavu-core"]),
    },
    Suite { program: "systemd-analyze", with: &[], source: Source::Debian(&["systemd"]) },
    Suite { program: "prometheus", with: &["promtool"], source: Source::Debian(&["prometheus"]) },
    Suite { program: "schemathesis", with: &[], source: Source::Python("schemathesis==4.32.5") },
    Suite { program: "sslyze", with: &[], source: Source::Python("sslyze==6.3.1") },
    Suite { program: "unshare", with: &[], source: Source::Debian(&["util-linux"]) },
    Suite { program: "setpriv", with: &[], source: Source::Debian(&["util-linux"]) },
    Suite { program: "redis-server", with: &[], source: Source::Debian(&["redis-server"]) },
    Suite { program: "mariadbd", with: &[], source: Source::Debian(&["mariadb-server"]) },
    Suite { program: "sqlite3", with: &[], source: Source::Debian(&["sqlite3"]) },
    Suite { program: "mysqld", with: &[], source: Source::Script("xtask/mysql.sh", "target/mysql", &[]) },
    Suite { program: "nft", with: &[], source: Source::Debian(&["nftables"]) },
    Suite {
        program: "tree-sitter-powershell",
        with: &[],
        source: Source::Modules(&["tree-sitter==0.26.1", "tree-sitter-powershell==0.26.4"]),
    },
];

/// What builds for Windows, and runs what was built: by a command of its own, for it takes longer than all the others.
pub(crate) const WINE: Suite = Suite {
    program: "wine",
    with: &["wine", "x86_64-w64-mingw32-gcc-posix", "wixl", "zip"],
    source: Source::Script(
        "xtask/windows.sh",
        "target/windows",
        &["gcc-mingw-w64-x86-64-posix", "g++-mingw-w64-x86-64-posix", "wine64", "wine", "wixl", "zip"],
    ),
};

/// Provides what building for Windows takes; why it cannot be, if so.
pub(crate) fn prepare_windows() -> Option<String> {
    if WINE.is_here() {
        return None;
    }
    match obstacle() {
        Some(obstacle) => return Some(format!("nothing is built for Windows: {obstacle}")),
        None => install_from_debian(&packages(&[WINE])),
    }
    WINE.install();
    (!WINE.is_here()).then(|| "nothing is built for Windows: the installation failed".to_owned())
}

/// Provides what the suites need where that is allowed; the suites that stay out, and how it went.
pub(crate) fn prepare(options: &Options) -> (Vec<Suite>, Outcome) {
    let missing = missing();
    if missing.is_empty() {
        println!("everything the suites need is here: {}", names(&SUITES));
        return (missing, Outcome::Passed);
    }
    println!("not installed: {}", names(&missing));
    if options.no_install {
        return skipped(missing, "--no-install");
    }
    let mut reason = "the installation failed";
    let needs_root = |suite: &Suite| !matches!(suite.source, Source::Python(_) | Source::Modules(_));
    match obstacle() {
        Some(obstacle) if missing.iter().any(needs_root) => reason = obstacle,
        Some(_) | None => install_from_debian(&packages(&missing)),
    }
    for suite in &missing {
        suite.install();
    }
    let missing = self::missing();
    if missing.is_empty() { (missing, Outcome::Passed) } else { skipped(missing, reason) }
}

/// The value of [`SKIP_VARIABLE`] for these suites.
pub(crate) fn names(suites: &[Suite]) -> String {
    suites.iter().map(|suite| suite.program).collect::<Vec<_>>().join(",")
}

impl Suite {
    /// What the names of its tests contain.
    pub(crate) fn mark(self) -> String {
        format!("needs_{}", self.program.replace('-', "_"))
    }

    pub(crate) fn is_here(&self) -> bool {
        let is_found = |program: &&str| command::find(program).is_some();
        let here = match self.source {
            Source::Debian(_) => is_found(&self.program),
            Source::Python(_) => self.folder().join("bin").join(self.program).is_file() || is_found(&self.program),
            // Written last.
            Source::Script(..) | Source::Modules(_) => self.folder().join("ready").is_file(),
        };
        here && self.with.iter().all(is_found)
    }

    /// What is not Debian's is put here; its tests look here first.
    fn folder(&self) -> PathBuf {
        match self.source {
            Source::Script(_, folder, _) => command::root().join(folder),
            Source::Debian(_) | Source::Python(_) | Source::Modules(_) => {
                command::root().join("target").join(self.program)
            }
        }
    }

    /// Installs what is not Debian's.
    fn install(&self) {
        let folder = self.folder();
        match self.source {
            Source::Debian(_) => {}
            Source::Python(package) => {
                install_from_pypi(&folder, &[package]);
            }
            Source::Modules(packages) => {
                if install_from_pypi(&folder, packages)
                    && let Err(error) = std::fs::write(folder.join("ready"), "")
                {
                    println!("write {}/ready: {error}", folder.display());
                }
            }
            Source::Script(script, folder, _) => {
                println!("making {} ready in {folder}", self.program);
                let mut unpack = Command::new("bash");
                run(unpack.args([script, folder]).current_dir(command::root()).stdin(Stdio::null()));
            }
        }
    }
}

fn missing() -> Vec<Suite> {
    SUITES.into_iter().filter(|suite| !suite.is_here()).collect()
}

/// What Debian has of these.
fn packages(suites: &[Suite]) -> Vec<&'static str> {
    let of_debian = |suite: &Suite| match suite.source {
        Source::Debian(packages) | Source::Script(_, _, packages) => packages,
        Source::Python(_) | Source::Modules(_) => &[],
    };
    suites.iter().flat_map(of_debian).copied().collect()
}

fn skipped(missing: Vec<Suite>, reason: &str) -> (Vec<Suite>, Outcome) {
    let why = format!("no test of {} will run: {reason}", names(&missing));
    let moving = missing.iter().all(|suite| matches!(suite.source, Source::Script(..)));
    (missing, if moving { Outcome::Excused(why) } else { Outcome::Skipped(why) })
}

fn obstacle() -> Option<&'static str> {
    if command::find("apt-get").is_none() {
        Some("there is no apt-get here to install it")
    } else if !is_root() {
        Some("only root may install it")
    } else {
        None
    }
}

/// Into a folder of its own; whether that went well.
fn install_from_pypi(folder: &std::path::Path, packages: &[&str]) -> bool {
    println!("installing from PyPI into {}: {}", folder.display(), packages.join(" "));
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        && run(Command::new(folder.join("bin").join("pip")).args(["install", "--quiet"]).args(packages))
}

fn install_from_debian(packages: &[&str]) {
    if packages.is_empty() {
        return;
    }
    println!("installing from Debian: {}", packages.join(" "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    };
    run(apt().args(["update", "--quiet"]));
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages));
}

/// What counts is whether the programs are there afterwards, so a failure is told by the command itself and no error.
fn run(command: &mut Command) -> bool {
    command::succeeds(command).unwrap_or_else(|error| {
        println!("{error:#}");
        false
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(program: &str) -> Suite {
        *SUITES.iter().find(|suite| suite.program == program).expect("a suite")
    }

    #[test]
    fn a_skip_names_the_suites_and_the_reason() {
        let (left_out, outcome) = skipped(vec![suite("openssl"), suite("strace")], "only root may install it");
        assert_eq!(names(&left_out), "openssl,strace");
        let expected = "no test of openssl,strace will run: only root may install it";
        assert_eq!(outcome, Outcome::Skipped(expected.to_owned()));
    }

    #[test]
    fn only_what_no_package_brings_may_stay_out_everywhere() {
        let excused = Outcome::Excused("no test of mysqld will run: the installation failed".to_owned());
        assert_eq!(skipped(vec![suite("mysqld")], "the installation failed").1, excused);
        let both = vec![suite("mysqld"), suite("mariadbd")];
        assert!(matches!(skipped(both, "the installation failed").1, Outcome::Skipped(_)));
    }

    #[test]
    fn tests_are_marked_by_a_name_that_a_test_can_have() {
        assert_eq!(suite("redis-server").mark(), "needs_redis_server");
    }
}
