//! The lists in docs/ that come from the code: written by these tests, and compared with what is committed.
//!
//! After a change run the tests with `MB_TEST_BLESS=1` to write them anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory;

use crate::cli::Cli;
use crate::config::{self, DEFAULT};

pub(crate) fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if config::environment("MB_TEST_BLESS").is_some() {
        std::fs::write(&path, text).expect("docs/ can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert_eq!(committed, text, "docs/{name} differs from the code: run the tests with MB_TEST_BLESS=1");
}

#[test]
fn problems() {
    compare("problems.md", &mb_api::problem::markdown());
}

#[test]
fn openapi() {
    compare("openapi.json", &mb_server::openapi_text());
}

#[test]
fn configuration() {
    let text = format!(
        "# Configuration\n\nEvery key with its default; a test keeps this page equal to the embedded file.\n\n\
         ```toml\n{DEFAULT}```\n"
    );
    compare("configuration.md", &text);
}

#[test]
fn command_line() {
    let mut text = String::from("# Command line\n\nWhat `--help` says of every command; generated.\n");
    describe(&mut Cli::command(), "", &mut text);
    compare("cli.md", &text);
}

fn describe(command: &mut clap::Command, above: &str, out: &mut String) {
    let name = format!("{above}{}", command.get_name());
    let mut plain = command.clone().term_width(100).bin_name(&name).disable_help_subcommand(true);
    let _ = write!(out, "\n## {name}\n\n```text\n{}\n```\n", plain.render_long_help().to_string().trim_end());
    let below = format!("{name} ");
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        describe(sub, &below, out);
    }
}
