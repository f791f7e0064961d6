//! How many tests passed and failed, read from what the runner itself says at its end. Nothing is counted here: if no
//! summary was seen, there are no counts.

/// Who runs the tests. Each runner's summary is looked for in its own output only: nextest quotes what the standard
/// harness said inside each failed test's process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Runner {
    /// cargo-nextest.
    Nextest,
    /// The harness that comes with the toolchain; the only one for documentation tests.
    Standard,
}

/// A runner's own totals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    /// Tests that ran and passed.
    pub(crate) passed: u64,
    /// Tests that ran and failed, timed out or could not be started.
    pub(crate) failed: u64,
    /// Tests that failed first and passed when they ran again; they are among those that passed.
    pub(crate) flaky: u64,
}

impl Counts {
    /// The totals of this line, if it is a summary of this runner.
    pub(crate) fn in_line(runner: Runner, line: &str) -> Option<Self> {
        let line = without_colour(line);
        let (_, totals) = match runner {
            Runner::Nextest => line.trim_start().strip_prefix("Summary [")?.split_once(" run: ")?,
            Runner::Standard => line.strip_prefix("test result: ")?.split_once(". ")?,
        };
        let mut counts = Self::default();
        for part in totals.split([',', ';', '(', ')']) {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => counts.passed += number,
                "failed" | "timed out" | "exec failed" => counts.failed += number,
                "flaky" => counts.flaky += number,
                _ => {}
            }
        }
        Some(counts)
    }

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed, flaky: self.flaky + other.flaky }
    }
}

fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut parts = line.split("\u{1b}[");
    plain.extend(parts.next());
    plain.extend(parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text)));
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(runner: Runner, line: &str) -> Option<(u64, u64)> {
        Counts::in_line(runner, line).map(|counts| (counts.passed, counts.failed))
    }

    #[test]
    fn summaries_of_nextest_are_read() {
        let read = |line| read(Runner::Nextest, line);
        assert_eq!(read("     Summary [   0.171s] 2 tests run: 1 passed, 1 failed, 7 skipped"), Some((1, 1)));
        assert_eq!(read("     Summary [   0.007s] 1 test run: 1 passed, 2 skipped"), Some((1, 0)));
        let mixed = "Summary [ 9.1s] 9 tests run: 4 passed (2 slow, 1 leaky), 2 failed, 2 timed out, 1 exec failed";
        assert_eq!(read(mixed), Some((4, 5)));
        let again = "Summary [ 9.1s] 9 tests run: 9 passed (1 slow, 2 flaky), 3 skipped";
        assert_eq!(Counts::in_line(Runner::Nextest, again), Some(Counts { passed: 9, failed: 0, flaky: 2 }));
        let coloured = "\u{1b}[32;1m  Summary\u{1b}[0m [ 0.1s] \u{1b}[1m3\u{1b}[0m tests run: \u{1b}[1m3\u{1b}[0m \u{1b}[32mpassed\u{1b}[0m";
        assert_eq!(read(coloured), Some((3, 0)));
    }

    #[test]
    fn summaries_of_the_standard_harness_are_read() {
        let line = "test result: FAILED. 11 passed; 2 failed; 1 ignored; 0 measured; 5 filtered out; finished in 0.07s";
        assert_eq!(read(Runner::Standard, line), Some((11, 2)));
    }

    #[test]
    fn what_a_runner_only_quotes_is_not_counted() {
        let quoted = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 15 filtered out";
        assert_eq!(read(Runner::Nextest, quoted), None);
        assert_eq!(read(Runner::Standard, quoted), None);
    }

    #[test]
    fn other_lines_say_nothing() {
        for line in ["        PASS [   0.005s] (1/1) nx::bin/nx t::a", "12 passed, 0 failed", "test result:", ""] {
            assert_eq!(read(Runner::Nextest, line), None, "{line}");
            assert_eq!(read(Runner::Standard, line), None, "{line}");
        }
    }
}
