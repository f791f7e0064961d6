//! The messages of what was leased, as much of them as one answer carries.

use std::collections::{BTreeMap, HashMap};

use mb_core::{DestinationId, LeaseId, MessageId};

use super::leasing::{Leased, Taken};
use crate::Store;
use crate::error::StoreError;
use crate::messages::{self, id_values, with_ids};
use crate::statement::Dialects;
use crate::value::Value;

/// Sealed bytes of the messages of one answer, unless one alone has more: the rest is leased by the next call.
const LEASED_BYTES: usize = 4 << 20;

/// Messages that are read at once; of the largest they are 26 MB.
const READ_AT_ONCE: usize = 100;

pub(crate) const HELD: Dialects = Dialects {
    sqlite: with_ids!(
        "SELECT message_id, destination_id, lease_id, attempts FROM deliveries WHERE state = 'open' AND leased_by = ?3 \
         AND due_at > ?4 AND message_id IN (SELECT wanted FROM ids)"
    ),
    mysql: "SELECT message_id, destination_id, lease_id, attempts FROM deliveries WHERE state = 'open' \
            AND leased_by = ?3 AND due_at > ?4 AND message_id IN (?1)",
};

impl Store {
    /// What of these messages `holder` holds: for whom an answer was lost.
    pub async fn held_deliveries(&self, holder: &str, ids: &[MessageId]) -> Result<Vec<Leased>, StoreError> {
        let now = self.backend().now(self.clock()).await?;
        let mut by_lease = BTreeMap::<LeaseId, Vec<Taken>>::new();
        for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
            let [ids, count] = id_values(chunk);
            for row in self.backend().fetch(HELD, [ids, count, Value::Text(holder), Value::Time(now)]).await? {
                let destination = DestinationId::new(row.int(1)?);
                let taken = Taken { message: row.message_id(0)?, destination, attempts: row.unsigned(3)? };
                by_lease.entry(LeaseId::from_bytes(row.array(2)?)).or_default().push(taken);
            }
        }
        let mut held = Vec::new();
        for (lease, taken) in by_lease {
            // Of more than one answer carries the rest comes again when its lease ends.
            held.extend(self.with_messages(lease, taken).await?.0);
        }
        Ok(held)
    }

    /// The messages of what was taken, up to [`LEASED_BYTES`], and the rest.
    pub(super) async fn with_messages(
        &self,
        lease: LeaseId,
        mut taken: Vec<Taken>,
    ) -> Result<(Vec<Leased>, Vec<Taken>), StoreError> {
        let (mut leased, mut bytes, mut rest) = (Vec::with_capacity(taken.len()), 0, Vec::new());
        while !taken.is_empty() && rest.is_empty() {
            let behind = taken.split_off(taken.len().min(READ_AT_ONCE));
            let ids = taken.iter().map(|taken| taken.message).collect::<Vec<_>>();
            let rows = self.backend().fetch(messages::EXISTING, id_values(&ids)).await?;
            let messages = rows.iter().map(|row| {
                let message = messages::read_existing(row)?;
                Ok((message.header.message_id, message))
            });
            let messages = messages.collect::<Result<HashMap<_, _>, StoreError>>()?;
            for taken in taken {
                let Some(message) = messages.get(&taken.message).cloned() else { continue };
                bytes += message.sealed.len();
                if bytes > LEASED_BYTES && !leased.is_empty() {
                    rest.push(taken);
                    continue;
                }
                let number = u32::try_from(taken.attempts + 1).unwrap_or(u32::MAX);
                leased.push(Leased { destination: taken.destination, lease, number, message });
            }
            taken = behind;
        }
        rest.extend(taken);
        Ok((leased, rest))
    }
}
