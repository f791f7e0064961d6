//! A page that is one form: adding, changing, and asking once more before something that cannot be undone.

use askama::Template;

use crate::errors::Errors;
use crate::field::Field;
use crate::shell::Shell;

/// A form.
#[derive(Template)]
#[template(path = "form.html")]
pub(crate) struct FormPage {
    /// The frame.
    pub(crate) shell: Shell,
    /// Its heading.
    pub(crate) title: String,
    /// The page above: where to, and what it is called.
    pub(crate) up: Option<(String, &'static str)>,
    /// Where the form goes.
    pub(crate) action: String,
    /// What is wrong with the whole.
    pub(crate) above: Option<String>,
    /// What to know.
    pub(crate) intro: Option<String>,
    /// What is to be filled in.
    pub(crate) fields: Vec<Field>,
    /// What the button says.
    pub(crate) button: &'static str,
    /// Whether it cannot be undone.
    pub(crate) grave: bool,
}

impl FormPage {
    /// Whose password is asked for, so that a browser knows which of those that it keeps is meant.
    fn owner(&self) -> Option<&str> {
        let asks = self.fields.iter().any(|field| field.autocomplete == "current-password");
        self.shell.email().filter(|_| asks)
    }
}

/// What a person types to confirm: the name of what goes.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(crate) struct Confirmation {
    #[serde(default)]
    confirm: String,
}

impl Confirmation {
    /// The complaint if the name is not the one that goes.
    pub(crate) fn check(&self, name: &str) -> Errors {
        let mut errors = Errors::default();
        if self.confirm.trim() != name {
            errors.add("confirm", format!("Type {name} to confirm"));
        }
        errors
    }

    /// The field for the name.
    pub(crate) fn field(&self, errors: &Errors) -> Field {
        Field::line("confirm", "Type its name to confirm", &self.confirm, errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_itself_confirms() {
        let typed = |text: &str| Confirmation { confirm: text.into() };
        assert!(typed(" branch-7 ").check("branch-7").is_empty());
        for wrong in ["", "branch-8", "BRANCH-7", "branch"] {
            assert!(!typed(wrong).check("branch-7").is_empty(), "{wrong}");
        }
    }
}
