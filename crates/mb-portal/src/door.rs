//! The page of somebody who is not signed in: one card with one form.

use askama::Template;

use crate::field::Field;
use crate::shell::Shell;
use crate::visit::Visit;

/// A card.
#[derive(Template)]
#[template(path = "door_form.html")]
pub(crate) struct DoorPage {
    /// The frame.
    pub(crate) shell: Shell,
    /// Its heading.
    pub(crate) title: &'static str,
    /// What is wrong.
    pub(crate) above: Option<String>,
    /// What to know.
    pub(crate) intro: Option<&'static str>,
    /// Where the form goes.
    pub(crate) action: String,
    /// What it carries along.
    pub(crate) hidden: Vec<(&'static str, String)>,
    /// What is to be filled in.
    pub(crate) fields: Vec<Field>,
    /// What the button says; none: no form.
    pub(crate) button: Option<&'static str>,
    /// Another way.
    pub(crate) link: Option<(String, &'static str)>,
}

impl DoorPage {
    /// A card without anything.
    pub(crate) fn new(visit: &Visit, title: &'static str) -> Self {
        Self {
            shell: Shell::guest(visit),
            title,
            above: None,
            intro: None,
            action: String::new(),
            hidden: Vec::new(),
            fields: Vec::new(),
            button: None,
            link: None,
        }
    }
}
