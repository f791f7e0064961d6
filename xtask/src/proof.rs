//! The end-to-end tests that prove the promise, at a size of one's own: the same code that every run of the checks goes
//! through, told by variables to go on for longer.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use anyhow::bail;

use crate::args::Proof;
use crate::command::{self, cargo};
use crate::report::{Outcome, Report};

/// The module of the tests that need both servers.
const MODULE: &str = "production::needs_redis_server_and_needs_mariadbd";

/// What they need.
const PROGRAMS: [&str; 2] = ["redis-server", "mariadbd"];

/// Runs it, its output passed on as it comes.
///
/// # Errors
/// If a program that it needs is not installed, or none can be started.
pub(crate) fn run(proof: &Proof) -> anyhow::Result<Report> {
    if let Some(missing) = PROGRAMS.into_iter().find(|program| command::find(program).is_none()) {
        bail!("{missing} is not installed: `cargo xtask test` as root does it");
    }
    let mut report = Report::new(true);
    let name = format!("{MODULE}::{}", proof.test);
    let mut test = cargo(&["test", "--locked", "--package", "message-broker", "--test", "e2e", "--"]);
    test.args(["--exact", &name, "--nocapture"]);
    test.env("MB_TEST_TORTURE_SEED", random().to_string())
        .envs(proof.settings.iter().map(|(name, value)| (name, value)));
    report.step("proof", || Ok(if command::succeeds(&mut test)? { Outcome::Passed } else { Outcome::Failed }))?;
    Ok(report)
}

/// A number that nobody chose.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use crate::args::{STORM, TORTURE};

    #[test]
    fn a_proof_names_a_test_that_is_there() {
        for proof in [TORTURE, STORM] {
            let (file, test) = proof.split_once("::").expect("a module and a test");
            let file = format!("crates/message-broker/tests/e2e/{}/{file}.rs", super::MODULE.replace("::", "/"));
            let source = std::fs::read_to_string(super::command::root().join(file)).expect("readable");
            assert!(source.contains(&format!("#[test]\nfn {test}()")), "{proof}");
        }
    }
}
