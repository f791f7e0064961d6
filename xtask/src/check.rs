//! The checks, in order: what is quick to tell comes first, and a failure stops none of the others, so that one run
//! shows all there is to mend.

use std::process::{Command, Stdio};

use crate::args::Options;
use crate::command::{self, cargo};
use crate::counts::{Counts, Runner};
use crate::report::{Outcome, Report};
use crate::suite::{self, Suite};
use crate::{dist, windows};

/// Where the installer for Windows is put.
const INSTALLER: &str = "target/windows/installer";

/// The release series of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "^0.20";

/// Runs everything that the options ask for.
///
/// # Errors
/// If a program cannot be started at all.
pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new(options.strict);
    let mut left_out = Vec::new();
    report.step("suites", || {
        let (missing, outcome) = suite::prepare(options);
        left_out = missing;
        Ok(outcome)
    })?;
    if options.filter.is_none() {
        report.step("format", || verdict(&mut cargo(&["fmt", "--all", "--check"])))?;
        report.step("lints", || verdict(&mut clippy()))?;
        report.step("dependencies", || dependencies(options))?;
    }
    if !suite::WINE.is_here() || !command::root().join(INSTALLER).exists() {
        left_out.push(suite::WINE);
        let why = "nothing is built for Windows and no test of Wine runs: `cargo xtask windows` builds what they need";
        report.step("Windows", || Ok(Outcome::Excused(why.to_owned())))?;
    }
    let run = |runner, words: &[&str]| tests(runner, words, options.filter.as_deref(), &left_out);
    if is_command("nextest") {
        let profile = if options.strict { "ci" } else { "default" };
        report.tests("tests", || run(Runner::Nextest, &["nextest", "run", "--workspace", "--profile", profile]))?;
        report.tests("doc tests", || run(Runner::Standard, &["test", "--doc", "--workspace"]))?;
    } else {
        println!("\ncargo-nextest is not installed: the toolchain's own runner does its work");
        report.tests("tests", || run(Runner::Standard, &["test", "--workspace"]))?;
    }
    Ok(report)
}

/// Builds for Windows, so that the tests of Wine find program and installer.
///
/// # Errors
/// If a program cannot be started at all.
pub(crate) fn windows_alone() -> anyhow::Result<Report> {
    let mut report = Report::new(false);
    report.step("suites", || Ok(suite::prepare_windows().map_or(Outcome::Passed, Outcome::Skipped)))?;
    if report.succeeded_in_whole() {
        report.step("build for Windows", build_for_windows)?;
    }
    Ok(report)
}

fn build_for_windows() -> anyhow::Result<Outcome> {
    let folder = command::root().join(INSTALLER);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    dist::for_windows(&folder, &windows::build("dev")?)
}

fn clippy() -> Command {
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"])
}

/// Licences, sources and forbidden crates, by `deny.toml`. Advisories are not asked for: they change without any change
/// here, and would fail a build that was good yesterday.
fn dependencies(options: &Options) -> anyhow::Result<Outcome> {
    if !is_command("deny") {
        if options.no_install {
            return Ok(Outcome::Skipped("cargo-deny is not installed: --no-install".to_owned()));
        }
        println!("installing cargo-deny from crates.io, once; it takes some minutes");
        if !command::succeeds(&mut cargo(&["install", "cargo-deny", "--locked", "--version", CARGO_DENY]))? {
            return Ok(Outcome::Skipped("cargo-deny could not be installed".to_owned()));
        }
    }
    verdict(&mut cargo(&["deny", "--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
}

fn tests(
    runner: Runner,
    words: &[&str],
    filter: Option<&str>,
    left_out: &[Suite],
) -> anyhow::Result<(bool, Option<Counts>)> {
    let mut command = cargo(words);
    command.args(["--locked", "--no-fail-fast"]).args(filter);
    if !left_out.is_empty() {
        command.env(suite::SKIP_VARIABLE, suite::names(left_out)).arg("--");
        for suite in left_out {
            command.arg("--skip").arg(suite.mark());
        }
    }
    command::count(runner, &mut command)
}

fn verdict(command: &mut Command) -> anyhow::Result<Outcome> {
    Ok(if command::succeeds(command)? { Outcome::Passed } else { Outcome::Failed })
}

fn is_command(name: &str) -> bool {
    let status = cargo(&[name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
