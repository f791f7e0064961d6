//! What is wrong with a form: about single fields, about the whole.

use mb_api::problem::ProblemCode;
use mb_api::{ClientError, Problem};
use mb_core::FieldError;

use crate::stop::Stop;

/// Everything that is wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errors {
    general: Option<String>,
    fields: Vec<(String, String)>,
}

impl Errors {
    /// One thing about the whole form.
    pub(crate) fn general(text: impl Into<String>) -> Self {
        Self { general: Some(text.into()), fields: Vec::new() }
    }

    /// Adds one thing about a field.
    pub(crate) fn add(&mut self, name: &str, text: impl Into<String>) {
        self.fields.push((name.to_owned(), text.into()));
    }

    /// `value`, or the complaint about a field if there is none.
    pub(crate) fn need<T>(&mut self, name: &str, value: Option<T>, text: &str) -> Option<T> {
        if value.is_none() {
            self.add(name, text);
        }
        value
    }

    /// Whether nothing is wrong.
    pub(crate) const fn is_empty(&self) -> bool {
        self.general.is_none() && self.fields.is_empty()
    }

    /// The complaint about a field.
    pub(crate) fn of(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, text)| text.as_str())
    }

    /// What to say above a form of these fields: what concerns the whole, and what concerns a field that it does not show.
    pub(crate) fn above(&self, shown: &[&str]) -> Option<&str> {
        let hidden = || self.fields.iter().find(|(name, _)| !shown.contains(&name.as_str()));
        self.general.as_deref().or_else(|| hidden().map(|(_, text)| text.as_str()))
    }

    /// The main server's refusal, if mending the form can help.
    ///
    /// # Errors
    /// Anything that the person cannot mend here.
    pub(crate) fn from_refusal(error: ClientError) -> Result<Self, Stop> {
        match error {
            ClientError::Problem(problem) if is_mendable(problem.code) => {
                Ok(waiting(&problem).map_or_else(|| Self::told(*problem), Self::general))
            }
            error => Err(error.into()),
        }
    }

    /// What a problem says, field by field.
    pub(crate) fn told(problem: Problem) -> Self {
        // Forms are flat: the last part of a pointer is the field's name.
        let name = |pointer: &str| pointer.rsplit('/').next().unwrap_or_default().to_owned();
        let named = |error: FieldError| (name(&error.pointer), error.detail);
        let (fields, whole): (Vec<_>, Vec<_>) =
            problem.errors.into_iter().map(named).partition(|(name, _)| !name.is_empty());
        let whole = whole.into_iter().next().map(|(_, detail)| detail);
        let general = if fields.is_empty() { whole.or(Some(problem.detail.into_owned())) } else { whole };
        Self { general: general.map(|text| sentence(&text)), fields }
    }
}

/// What has to be waited for, and for how long.
fn waiting(problem: &Problem) -> Option<String> {
    let wait = match problem.retry_after.unwrap_or(1) {
        1 => "1 second".to_owned(),
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    };
    match problem.code {
        ProblemCode::Overloaded => Some(format!("The main server is busy. Try again in {wait}.")),
        ProblemCode::TooManyAttempts => Some(format!("There were too many attempts. Try again in {wait}.")),
        ProblemCode::AccountLocked => {
            Some(format!("After too many failures the account is locked from here for {wait}."))
        }
        _ => None,
    }
}

/// What the person can do something about by filling in the form again, or by waiting.
const fn is_mendable(code: ProblemCode) -> bool {
    matches!(
        code,
        ProblemCode::ValidationFailed
            | ProblemCode::Conflict
            | ProblemCode::WrongCredentials
            | ProblemCode::OtpRequired
            | ProblemCode::AccountLocked
            | ProblemCode::TooManyAttempts
            | ProblemCode::RateLimited
            | ProblemCode::Overloaded
    )
}

/// A detail as a sentence: problems begin in lower case.
pub(crate) fn sentence(detail: &str) -> String {
    let mut chars = detail.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    let end = if detail.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use mb_api::ApiError;

    use super::*;

    fn refusal(error: &ApiError) -> ClientError {
        ClientError::Problem(Box::new(error.problem(None)))
    }

    #[test]
    fn a_complaint_stands_at_its_field_and_the_rest_above() {
        let error = ApiError::invalid(vec![FieldError::new("/email", "taken", "email is taken")]);
        let errors = Errors::from_refusal(refusal(&error)).expect("mendable");
        assert_eq!((errors.of("email"), errors.of("role")), (Some("email is taken"), None));
        assert_eq!((errors.above(&["email"]), errors.above(&["role"])), (None, Some("email is taken")));
        let error = ApiError::new(ProblemCode::WrongCredentials, "the password is wrong");
        let errors = Errors::from_refusal(refusal(&error)).expect("mendable");
        assert_eq!(errors.above(&[]), Some("The password is wrong."));
    }

    #[test]
    fn who_has_to_wait_is_told_how_long() {
        for (code, seconds, text) in [
            (ProblemCode::Overloaded, 1, "The main server is busy. Try again in 1 second."),
            (ProblemCode::TooManyAttempts, 5, "There were too many attempts. Try again in 5 seconds."),
            (ProblemCode::AccountLocked, 121, "After too many failures the account is locked from here for 3 minutes."),
        ] {
            let errors = Errors::from_refusal(refusal(&ApiError::new(code, "x").retry_after(seconds)));
            assert_eq!(errors.expect("mendable").above(&[]), Some(text));
        }
    }

    #[test]
    fn what_no_form_mends_is_no_complaint_about_it() {
        for code in [ProblemCode::Forbidden, ProblemCode::NotFound, ProblemCode::Unavailable, ProblemCode::InvalidToken]
        {
            assert!(Errors::from_refusal(refusal(&ApiError::new(code, "x"))).is_err(), "{code}");
        }
        assert!(matches!(Errors::from_refusal(ClientError::Timeout), Err(Stop::Error(_))));
    }
}
