//! What the command line may say. Two words and two flags do not earn a parser library, which every fresh machine would
//! have to compile before the first check starts.

use anyhow::{Context, bail};

/// What `--help` and a usage error print.
pub(crate) const USAGE: &str = "\
usage: cargo xtask test [--no-install] [--filter TEXT]
       cargo xtask ci
       cargo xtask windows
       cargo xtask dist
       cargo xtask torture [--seed S] [--count N] [--binary FILE]
       cargo xtask storm [--count N] [--window N] [--seconds N] [--binary FILE]

test  checks format, lints and dependencies and runs every test
        --no-install   install nothing; skip, loudly, what then cannot run
        --filter TEXT  only the tests whose name contains TEXT, and no other check
ci    the same where nothing may be skipped; CI=true makes `test` as strict
windows  builds the program and its installer for Windows in target/windows, where the tests of Wine look for them
dist     makes what is handed out in target/dist: installer and archive for Windows, Debian package, container file, checksums
torture  kills roles, Redis and MariaDB in random order under load; what was answered with 202 must be stored once
        --seed S       repeats a run; it is printed [default: random]
        --count N      goes on until so many messages are accepted [default: 10000]
storm  lets messages wait while the main server is away; the queue must stay bounded, nothing be registered again and again
        --count N      so many messages [default: 30000]
        --window N     how far a proxy may be ahead of confirmation [default: 5000]
        --seconds N    how long the main server is away at least [default: 15]
        --binary FILE  both: the program under test, such as a release build [default: this build's]";

/// One way to run.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Invocation {
    /// Explain the usage.
    Help,
    /// Run the checks.
    Check(Options),
    /// Build for Windows, for the tests.
    Windows,
    /// Make what is handed out.
    Dist,
    /// Run one test, at a size of one's own.
    Proof(Proof),
}

/// A test that can be made larger, and the variables that tell it so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Proof {
    /// Its name.
    pub(crate) test: &'static str,
    /// Variables and their values.
    pub(crate) settings: Vec<(&'static str, String)>,
}

/// Everything is killed.
pub(crate) const TORTURE: &str = "torture::whatever_is_killed_nothing_acked_is_lost_or_stored_twice";
/// Many wait.
pub(crate) const STORM: &str = "storm::what_waits_for_the_main_server_stays_within_the_windows_and_is_registered_once";

/// How to check.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Options {
    /// May not install anything.
    pub(crate) no_install: bool,
    /// Only tests whose name contains this.
    pub(crate) filter: Option<String>,
    /// A skipped check is a failed one.
    pub(crate) strict: bool,
}

/// Reads the arguments after the program's name; `strict` is what the environment asks for.
pub(crate) fn parse(mut args: impl Iterator<Item = String>, strict: bool) -> anyhow::Result<Invocation> {
    let mut options = Options { strict, ..Options::default() };
    match args.next().as_deref() {
        None | Some("help" | "--help" | "-h") => return Ok(Invocation::Help),
        Some("test") => {}
        Some("ci") => options.strict = true,
        Some("windows") => return alone(Invocation::Windows, args),
        Some("dist") => return alone(Invocation::Dist, args),
        Some("torture") => return proof(TORTURE, args),
        Some("storm") => return proof(STORM, args),
        Some(other) => bail!("there is no command {other:?}"),
    }
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--no-install" => options.no_install = true,
            "--filter" => options.filter = Some(args.next().context("--filter needs a text")?),
            "--help" | "-h" => return Ok(Invocation::Help),
            other => bail!("there is no argument {other:?}"),
        }
    }
    Ok(Invocation::Check(options))
}

fn alone(invocation: Invocation, mut args: impl Iterator<Item = String>) -> anyhow::Result<Invocation> {
    match args.next().as_deref() {
        None => Ok(invocation),
        Some("--help" | "-h") => Ok(Invocation::Help),
        Some(other) => bail!("there is no argument {other:?}"),
    }
}

fn proof(test: &'static str, mut args: impl Iterator<Item = String>) -> anyhow::Result<Invocation> {
    let mut settings = Vec::new();
    while let Some(arg) = args.next() {
        let variable = match (test, arg.as_str()) {
            (TORTURE, "--seed") => "MB_TEST_TORTURE_SEED",
            (TORTURE, "--count") => "MB_TEST_TORTURE_COUNT",
            (STORM, "--count") => "MB_TEST_STORM_COUNT",
            (STORM, "--window") => "MB_TEST_STORM_WINDOW",
            (STORM, "--seconds") => "MB_TEST_STORM_SECONDS",
            (_, "--binary") => "MB_TEST_BINARY",
            (_, "--help" | "-h") => return Ok(Invocation::Help),
            (_, other) => bail!("there is no argument {other:?}"),
        };
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        if variable != "MB_TEST_BINARY" && value.parse::<u64>().is_err() {
            bail!("{arg} is {value:?}, which is no number");
        }
        settings.push((variable, value));
    }
    Ok(Invocation::Proof(Proof { test, settings }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, strict: bool) -> anyhow::Result<Invocation> {
        parse(line.split_whitespace().map(str::to_owned), strict)
    }

    #[test]
    fn test_takes_its_flags_in_any_order() {
        let expected = Options { no_install: true, filter: Some("journal".to_owned()), strict: false };
        for line in ["test --no-install --filter journal", "test --filter journal --no-install"] {
            assert_eq!(read(line, false).expect("valid"), Invocation::Check(expected.clone()));
        }
    }

    #[test]
    fn ci_is_strict_and_so_is_test_where_the_environment_says_so() {
        for (line, strict) in [("ci", false), ("test", true)] {
            let expected = Options { strict: true, ..Options::default() };
            assert_eq!(read(line, strict).expect("valid"), Invocation::Check(expected));
        }
    }

    #[test]
    fn a_proof_is_made_larger_by_its_own_settings() {
        let settings = vec![("MB_TEST_TORTURE_SEED", "7".to_owned()), ("MB_TEST_TORTURE_COUNT", "20".to_owned())];
        let expected = Invocation::Proof(Proof { test: TORTURE, settings });
        assert_eq!(read("torture --seed 7 --count 20", false).expect("valid"), expected);
        assert!(read("storm --seed 7", false).is_err(), "it has none");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in [
            "dist --fast",
            "tset",
            "test --fliter x",
            "test journal",
            "test --filter",
            "torture --seed",
            "storm --count many",
        ] {
            assert!(read(line, false).is_err(), "{line}");
        }
    }
}
