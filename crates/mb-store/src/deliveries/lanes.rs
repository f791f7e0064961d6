//! What waits for destinations, counted as far as it is worth counting.

use mb_core::{DestinationId, DestinationKind, DestinationName, DestinationState, DomainName, Timestamp};

use super::{FRESH, TRIED};
use crate::Store;
use crate::error::StoreError;
use crate::value::Value;

/// Destinations that are told of, those whose first delivery is due first.
const MOST: usize = 100;
/// Destinations that are looked at.
const LOOKED_AT: i64 = 10_000;
/// Where counting ends.
const COUNTED: i64 = 1000;

const FIRST_DUE: &str = "SELECT id, domain, name, kind, state, \
     (SELECT due_at FROM deliveries WHERE destination_id = destinations.id AND lane = 0 AND due_at IS NOT NULL \
     ORDER BY due_at LIMIT 1), \
     (SELECT due_at FROM deliveries WHERE destination_id = destinations.id AND lane = 1 AND due_at IS NOT NULL \
     ORDER BY due_at LIMIT 1) \
     FROM destinations WHERE is_live = 1 ORDER BY id LIMIT ?";

const IN_LANE: &str = "SELECT COUNT(*), COUNT(lease_id) FROM (SELECT lease_id FROM deliveries \
     WHERE destination_id = ? AND lane = ? AND due_at IS NOT NULL ORDER BY due_at LIMIT ?) AS some";

/// One of the two lanes to a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lane {
    /// Open deliveries, up to a thousand.
    pub waiting: u64,
    /// Those of them that were leased; a lease that has ended is one of these until it is given anew.
    pub leased: u64,
    /// When the first is due, or its lease ends.
    pub due_at: Option<Timestamp>,
}

/// What waits for a destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DestinationLanes {
    /// The destination.
    pub id: DestinationId,
    /// Its domain.
    pub domain: DomainName,
    /// Its name.
    pub name: DestinationName,
    /// How it gets them.
    pub kind: DestinationKind,
    /// How it stands.
    pub state: DestinationState,
    /// What was never tried.
    pub fresh: Lane,
    /// What was tried before.
    pub tried: Lane,
}

impl Store {
    /// The destinations that something waits for, at most a hundred, the longest due first.
    pub async fn destination_lanes(&self) -> Result<Vec<DestinationLanes>, StoreError> {
        let mut found = Vec::new();
        for row in self.backend().fetch(FIRST_DUE, [Value::Int(LOOKED_AT)]).await? {
            let (fresh, tried) = (row.optional_time(5)?, row.optional_time(6)?);
            let Some(first) = fresh.into_iter().chain(tried).min() else { continue };
            let lanes = DestinationLanes {
                id: DestinationId::new(row.int(0)?),
                domain: row.domain(1)?,
                name: DestinationName::parse(row.text(2)?).ok_or(StoreError::Damaged("destination name"))?,
                kind: DestinationKind::parse(row.text(3)?).ok_or(StoreError::Damaged("destination kind"))?,
                state: DestinationState::parse(row.text(4)?).ok_or(StoreError::Damaged("destination state"))?,
                fresh: Lane { due_at: fresh, ..Lane::default() },
                tried: Lane { due_at: tried, ..Lane::default() },
            };
            found.push((first, lanes));
        }
        found.sort_by_key(|(first, lanes)| (*first, lanes.id));
        found.truncate(MOST);
        let mut counted = Vec::with_capacity(found.len());
        for (_, mut lanes) in found {
            for (number, lane) in [(FRESH, &mut lanes.fresh), (TRIED, &mut lanes.tried)] {
                if lane.due_at.is_some() {
                    self.count_lane(lanes.id, number, lane).await?;
                }
            }
            counted.push(lanes);
        }
        Ok(counted)
    }

    async fn count_lane(&self, id: DestinationId, number: i64, lane: &mut Lane) -> Result<(), StoreError> {
        let values = [Value::Int(id.get()), Value::Int(number), Value::Int(COUNTED)];
        if let Some(row) = self.backend().fetch_optional(IN_LANE, values).await? {
            (lane.waiting, lane.leased) = (row.unsigned(0)?, row.unsigned(1)?);
        }
        Ok(())
    }
}
