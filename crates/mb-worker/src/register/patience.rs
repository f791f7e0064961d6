//! How long a batch is tried as a whole before one of its envelopes is suspected.
//!
//! A time-out is a fault of the main server's state, until it repeats: an envelope that makes the main server slow looks
//! the same. A part of a batch that was split is under suspicion, so one time-out is enough for it; else the lease would end
//! before the culprit stands alone.

use mb_api::client::ClientError;

/// How often a batch that the main server cannot take is tried before it is split.
const TRIES: u32 = 5;
/// How often a batch may stay unanswered before it is split. Three take 30 s, half of the default lease.
const TIMEOUTS: u32 = 3;

/// What a batch has left.
#[derive(Debug)]
pub(super) struct Patience {
    tries: u32,
    timeouts: u32,
}

impl Patience {
    /// For a batch as it was claimed.
    pub(super) const fn with_batch() -> Self {
        Self { tries: TRIES, timeouts: TIMEOUTS }
    }

    /// For a part of one that was split.
    pub(super) const fn with_part() -> Self {
        Self { tries: TRIES, timeouts: 1 }
    }

    /// Counts a failure; whether the batch is to be split now.
    pub(super) fn ends_with(&mut self, error: &ClientError) -> bool {
        let left = match error {
            ClientError::Timeout => &mut self.timeouts,
            error if is_passing(error) => return false,
            _ => &mut self.tries,
        };
        *left = left.saturating_sub(1);
        *left == 0
    }
}

/// Whether the fault lies with the main server's state, or with this worker's own certificate: no other batch would fare
/// better.
pub(crate) fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable(_) | ClientError::Timeout => true,
        ClientError::Problem(problem) => matches!(problem.status, 401 | 403 | 408 | 429 | 503),
        ClientError::BadAnswer(_) | ClientError::BadRequest(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use mb_api::{ApiError, ProblemCode};

    use super::*;

    fn answered(code: ProblemCode) -> ClientError {
        ClientError::Problem(Box::new(ApiError::new(code, "no").problem(None)))
    }

    /// After how many such failures in a row the batch is split.
    fn ends_after(mut patience: Patience, error: &ClientError) -> Option<usize> {
        (1..=100).find(|_| patience.ends_with(error))
    }

    #[test]
    fn a_fault_that_is_not_the_batchs_never_splits_it() {
        let codes = [
            ProblemCode::NoIdentity,
            ProblemCode::CertificateExpired,
            ProblemCode::CertificateRevoked,
            ProblemCode::WrongRole,
            ProblemCode::RateLimited,
            ProblemCode::Unavailable,
        ];
        for code in codes {
            assert_eq!(ends_after(Patience::with_batch(), &answered(code)), None, "{code}");
        }
        assert_eq!(ends_after(Patience::with_part(), &ClientError::Unreachable("refused".into())), None);
    }

    #[test]
    fn a_fault_that_may_be_the_batchs_splits_it_in_the_end() {
        assert_eq!(ends_after(Patience::with_batch(), &answered(ProblemCode::Internal)), Some(5));
        assert_eq!(ends_after(Patience::with_part(), &ClientError::BadAnswer("html".into())), Some(5));
    }

    #[test]
    fn repeated_timeouts_split_a_batch_and_one_splits_a_part() {
        assert_eq!(ends_after(Patience::with_batch(), &ClientError::Timeout), Some(3));
        assert_eq!(ends_after(Patience::with_part(), &ClientError::Timeout), Some(1));
    }

    #[test]
    fn faults_between_do_not_hide_the_others() {
        let mut patience = Patience::with_batch();
        let away = answered(ProblemCode::Unavailable);
        let outcomes = [&ClientError::Timeout, &away, &ClientError::Timeout, &away, &ClientError::Timeout]
            .map(|error| patience.ends_with(error));
        assert_eq!(outcomes, [false, false, false, false, true]);
    }
}
