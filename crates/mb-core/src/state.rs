//! The states of a message and the only ways between them.

use std::fmt;

/// Where a message stands (contract, section 3). The order of the variants is not an order of states.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Accepted; not yet registered, or before `deliver_at`.
    Queued,
    /// Registered, a delivery is open.
    Processing,
    /// Everything that had to take it has taken it.
    Delivered,
    /// Given up for at least one destination, or never registrable.
    Failed,
    /// Not delivered in time.
    Expired,
    /// Withdrawn before delivery.
    Cancelled,
}

impl MessageState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Processing, Self::Delivered, Self::Failed, Self::Expired, Self::Cancelled];

    /// The word used in the store and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Parses [`MessageState::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing more happens by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Processing)
    }

    /// Whether a message may go from here to `next`. States only go forward; an audited redrive is not a transition but
    /// a new delivery.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => !matches!(next, Self::Queued),
            Self::Processing => next.is_final(),
            _ => false,
        }
    }
}

impl fmt::Display for MessageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_state_goes_back() {
        for from in MessageState::ALL {
            for to in MessageState::ALL {
                if from.may_become(to) {
                    assert!(!to.may_become(from), "{from} <-> {to}");
                }
                assert!(!(from.is_final() && from.may_become(to)), "{from} is final");
            }
        }
    }
}
