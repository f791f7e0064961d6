//! Test suites that need more than the Rust toolchain, and what to do where it is missing.
//!
//! A test that needs suite `x` has `needs_x` in its name (a module of that name will do), so that a run without it
//! leaves the test out instead of letting it pass unseen; the runner then counts it as skipped. A test that only looks
//! a little less closely without a program reads `MB_SKIP_SUITES`, a comma list of the suites that are left out.

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
    packages: &'static [&'static str],
}

/// Every suite. `openssl` and `curl` are the second opinion on certificates, keys and HTTP; `strace` sees whether an
/// answer waits for the disk; `chromium` uses the portal, led by its driver.
const SUITES: [Suite; 4] = [
    Suite { program: "openssl", with: &[], packages: &["openssl"] },
    Suite { program: "curl", with: &[], packages: &["curl"] },
    Suite { program: "strace", with: &[], packages: &["strace"] },
    Suite {
        program: "chromium",
        with: &["chromedriver"],
        packages: &["chromium", "chromium-driver", "fonts-dejavu-core"],
    },
];

/// Provides what the suites need where that is allowed; the suites that stay out, and how it went.
pub(crate) fn prepare(options: &Options) -> (Vec<Suite>, Outcome) {
    let missing = missing();
    if missing.is_empty() {
        println!("everything the suites need is here: {}", names(&SUITES));
        return (missing, Outcome::Passed);
    }
    println!("not installed: {}", names(&missing));
    if let Some(reason) = obstacle(options) {
        return skipped(missing, reason);
    }
    println!("installing from Debian: {}", packages(&missing).join(" "));
    install(&missing);
    let missing = self::missing();
    if missing.is_empty() { (missing, Outcome::Passed) } else { skipped(missing, "the installation failed") }
}

/// The value of [`SKIP_VARIABLE`] for these suites.
pub(crate) fn names(suites: &[Suite]) -> String {
    suites.iter().map(|suite| suite.program).collect::<Vec<_>>().join(",")
}

fn missing() -> Vec<Suite> {
    let is_missing = |program: &&str| command::find(program).is_none();
    SUITES.into_iter().filter(|suite| is_missing(&suite.program) || suite.with.iter().any(is_missing)).collect()
}

fn packages(suites: &[Suite]) -> Vec<&'static str> {
    suites.iter().flat_map(|suite| suite.packages.iter().copied()).collect()
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
fn install(suites: &[Suite]) {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    };
    for command in [
        apt().args(["update", "--quiet"]),
        apt().args(["install", "--yes", "--no-install-recommends"]).args(packages(suites)),
    ] {
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
    fn a_skip_names_the_suites_and_the_reason() {
        let (left_out, outcome) = skipped(vec![SUITES[0], SUITES[2]], "only root may install it");
        assert_eq!(names(&left_out), "openssl,strace");
        let expected = "no test of openssl,strace will run: only root may install it";
        assert_eq!(outcome, Outcome::Skipped(expected.to_owned()));
    }
}
