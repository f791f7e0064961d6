//! How the destinations fare, in figures that cost the same however many deliveries wait.

use std::time::Duration;

use mb_core::{DestinationKind, DestinationState};

use crate::Store;
use crate::error::StoreError;
use crate::value::Value;

/// Of each destination the state, and the first due time of either lane, as leasing looks for it.
pub(crate) const STANDING: &str = "SELECT kind, state, breaker_until, \
     (SELECT due_at FROM deliveries WHERE destination_id = destinations.id AND lane = 0 AND due_at IS NOT NULL \
     ORDER BY due_at LIMIT 1), \
     (SELECT due_at FROM deliveries WHERE destination_id = destinations.id AND lane = 1 AND due_at IS NOT NULL \
     ORDER BY due_at LIMIT 1) \
     FROM destinations WHERE is_live = 1 ORDER BY id LIMIT ?";

/// Destinations that are looked at, at most.
const MOST: i64 = 10_000;

/// How the destinations fare.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DestinationFigures {
    states: [u64; DestinationState::ALL.len()],
    /// Enabled ones whose breaker is not closed.
    pub breakers_open: u64,
    overdue: [Duration; DestinationKind::ALL.len()],
}

impl DestinationFigures {
    /// How many are in this state.
    pub const fn of(&self, state: DestinationState) -> u64 {
        self.states[state as usize]
    }

    /// For how long the delivery that has waited longest has been due, of all enabled destinations of this kind.
    pub const fn overdue(&self, kind: DestinationKind) -> Duration {
        self.overdue[kind as usize]
    }
}

impl Store {
    /// How the destinations fare now.
    pub async fn destination_figures(&self) -> Result<DestinationFigures, StoreError> {
        let now = self.backend().now(self.clock()).await?;
        let mut figures = DestinationFigures::default();
        for row in self.backend().fetch(STANDING, [Value::Int(MOST)]).await? {
            let kind = DestinationKind::parse(row.text(0)?).ok_or(StoreError::Damaged("destination kind"))?;
            let state = DestinationState::parse(row.text(1)?).ok_or(StoreError::Damaged("destination state"))?;
            figures.states[state as usize] += 1;
            if state != DestinationState::Enabled {
                continue;
            }
            figures.breakers_open += u64::from(row.optional_time(2)?.is_some());
            if let Some(first) = row.optional_time(3)?.into_iter().chain(row.optional_time(4)?).min() {
                let overdue = &mut figures.overdue[kind as usize];
                *overdue = now.since(first).max(*overdue);
            }
        }
        Ok(figures)
    }
}
