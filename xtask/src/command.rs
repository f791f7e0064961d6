//! Running other programs: shown before they start, their output passed on as it comes.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::Context;

use crate::counts::{Counts, Runner};

/// The repository's root: this package stands in it.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands below the repository's root")
}

/// `cargo` with these arguments, the same cargo that started this program.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Where a program of this name is found on the search path, or among those for administrators, which is not on everyone's.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(&file)).find(|candidate| candidate.is_file())
}

/// Runs to the end; true if the program says that it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> anyhow::Result<bool> {
    show(command);
    let status = command.status().with_context(|| format!("run {}", command.get_program().display()))?;
    Ok(status.success())
}

/// Runs a test runner to the end; whether it succeeded and what its summaries add up to, if it printed any.
pub(crate) fn count(runner: Runner, command: &mut Command) -> anyhow::Result<(bool, Option<Counts>)> {
    show(command);
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {}", command.get_program().display()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (out, err) = thread::scope(|scope| {
        let err = scope.spawn(|| stderr.map_or(Ok(None), |pipe| pass_on(runner, pipe, std::io::stderr())));
        let out = stdout.map_or(Ok(None), |pipe| pass_on(runner, pipe, std::io::stdout()));
        (out, err.join().expect("passing lines on does not panic"))
    });
    let status = child.wait().context("wait for the test runner")?;
    let counts = [out?, err?].into_iter().flatten().reduce(Counts::plus);
    Ok((status.success(), counts))
}

fn pass_on(runner: Runner, from: impl Read, mut to: impl Write) -> anyhow::Result<Option<Counts>> {
    let mut from = BufReader::new(from);
    let mut counts: Option<Counts> = None;
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).context("read the test runner's output")? > 0 {
        to.write_all(&line).context("pass the test runner's output on")?;
        let seen = Counts::in_line(runner, String::from_utf8_lossy(&line).trim_end());
        counts = [counts, seen].into_iter().flatten().reduce(Counts::plus);
        line.clear();
    }
    Ok(counts)
}

fn show(command: &Command) {
    let name = Path::new(command.get_program()).file_stem().unwrap_or_default().display().to_string();
    let args = command.get_args().map(|arg| arg.display().to_string());
    println!("$ {}", [name].into_iter().chain(args).collect::<Vec<_>>().join(" "));
}
