//! Deliveries: a message on its way to one destination, what may become of an attempt and when the next one is due.
//!
//! Every decision here is pure: time and jitter come in as parameters, what is decided is carried out by the store.

mod attempt;
mod breaker;
mod ids;
mod retry;

use crate::destination::words;
use crate::state::MessageState;

pub use attempt::{AttemptClass, Decision, Outcome, Tried, retry_after};
pub use breaker::{Breaker, BreakerState, DISABLE_AFTER, Signal};
pub use ids::{AttemptId, LeaseId};
pub use retry::{RetrySchedule, SCHEDULE_RULE};

words! {
    /// Where a delivery stands.
    DeliveryState {
        /// It is to be tried, or tried again.
        Open = "open",
        /// The destination has taken it.
        Delivered = "delivered",
        /// It was given up: there is a dead letter.
        Dead = "dead",
        /// It was not taken in time.
        Expired = "expired",
        /// The message was withdrawn.
        Cancelled = "cancelled",
    }
}

impl DeliveryState {
    /// Whether nothing more happens by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Open)
    }
}

/// Where a message stands whose deliveries stand so: open while one is, else delivered if all were taken, failed if any was
/// given up, else expired; cancelled if nothing else happened to any.
pub fn message_state(deliveries: impl IntoIterator<Item = DeliveryState>) -> MessageState {
    let mut seen = [false; DeliveryState::ALL.len()];
    for state in deliveries {
        seen[state as usize] = true;
    }
    let seen = |state: DeliveryState| seen[state as usize];
    if seen(DeliveryState::Open) {
        MessageState::Processing
    } else if seen(DeliveryState::Dead) {
        MessageState::Failed
    } else if seen(DeliveryState::Expired) {
        MessageState::Expired
    } else if seen(DeliveryState::Cancelled) {
        MessageState::Cancelled
    } else {
        MessageState::Delivered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_final_when_every_delivery_is() {
        use DeliveryState as D;
        for (deliveries, state) in [
            (&[][..], MessageState::Delivered),
            (&[D::Delivered, D::Delivered], MessageState::Delivered),
            (&[D::Delivered, D::Open, D::Dead], MessageState::Processing),
            (&[D::Delivered, D::Dead, D::Expired], MessageState::Failed),
            (&[D::Delivered, D::Expired], MessageState::Expired),
            (&[D::Cancelled, D::Cancelled], MessageState::Cancelled),
        ] {
            assert_eq!(message_state(deliveries.iter().copied()), state, "{deliveries:?}");
        }
    }
}
