//! Test suites that need more than the Rust toolchain, and what to do where it is missing.
//!
//! A test that needs suite `x` has `needs_x` in its name (a module of that name will do), so that a run without it
//! leaves the test out instead of letting it pass unseen; the runner then counts it as skipped. A test that only looks
//! a little less closely without a program reads `MB_SKIP_SUITES`, a comma list of the suites that are left out.
//!
//! A program that no package of this system brings is unpacked by a script from where it moves on from day to day. Whether
//! it is to be had today is no verdict on a change, so its suite alone may stay out where nothing else may: loudly.

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
    source: Source,
}

/// Where a program comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// A package of this system.
    Debian(&'static str),
    /// A script of this package, and the folder below `target` that it fills.
    Script(&'static str, &'static str),
}

/// Every suite. `openssl` and `curl` are the second opinion on certificates, keys and HTTP; `strace` sees whether an
/// answer waits for the disk; `mariadbd` and `mysqld` are the databases that the store is for besides its own file.
const SUITES: [Suite; 5] = [
    Suite { program: "openssl", source: Source::Debian("openssl") },
    Suite { program: "curl", source: Source::Debian("curl") },
    Suite { program: "strace", source: Source::Debian("strace") },
    Suite { program: "mariadbd", source: Source::Debian("mariadb-server") },
    Suite { program: "mysqld", source: Source::Script("xtask/mysql.sh", "target/mysql") },
];

impl Suite {
    fn is_here(&self) -> bool {
        match self.source {
            Source::Debian(_) => command::find(self.program).is_some(),
            // Written last.
            Source::Script(_, folder) => command::root().join(folder).join("ready").is_file(),
        }
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
    if let Some(reason) = obstacle(options) {
        return skipped(missing, reason);
    }
    install(&missing);
    let missing = self::missing();
    if missing.is_empty() { (missing, Outcome::Passed) } else { skipped(missing, "the installation failed") }
}

/// The value of [`SKIP_VARIABLE`] for these suites.
pub(crate) fn names(suites: &[Suite]) -> String {
    suites.iter().map(|suite| suite.program).collect::<Vec<_>>().join(",")
}

fn missing() -> Vec<Suite> {
    SUITES.into_iter().filter(|suite| !suite.is_here()).collect()
}

fn packages(suites: &[Suite]) -> Vec<&'static str> {
    let package = |suite: &Suite| match suite.source {
        Source::Debian(package) => Some(package),
        Source::Script(..) => None,
    };
    suites.iter().filter_map(package).collect()
}

fn skipped(missing: Vec<Suite>, reason: &str) -> (Vec<Suite>, Outcome) {
    let why = format!("no test of {} will run: {reason}", names(&missing));
    let outcome = if packages(&missing).is_empty() { Outcome::Excused(why) } else { Outcome::Skipped(why) };
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
    let packages = packages(suites);
    let mut commands = Vec::new();
    if !packages.is_empty() {
        let (mut update, mut install) = (apt(), apt());
        update.args(["update", "--quiet"]);
        install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
        commands.extend([update, install]);
    }
    for suite in suites {
        if let Source::Script(script, folder) = suite.source {
            let mut unpack = Command::new("bash");
            unpack.args([script, folder]).current_dir(command::root()).stdin(Stdio::null());
            commands.push(unpack);
        }
    }
    for mut command in commands {
        if let Err(error) = command::succeeds(&mut command) {
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

    #[test]
    fn only_what_no_package_brings_may_stay_out_everywhere() {
        let mysqld = SUITES[4];
        let excused = Outcome::Excused("no test of mysqld will run: the installation failed".to_owned());
        assert_eq!(skipped(vec![mysqld], "the installation failed").1, excused);
        assert!(matches!(skipped(vec![mysqld, SUITES[3]], "the installation failed").1, Outcome::Skipped(_)));
    }
}
