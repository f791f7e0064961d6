//! `cargo xtask`: the checks that a change must pass, the same on a desk and in CI.
//!
//! It is a program of this workspace so that a fresh machine needs nothing but the Rust toolchain to run it. It decides
//! nothing about the code itself: the rules on layers, sources and documents are tests in `tests/tidy`, and run with all
//! others.

#![expect(clippy::print_stdout, reason = "a command line program: its report is its output")]

mod args;
mod check;
mod command;
mod counts;
mod dist;
mod proof;
mod report;
mod suite;
mod windows;

use std::process::ExitCode;

use args::Invocation;

fn main() -> ExitCode {
    let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
    let outcome = match args::parse(std::env::args().skip(1), strict) {
        Ok(Invocation::Help) => {
            println!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Check(options)) => check::run(&options),
        Ok(Invocation::Proof(proof)) => proof::run(&proof),
        Ok(Invocation::Windows) => check::windows_alone(),
        Ok(Invocation::Dist) => dist::run(),
        Err(error) => {
            eprintln!("xtask: {error:#}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(report) => {
            print!("{report}");
            if report.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
