//! Destinations that a run has made for it: each takes one topic, some of them never answer.

use super::args::BenchArgs;
use super::payload::topic;
use super::receiver::{HANG, TAKE};

/// A destination to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// The one topic that it takes.
    pub topic: String,
    /// Where it is.
    pub url: String,
}

/// What is to be done about destinations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// They are there, enabled and as new.
    Make(Vec<Wanted>),
    /// They are gone.
    Remove(Vec<Wanted>),
}

/// The destinations of a run; none unless it asks for some.
pub(super) fn wanted(args: &BenchArgs) -> Vec<Wanted> {
    let Some((port, count)) = args.receive.zip(args.destinations) else { return Vec::new() };
    let of = |number: u32| {
        let path = if number < args.hang { HANG } else { TAKE };
        Wanted {
            name: format!("bench-{number:05}"),
            topic: topic(number),
            url: format!("http://127.0.0.1:{port}{path}{number:05}"),
        }
    };
    (0..count).map(of).collect()
}
