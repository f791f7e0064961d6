//! The samples for those who write a client or a receiver: run as they are handed out, against a real broker.

mod receiving;
mod submitting;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deployment/samples").join(name)
}

/// Starts a sample that has this on its standard input.
fn start(command: &mut Command, input: &str) -> Child {
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    child
}

fn run(command: &mut Command, input: &str) -> Output {
    start(command, input).wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
