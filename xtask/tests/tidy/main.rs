//! Rules that no compiler knows: which crate may import which, what a source file looks like, what the documents may
//! claim. Each is a test, so that a change which breaks one fails where it is made, and says what to do instead.

mod documents;
mod layering;
mod monitoring;
mod sources;
mod tree;

/// Fails with one line per violation.
fn assert_none(violations: &[String], advice: &str) {
    assert!(violations.is_empty(), "{advice}:\n  {}", violations.join("\n  "));
}
