//! A field of a form with all that belongs to it: label, hint, complaint, and what a password store needs to know.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::errors::{Errors, sentence};

/// One of the values of a choice.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// What is sent.
    pub(crate) value: String,
    /// What is read.
    pub(crate) label: String,
}

impl Choice {
    /// A value with what is read for it.
    pub(crate) fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }

    /// Words that stand for themselves, after a first choice that sends nothing.
    pub(crate) fn any_of<'a>(any: &str, words: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let words = words.into_iter().map(|word| Self::new(word, spoken(word)));
        std::iter::once(Self::new("", any)).chain(words).collect()
    }
}

/// A word of the API as people write it.
pub(crate) fn spoken(word: &str) -> String {
    let text = word.replace('_', " ");
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// How a field is filled in.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// One line; the HTML input type.
    Line(&'static str),
    /// Several lines; how many are shown.
    Lines(u8),
    /// One of several.
    Choice(Vec<Choice>),
}

/// A field.
#[derive(Clone, Debug, Template)]
#[template(path = "field.html")]
pub(crate) struct Field {
    /// Its name in the form.
    pub(crate) name: &'static str,
    /// What it is called.
    pub(crate) label: &'static str,
    /// How it is filled in.
    pub(crate) input: Input,
    /// What stands in it.
    pub(crate) value: String,
    /// What to know before filling it in.
    pub(crate) hint: Option<&'static str>,
    /// What is wrong with what stands in it.
    pub(crate) error: Option<String>,
    /// The kind of value for the browser's memory (HTML, section 4.10.18.7).
    pub(crate) autocomplete: &'static str,
    /// Whether it has to be filled in.
    pub(crate) required: bool,
    /// Whether it goes without saying that it may stay empty, as in filters.
    pub(crate) quiet: bool,
}

impl HtmlSafe for Field {}

impl Field {
    /// A field that must be filled in.
    pub(crate) fn new(name: &'static str, label: &'static str, input: Input, value: &str, errors: &Errors) -> Self {
        // The main server calls fields by their names; people read labels.
        let error = errors.of(name).map(|text| match text.strip_prefix(name) {
            Some(rest) => sentence(&format!("{label}{rest}")),
            None => sentence(text),
        });
        let value = value.to_owned();
        Self { name, label, input, value, hint: None, error, autocomplete: "off", required: true, quiet: false }
    }

    /// A line of text that must be filled in.
    pub(crate) fn line(name: &'static str, label: &'static str, value: &str, errors: &Errors) -> Self {
        Self::new(name, label, Input::Line("text"), value, errors)
    }

    /// A password, which is never shown again.
    pub(crate) fn password(name: &'static str, label: &'static str, memory: &'static str, errors: &Errors) -> Self {
        Self { autocomplete: memory, ..Self::new(name, label, Input::Line("password"), "", errors) }
    }

    /// The same field, which may stay empty.
    #[must_use]
    pub(crate) fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// The same field with a hint.
    #[must_use]
    pub(crate) fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    fn kind(&self) -> &'static str {
        match self.input {
            Input::Line(kind) => kind,
            Input::Lines(_) | Input::Choice(_) => "",
        }
    }

    const fn lines(&self) -> Option<u8> {
        match self.input {
            Input::Lines(lines) => Some(lines),
            Input::Line(_) | Input::Choice(_) => None,
        }
    }

    fn choices(&self) -> &[Choice] {
        match &self.input {
            Input::Choice(choices) => choices,
            Input::Line(_) | Input::Lines(_) => &[],
        }
    }

    fn is_choice(&self) -> bool {
        matches!(self.input, Input::Choice(_))
    }

    /// A hint that a password of ours is made of.
    pub(crate) const PASSWORD_HINT: &'static str = "At least 8 characters with upper case, lower case and a digit.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_keeps_what_was_typed_escaped_and_says_what_is_wrong() {
        let mut errors = Errors::default();
        errors.add("new_password", "new_password is too short");
        let field = Field::password("new_password", "New password", "new-password", &errors).to_string();
        assert!(field.contains("New password is too short.") && field.contains("aria-invalid"), "{field}");
        assert!(field.contains("aria-describedby=\"new_password-error\""), "{field}");
        let field = Field::line("name", "Name", "\"><script>", &Errors::default()).to_string();
        assert!(!field.contains("<script>") && field.contains("for=\"name\""), "{field}");
    }

    #[test]
    fn what_is_typed_into_several_lines_does_not_end_them() {
        let field = Field::new("ca", "CA", Input::Lines(6), "a\nb</textarea><script>", &Errors::default()).to_string();
        assert!(field.contains("rows=\"6\"") && field.contains("a\nb") && !field.contains("<script>"), "{field}");
    }

    #[test]
    fn words_of_the_api_are_spoken() {
        assert_eq!(spoken("user_manager"), "User manager");
        assert_eq!(spoken(""), "");
    }
}
