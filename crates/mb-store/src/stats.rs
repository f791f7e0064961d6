//! Figures for people: messages from the counters, clients from their rows. Nothing here reads a message.

use std::time::Duration;

use mb_core::{ClientStatus, DomainName, MessageState, Timestamp};

use crate::Store;
use crate::counters::CounterEvent;
use crate::error::StoreError;
use crate::value::Value;

/// How many messages, to the hour.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MessageStats {
    /// Registered ever.
    pub total: u64,
    /// Registered ever, by how they came to stand; see [`Store::messages_by_status`].
    pub by_status: Vec<(MessageState, u64)>,
    /// Registered in this hour and the 23 before.
    pub last_24h: u64,
    /// Registered in the last 7 times 24 hours, this one included.
    pub last_7d: u64,
    /// Registered in the last 30 times 24 hours, this one included.
    pub last_30d: u64,
    /// Dead letters that ever came into the store.
    pub dead_lettered: u64,
}

/// How many clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClientCounts {
    /// All of them, the archived ones too.
    pub total: u64,
    /// Neither suspended nor archived nor revoked.
    pub active: u64,
    /// Suspended.
    pub suspended: u64,
    /// Archived.
    pub archived: u64,
    /// Of those that are neither suspended nor archived: all certificates are revoked or over, one at least is revoked.
    pub revoked: u64,
}

const DAY_HOURS: u64 = 24;

/// Certificates that can act are searched by name; a client has few.
const CLIENTS: &str = "SELECT status, \
     EXISTS (SELECT 1 FROM certificates WHERE certificates.name = clients.name AND revoked_at IS NOT NULL \
     AND role IN ('client', 'consumer')) AND NOT EXISTS (SELECT 1 FROM certificates \
     WHERE certificates.name = clients.name AND revoked_at IS NULL AND not_after >= ? \
     AND role IN ('client', 'consumer')) AS revoked, COUNT(*) \
     FROM clients WHERE ? IS NULL OR domain = ? GROUP BY status, revoked";

impl Store {
    /// How many messages there were, of one domain or of all.
    pub async fn message_stats(&self, domain: Option<&DomainName>) -> Result<MessageStats, StoreError> {
        let end = self.now().plus(Duration::from_hours(1));
        let all = self.event_counts(domain, Timestamp::default(), end).await?;
        let mut last = [0; 3];
        for (count, days) in last.iter_mut().zip([1, 7, 30]) {
            let from = end.minus(Duration::from_hours(days * DAY_HOURS));
            let counts = self.event_counts(domain, from, end).await?;
            *count = counts.get(&CounterEvent::Registered).copied().unwrap_or(0);
        }
        let of = |event| all.get(&event).copied().unwrap_or(0);
        Ok(MessageStats {
            total: of(CounterEvent::Registered),
            by_status: self.messages_by_status(domain).await?,
            last_24h: last[0],
            last_7d: last[1],
            last_30d: last[2],
            dead_lettered: of(CounterEvent::DeadLettered),
        })
    }

    /// How many clients there are, in one domain or in all.
    pub async fn client_counts(&self, domain: Option<&DomainName>) -> Result<ClientCounts, StoreError> {
        let domain = Value::text(domain.map(DomainName::as_str));
        let mut counts = ClientCounts::default();
        for row in self.backend().fetch(CLIENTS, [Value::Time(self.now()), domain, domain]).await? {
            let status = ClientStatus::parse(row.text(0)?).ok_or(StoreError::Damaged("client status"))?;
            let count = row.unsigned(2)?;
            counts.total += count;
            *match (status, row.int(1)? != 0) {
                (ClientStatus::Suspended, _) => &mut counts.suspended,
                (ClientStatus::Archived, _) => &mut counts.archived,
                (ClientStatus::Active, true) => &mut counts.revoked,
                (ClientStatus::Active, false) => &mut counts.active,
            } += count;
        }
        Ok(counts)
    }
}
