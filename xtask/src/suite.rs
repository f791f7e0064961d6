//! Test suites that need more than the Rust toolchain, and what to do where it is missing.
//!
//! A test that needs suite `x-y` has `needs_x_y` in its name (a module of that name will do), so that a run without it
//! leaves the test out instead of letting it pass unseen; the runner then counts it as skipped. A test that only looks
//! a little less closely without a program reads `MB_SKIP_SUITES`, a comma list of the suites that are left out.

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
}

/// Every suite. `openssl` and `curl` are the second opinion on certificates, keys and HTTP; `strace` sees whether an
/// answer waits for the disk; `chromium` uses the portal, led by its driver; `schemathesis` makes up requests from the
/// OpenAPI document; `redis-server` is the queue of separate processes, and its own Sentinel.
const SUITES: [Suite; 6] = [
    Suite { program: "openssl", with: &[], source: Source::Debian(&["openssl"]) },
    Suite { program: "curl", with: &[], source: Source::Debian(&["curl"]) },
    Suite { program: "strace", with: &[], source: Source::Debian(&["strace"]) },
    Suite {
        program: "chromium",
        with: &["chromedriver"],
        source: Source::Debian(&["chromium", "chromium-driver", "fonts-dejavu-core"]),
    },
    Suite { program: "schemathesis", with: &[], source: Source::Python("schemathesis==4.32.5") },
    Suite { program: "redis-server", with: &[], source: Source::Debian(&["redis-server"]) },
];

impl Suite {
    /// What the names of its tests contain.
    pub(crate) fn mark(self) -> String {
        format!("needs_{}", self.program.replace('-', "_"))
    }
}

/// Provides what the suites need where that is allowed; the suites that stay out, and how it went.
pub(crate) fn prepare(options: &Options) -> (Vec<Suite>, Outcome) {
    let missing = missing();
    if missing.is_empty() {
        println!("everything the suites need is here: {}", names(&SUITES));
        return (missing, Outcome::Passed);
    }
    println!("not installed: {}", names(&missing));
    let mut reason = "the installation failed";
    match (packages(&missing), obstacle(options)) {
        (packages, _) if packages.is_empty() => {}
        (_, Some(obstacle)) => reason = obstacle,
        (packages, None) => {
            println!("installing from Debian: {}", packages.join(" "));
            install(&packages);
        }
    }
    if !options.no_install {
        for suite in &missing {
            suite.install_from_python();
        }
    }
    let missing = self::missing();
    if missing.is_empty() { (missing, Outcome::Passed) } else { skipped(missing, reason) }
}

/// The value of [`SKIP_VARIABLE`] for these suites.
pub(crate) fn names(suites: &[Suite]) -> String {
    suites.iter().map(|suite| suite.program).collect::<Vec<_>>().join(",")
}

fn missing() -> Vec<Suite> {
    SUITES.into_iter().filter(|suite| !suite.is_here()).collect()
}

/// What Debian has of these.
fn packages(suites: &[Suite]) -> Vec<&'static str> {
    let of_debian = |suite: &Suite| match suite.source {
        Source::Debian(packages) => packages,
        Source::Python(_) => &[],
    };
    suites.iter().flat_map(of_debian).copied().collect()
}

impl Suite {
    fn is_here(&self) -> bool {
        let is_found = |program: &&str| command::find(program).is_some();
        let here = self.folder().join("bin").join(self.program).is_file() || is_found(&self.program);
        here && self.with.iter().all(|program| is_found(program))
    }

    /// Where a Python program is installed; its tests look here first.
    fn folder(&self) -> PathBuf {
        command::root().join("target").join(self.program)
    }

    fn install_from_python(&self) {
        let Source::Python(package) = self.source else { return };
        let folder = self.folder();
        println!("installing from PyPI into {}: {package}", folder.display());
        let pip = folder.join("bin").join("pip");
        for command in [
            Command::new("python3").args(["-m", "venv"]).arg(&folder),
            Command::new(pip).args(["install", "--quiet", package]),
        ] {
            if let Err(error) = command::succeeds(command) {
                println!("{error:#}");
            }
        }
    }
}

fn skipped(missing: Vec<Suite>, reason: &str) -> (Vec<Suite>, Outcome) {
    let outcome = Outcome::Skipped(format!("no test of {} will run: {reason}", names(&missing)));
    (missing, outcome)
}

fn obstacle(options: &Options) -> Option<&'static str> {
    if options.no_install {
        Some("--no-install")
    } else if command::find("apt-get").is_none() {
        Some("there is no apt-get here to install it")
    } else if !is_root() {
        Some("only root may install it")
    } else {
        None
    }
}

/// What counts is whether the programs are there afterwards, so a failure here is told by apt itself and no error.
fn install(packages: &[&str]) {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    };
    for command in
        [apt().args(["update", "--quiet"]), apt().args(["install", "--yes", "--no-install-recommends"]).args(packages)]
    {
        if let Err(error) = command::succeeds(command) {
            println!("{error:#}");
        }
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_installed_where_that_is_forbidden() {
        let forbidden = Options { no_install: true, ..Options::default() };
        assert_eq!(obstacle(&forbidden), Some("--no-install"));
    }

    #[test]
    fn a_mark_can_stand_in_the_name_of_a_test() {
        assert_eq!(SUITES.map(Suite::mark), ["needs_openssl", "needs_curl", "needs_strace", "needs_redis_server"]);
    }

    #[test]
    fn a_skip_names_the_suites_and_the_reason() {
        let (left_out, outcome) = skipped(vec![SUITES[0], SUITES[2]], "only root may install it");
        assert_eq!(names(&left_out), "openssl,strace");
        let expected = "no test of openssl,strace will run: only root may install it";
        assert_eq!(outcome, Outcome::Skipped(expected.to_owned()));
    }
}
