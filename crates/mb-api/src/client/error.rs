//! How a call fails.

use std::error::Error;
use std::fmt;

use crate::problem::{Problem, ProblemCode};

/// A call that brought no answer, or an error as its answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The main server answered with an error.
    #[error("{}", Told(.0))]
    Problem(Box<Problem>),
    /// Nobody answered: no connection, or it broke off. Whether the request was carried out is unknown.
    #[error("the main server cannot be reached: {}", Chain(&**.0))]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// No answer within the deadline. Whether the request was carried out is unknown.
    #[error("no answer from the main server in time")]
    Timeout,
    /// An answer that is none of ours.
    #[error("the main server's answer cannot be read: {0}")]
    BadAnswer(String),
    /// The request cannot be expressed; nothing was sent.
    #[error("the request cannot be sent: {0}")]
    BadRequest(String),
}

impl ClientError {
    /// The answered code, if there was an answer.
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            _ => None,
        }
    }
}

/// A problem with everything that is wrong with the request's fields.
struct Told<'a>(&'a Problem);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)?;
        self.0.errors.iter().try_for_each(|error| write!(f, "; {}: {}", error.pointer, error.detail))
    }
}

/// An error with its sources: connection errors say what happened only at the end of the chain.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}
