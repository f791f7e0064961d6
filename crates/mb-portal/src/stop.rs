//! Why a page ends early: somebody has to sign in, or there is an error to show.

use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{ClientError, Problem};

use crate::cookies;
use crate::next::LocalPath;
use crate::respond::see_other;

/// What a page answers instead of itself.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nobody is signed in, or no longer.
    SignIn {
        /// Where to go on after that.
        next: LocalPath,
    },
    /// An error, rendered by the middleware as [`crate::error_page()`].
    Error(ApiError),
}

/// An answer, or why there is none.
pub(crate) type Answer = Result<Response, Stop>;

impl Stop {
    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::Error(ApiError::not_found())
    }

    /// 403.
    pub(crate) fn forbidden() -> Self {
        Self::Error(ApiError::new(ProblemCode::Forbidden, "your account does not open this page"))
    }
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// A session that the main server no longer knows leads to the sign-in; the cookie goes, so that this happens once. Whatever
/// else fails is shown: a certificate of this portal that is not taken, for instance, no sign-in mends.
impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) if ends_session(problem.code) => Self::SignIn { next: LocalPath::home() },
            ClientError::Problem(problem) => Self::Error(as_told(*problem)),
            ClientError::Unreachable(_) | ClientError::Timeout => Self::Error(ApiError::unavailable(error)),
            ClientError::BadAnswer(_) | ClientError::BadRequest(_) => Self::Error(ApiError::internal(error)),
        }
    }
}

const fn ends_session(code: ProblemCode) -> bool {
    matches!(code, ProblemCode::InvalidToken | ProblemCode::TokenExpired)
}

/// The main server's refusal in its own words. What is wrong with this portal's certificate is no fault of the person's.
fn as_told(problem: Problem) -> ApiError {
    match problem.code {
        ProblemCode::NoIdentity
        | ProblemCode::CertificateExpired
        | ProblemCode::CertificateRevoked
        | ProblemCode::WrongRole => {
            ApiError::unavailable(format!("the main server refuses this portal: {}", problem.code))
        }
        code => {
            let error = ApiError::new(code, problem.detail);
            match problem.retry_after {
                Some(seconds) => error.retry_after(seconds),
                None => error,
            }
        }
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::Error(error) => error.into_response(),
            Self::SignIn { next } => {
                let mut response = see_other(&next.behind("/login"));
                response.headers_mut().extend(cookies::clear(cookies::SESSION).map(|value| (SET_COOKIE, value)));
                response
            }
        }
    }
}
