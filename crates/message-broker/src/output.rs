//! The two streams of the command line: data on stdout, words on stderr.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Data was written that nobody got, though somebody wants it.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes a line of data to stdout. A reader that has gone away is no failure of ours; a full disk is, and the command goes
/// on to its end, because what it does is done whether it can be told of or not.
pub fn data(line: &str) {
    if let Err(error) = data_or_fail(line)
        && error.kind() != ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        note(&format!("message-broker: standard output cannot be written: {error}"));
    }
}

/// Whether [`data`] could not write something, and somebody was there to read it.
pub(crate) fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
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

/// A number of things in words: `1 certificate`, `2 certificates`.
pub fn counted(count: impl TryInto<u64>, thing: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// An error with its causes. Errors of other crates say their cause themselves, and it stands here once.
pub fn why(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.ends_with(&cause) {
            let between = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{between}{cause}");
        }
    }
    text
}

/// Writes a value as JSON to stdout.
///
/// # Errors
/// The value cannot be serialized.
pub fn json<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let cause = || std::io::Error::other("disk: gone");
        let told = std::io::Error::other(format!("read: {}", cause()));
        let error = Err::<(), _>(cause()).context(told).context("open the store").expect_err("an error");
        assert_eq!(format!("{error:#}"), "open the store: read: disk: gone: disk: gone");
        assert_eq!(why(&error), "open the store: read: disk: gone");
        assert_eq!(why(&anyhow::anyhow!("alone")), "alone");
    }

    #[test]
    fn one_is_one() {
        assert_eq!([0, 1, 2].map(|count: u64| counted(count, "row")), ["0 rows", "1 row", "2 rows"]);
    }
}
