//! The two streams of the command line: data on stdout, words on stderr.

use std::io::Write;

/// Writes a line of data to stdout. A reader that has gone away is no failure of ours.
pub fn data(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Writes a line to stdout that somebody must have got.
///
/// # Errors
/// Nobody reads it.
pub fn data_or_fail(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes a line for people to stderr.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes a value as JSON to stdout.
///
/// # Errors
/// The value cannot be serialized.
pub fn json<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value)?);
    Ok(())
}
