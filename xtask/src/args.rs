//! What the command line may say. Two words and two flags do not earn a parser library, which every fresh machine would
//! have to compile before the first check starts.

use anyhow::{Context, bail};

/// What `--help` and a usage error print.
pub(crate) const USAGE: &str = "\
usage: cargo xtask test [--no-install] [--filter TEXT]
       cargo xtask ci

test  checks format, lints and dependencies and runs every test
        --no-install   install nothing; skip, loudly, what then cannot run
        --filter TEXT  only the tests whose name contains TEXT, and no other check
ci    the same where nothing may be skipped; CI=true makes `test` as strict";

/// One way to run.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Invocation {
    /// Explain the usage.
    Help,
    /// Run the checks.
    Check(Options),
}

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
    fn what_is_not_known_is_refused() {
        for line in ["tset", "test --fliter x", "test journal", "test --filter"] {
            assert!(read(line, false).is_err(), "{line}");
        }
    }
}
