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
    /// A script of this package, and the folder that it fills.
    Script(&'static str, &'static str),
}

/// Every suite. `openssl` and `curl` are the second opinion on certificates, keys and HTTP; `strace` sees whether an
/// answer waits for the disk; `systemd-analyze` reads the units; `prometheus` scrapes as an operator's does; `chromium`
/// uses the portal, led by its driver; `schemathesis` makes up requests from the OpenAPI document; `sslyze` scans the TLS
/// ports; `unshare` gives a process name servers of its own; `setpriv` runs as another account; `redis-server` is the queue of separate processes, and its own Sentinel;
/// `mariadbd` and `mysqld` are
/// the databases that the store is for besides its own file.
const SUITES: [Suite; 13] = [
    Suite { program: "openssl", with: &[], source: Source::Debian(&["openssl"]) },
    Suite { program: "curl", with: &[], source: Source::Debian(&["curl"]) },
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
    Suite { program: "mysqld", with: &[], source: Source::Script("xtask/mysql.sh", "target/mysql") },
];

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
    let needs_root = |suite: &Suite| !matches!(suite.source, Source::Python(_));
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

    fn is_here(&self) -> bool {
        let is_found = |program: &&str| command::find(program).is_some();
        let here = match self.source {
            Source::Debian(_) => is_found(&self.program),
            Source::Python(_) => self.folder().join("bin").join(self.program).is_file() || is_found(&self.program),
            // Written last.
            Source::Script(..) => self.folder().join("ready").is_file(),
        };
        here && self.with.iter().all(is_found)
    }

    /// What is not Debian's is put here; its tests look here first.
    fn folder(&self) -> PathBuf {
        match self.source {
            Source::Script(_, folder) => command::root().join(folder),
            Source::Debian(_) | Source::Python(_) => command::root().join("target").join(self.program),
        }
    }

    /// Installs what is not Debian's.
    fn install(&self) {
        let folder = self.folder();
        match self.source {
            Source::Debian(_) => {}
            Source::Python(package) => {
                println!("installing from PyPI into {}: {package}", folder.display());
                let pip = folder.join("bin").join("pip");
                run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
                run(Command::new(pip).args(["install", "--quiet", package]));
            }
            Source::Script(script, folder) => {
                println!("unpacking {} from Debian into {folder}", self.program);
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
        Source::Debian(packages) => packages,
        Source::Python(_) | Source::Script(..) => &[],
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
fn run(command: &mut Command) {
    if let Err(error) = command::succeeds(command) {
        println!("{error:#}");
    }
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
