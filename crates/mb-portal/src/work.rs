//! Work on many things: how many there are, a button that begins, how far it is, a button that goes on.
//!
//! One request works for a few seconds at most and then says so, so that every page comes soon and somebody who goes away
//! leaves nothing running.

use std::time::{Duration, Instant};

use askama::Template;

use crate::field::Field;
use crate::shell::Shell;

/// How long one request works before it asks whether to go on.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far some work is.
#[derive(Template)]
#[template(path = "work.html")]
pub(crate) struct WorkPage {
    /// The frame.
    pub(crate) shell: Shell,
    /// Its heading.
    pub(crate) title: String,
    /// The page above: where to, and what it is called.
    pub(crate) up: (String, &'static str),
    /// What is wrong.
    pub(crate) above: Option<String>,
    /// What to know.
    pub(crate) text: String,
    /// What it is about.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// What begins, or goes on; `None` if there is nothing to do.
    pub(crate) step: Option<Step>,
}

/// The next step.
pub(crate) struct Step {
    /// Where the form goes.
    pub(crate) action: String,
    /// What it carries along.
    pub(crate) hidden: Vec<(&'static str, String)>,
    /// What is to be filled in.
    pub(crate) fields: Vec<Field>,
    /// What the button says.
    pub(crate) button: &'static str,
    /// Whether it cannot be undone.
    pub(crate) grave: bool,
}

/// The time that one request has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience(Instant);

impl Patience {
    /// From now on.
    pub(crate) fn begin() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    /// Whether it is at an end.
    pub(crate) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}
