//! `doctor`: what is wrong with this machine's installation, why it matters, and the exact remedy.
//!
//! Every check only looks, and each looks alone: one that cannot be made says so and the next goes on. With
//! `--preflight` nothing needs to be installed yet: what a first start makes is then not missed.

mod certificates;
mod database;
mod disk;
mod files;
mod finding;
mod grants;
mod mail;
mod maintenance;
mod ports;
mod proxies;
mod queue;
mod secrets;
mod server;
mod store;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use mb_core::Clock;

use crate::config::Resolved;
use crate::layout::Layout;
use crate::output;

pub use finding::{Finding, Status};

/// Say what is wrong with this installation and how to mend it
#[derive(Args, Clone, Copy, Debug)]
pub struct DoctorArgs {
    /// Before anything is installed: what a first start makes is not missed
    #[arg(long)]
    pub preflight: bool,
    /// For the monthly maintenance: what grows, what ends, what nobody uses
    #[arg(long, conflicts_with = "preflight")]
    pub report: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What checks look at.
#[derive(Clone, Copy, Debug)]
struct Patient<'a> {
    layout: &'a Layout,
    resolved: &'a Resolved,
    preflight: bool,
}

/// Runs all checks; exit code 1 if one failed.
///
/// # Errors
/// The output cannot be written.
pub async fn run(layout: &Layout, args: DoctorArgs) -> Result<ExitCode> {
    if args.report {
        return maintenance::run(layout, args.json).await;
    }
    report(&examine(layout, args.preflight).await, args.json)
}

/// Prints findings for people or as JSON; exit code 1 if one is a failure.
pub(crate) fn report(findings: &[Finding], json: bool) -> Result<ExitCode> {
    if json {
        output::json(&findings)?;
    } else {
        print(findings);
    }
    Ok(outcome(findings))
}

/// Findings for people.
fn print(findings: &[Finding]) {
    for line in finding::lines(findings) {
        output::data(&line);
    }
    output::note(&summary(findings));
}

fn outcome(findings: &[Finding]) -> ExitCode {
    let failed = findings.iter().any(|finding| finding.status == Status::Fail);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs all checks.
pub(crate) async fn examine(layout: &Layout, preflight: bool) -> Vec<Finding> {
    let resolved = match Resolved::of(layout) {
        Ok(resolved) => resolved,
        Err(error) => {
            let fix = "correct what it names; `message-broker config check` tells whether it is good";
            return vec![Finding::fail("configuration", format!("{error:#}"), fix)];
        }
    };
    let mut findings = vec![configuration(&resolved)];
    let patient = Patient { layout, resolved: &resolved, preflight };
    findings.extend(secrets::check(patient));
    findings.extend(files::check(patient));
    findings.extend(certificates::check(patient, Clock::System.now()));
    findings.extend(disk::check(patient).await);
    findings.extend(ports::check(patient));
    findings.extend(mail::check(patient));
    findings.extend(store::check(patient).await);
    findings.extend(queue::check(patient).await);
    findings.extend(server::check(patient).await);
    findings.extend(proxies::check(patient).await);
    findings
}

fn configuration(resolved: &Resolved) -> Finding {
    match resolved.warnings.as_slice() {
        [] => Finding::ok("configuration", "every key is known and in range"),
        warnings => Finding::warn("configuration", warnings.join("; "), "correct or remove these lines of .env"),
    }
}

fn summary(findings: &[Finding]) -> String {
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let (warned, failed) = (count(Status::Warn), count(Status::Fail));
    let (warned, failed) = (output::counted(warned, "warning"), output::counted(failed, "failure"));
    format!("{} ok, {warned}, {failed}", count(Status::Ok))
}
