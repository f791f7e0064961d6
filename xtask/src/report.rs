//! What the run came to: one line per step with its time, then what was left out, then the verdict.
//!
//! The last line is the test runners' own totals, and only where they are the whole truth: if anything else failed, or
//! a runner broke off before its summary, the last line names that instead.

use std::fmt;
use std::time::{Duration, Instant};

use crate::counts::Counts;

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// All is well.
    Passed,
    /// It found something, which its output tells.
    Failed,
    /// It did not run, or not in whole: why, in a few words.
    Skipped(String),
    /// Likewise, and nothing that is checked in could have helped it: no failure anywhere.
    Excused(String),
}

/// All steps so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    steps: Vec<Step>,
    counts: Option<Counts>,
    strict: bool,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    outcome: Outcome,
    elapsed: Duration,
    /// The totals tell all that it found.
    counted: bool,
}

impl Report {
    /// An empty report; `strict` makes a skipped step a failure.
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// Runs a step under its heading.
    pub(crate) fn step(
        &mut self,
        name: &'static str,
        run: impl FnOnce() -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<()> {
        println!("\n== {name} ==");
        let start = Instant::now();
        let outcome = run()?;
        self.record(name, outcome, start.elapsed(), false);
        Ok(())
    }

    /// Runs a test runner under its heading; its totals are added up.
    pub(crate) fn tests(
        &mut self,
        name: &'static str,
        run: impl FnOnce() -> anyhow::Result<(bool, Option<Counts>)>,
    ) -> anyhow::Result<()> {
        println!("\n== {name} ==");
        let start = Instant::now();
        let (success, counts) = run()?;
        self.counts = [self.counts, counts].into_iter().flatten().reduce(Counts::plus);
        // A runner that fails without a failed test broke off: its totals are not the whole truth.
        let counted = success || counts.is_some_and(|counts| counts.failed > 0);
        let outcome = if success { Outcome::Passed } else { Outcome::Failed };
        self.record(name, outcome, start.elapsed(), counted);
        Ok(())
    }

    /// Whether the run as a whole succeeded.
    pub(crate) fn succeeded(&self) -> bool {
        self.steps.iter().all(|step| !self.fails(step)) && !self.ran_nothing()
    }

    /// Whether every step ran and succeeded.
    pub(crate) fn succeeded_in_whole(&self) -> bool {
        self.steps.iter().all(|step| step.outcome == Outcome::Passed)
    }

    /// Runners came to their end and had nothing to do, as with a filter that no test matches.
    fn ran_nothing(&self) -> bool {
        self.counts == Some(Counts::default())
    }

    fn record(&mut self, name: &'static str, outcome: Outcome, elapsed: Duration, counted: bool) {
        println!("-- {name}: {} in {:.1} s", word(&outcome), elapsed.as_secs_f64());
        self.steps.push(Step { name, outcome, elapsed, counted });
    }

    fn fails(&self, step: &Step) -> bool {
        match step.outcome {
            Outcome::Passed | Outcome::Excused(_) => false,
            Outcome::Failed => true,
            Outcome::Skipped(_) => self.strict,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n== summary ==")?;
        for step in &self.steps {
            writeln!(f, "{:<8}{:<14}{:>7.1} s", word(&step.outcome), step.name, step.elapsed.as_secs_f64())?;
        }
        let all: f64 = self.steps.iter().map(|step| step.elapsed.as_secs_f64()).sum();
        writeln!(f, "{:<8}{:<14}{all:>7.1} s", "", "all")?;
        for step in &self.steps {
            let (why, verdict) = match &step.outcome {
                Outcome::Skipped(why) if self.strict => (why, " (a failure here: in CI it may not be)"),
                Outcome::Skipped(why) => (why, ""),
                Outcome::Excused(why) => (why, " (no failure: it is not to be had everywhere)"),
                Outcome::Passed | Outcome::Failed => continue,
            };
            writeln!(f, "SKIPPED {}: {why}{verdict}", step.name)?;
        }
        if let Some(Counts { flaky: flaky @ 1.., .. }) = self.counts {
            writeln!(f, "FLAKY: {flaky} that failed first and passed when run again; search for FLAKY above")?;
        }
        let failed = self.steps.iter().filter(|step| self.fails(step)).collect::<Vec<_>>();
        match self.counts {
            _ if failed.is_empty() && self.ran_nothing() => writeln!(f, "FAILED: no test ran"),
            Some(Counts { passed, failed: tests, .. }) if failed.iter().all(|step| step.counted) => {
                writeln!(f, "{passed} passed, {tests} failed")
            }
            _ if failed.is_empty() => Ok(()),
            _ => writeln!(f, "FAILED: {}", failed.iter().map(|step| step.name).collect::<Vec<_>>().join(", ")),
        }
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok",
        Outcome::Failed => "FAILED",
        Outcome::Skipped(_) | Outcome::Excused(_) => "SKIPPED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(strict: bool, lint: Outcome, tests: (bool, Option<Counts>)) -> Report {
        let mut report = Report::new(strict);
        report.step("lint", || Ok(lint)).expect("runs");
        report.tests("tests", || Ok(tests)).expect("runs");
        report
    }

    fn last_line(report: &Report) -> String {
        report.to_string().lines().last().unwrap_or_default().to_owned()
    }

    const GOOD: (bool, Option<Counts>) = (true, Some(Counts { passed: 7, failed: 0, flaky: 0 }));

    #[test]
    fn the_last_line_is_the_runners_totals() {
        let report = report(true, Outcome::Passed, GOOD);
        assert!(report.succeeded());
        assert_eq!(last_line(&report), "7 passed, 0 failed");
    }

    #[test]
    fn what_passed_when_run_again_is_told_and_no_failure() {
        let report = report(true, Outcome::Passed, (true, Some(Counts { passed: 7, failed: 0, flaky: 1 })));
        assert!(report.succeeded() && report.to_string().contains("FLAKY: 1 "), "{report}");
        assert_eq!(last_line(&report), "7 passed, 0 failed");
    }

    #[test]
    fn failed_tests_fail_the_run_and_are_counted() {
        let report = report(false, Outcome::Passed, (false, Some(Counts { passed: 5, failed: 2, flaky: 0 })));
        assert!(!report.succeeded());
        assert_eq!(last_line(&report), "5 passed, 2 failed");
    }

    #[test]
    fn totals_never_hide_another_failure() {
        let report = report(false, Outcome::Failed, GOOD);
        assert!(!report.succeeded());
        assert_eq!(last_line(&report), "FAILED: lint");
    }

    #[test]
    fn a_runner_that_breaks_off_is_named_and_not_counted() {
        for counts in [None, Some(Counts { passed: 3, failed: 0, flaky: 0 })] {
            let report = report(false, Outcome::Passed, (false, counts));
            assert!(!report.succeeded());
            assert_eq!(last_line(&report), "FAILED: tests");
        }
    }

    #[test]
    fn a_run_without_any_test_is_no_success() {
        let report = report(false, Outcome::Passed, (true, Some(Counts::default())));
        assert!(!report.succeeded());
        assert_eq!(last_line(&report), "FAILED: no test ran");
    }

    #[test]
    fn a_skip_is_loud_and_in_ci_a_failure() {
        let skipped = Outcome::Skipped("strace is missing".to_owned());
        let desk = report(false, skipped.clone(), GOOD);
        assert!(desk.succeeded());
        assert!(desk.to_string().contains("SKIPPED lint: strace is missing"));
        let ci = report(true, skipped, GOOD);
        assert!(!ci.succeeded());
        assert_eq!(last_line(&ci), "FAILED: lint");
    }

    #[test]
    fn what_is_excused_is_as_loud_and_no_failure_in_ci() {
        let ci = report(true, Outcome::Excused("no test of mysqld will run".to_owned()), GOOD);
        assert!(ci.succeeded());
        assert!(ci.to_string().contains("SKIPPED lint: no test of mysqld will run"));
        assert_eq!(last_line(&ci), "7 passed, 0 failed");
    }
}
