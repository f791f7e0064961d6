//! Replay: what was delivered, or given up, goes to a destination once more, or for the first time if the destination came
//! after it. What was withdrawn or has expired does not, and what is for later waits for its time.

use mb_core::{DeliveryState, DestinationId, Header, MessageId, Timestamp, TopicGlob};
use serde_json::json;

use super::{Begin, Beginning, MessageIds, NewDelivery, administering, finishing};
use crate::Store;
use crate::audit::{self, Change};
use crate::counters::Instance;
use crate::destinations::DestinationRow;
use crate::error::StoreError;
use crate::value::Value;

/// Which messages to send again to a destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// Accepted not before.
    pub since: Timestamp,
    /// Accepted before.
    pub until: Timestamp,
    /// About these; `None`: all that the destination takes.
    pub topics: Option<TopicGlob>,
    /// This one alone.
    pub message: Option<MessageId>,
    /// Whether it is only counted.
    pub dry_run: bool,
    /// Behind this place.
    pub after: Option<(Timestamp, MessageId)>,
}

/// What was sent again by one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Replayed {
    /// Messages that were looked at.
    pub looked_at: u64,
    /// Messages that are, or would be, sent.
    pub sent: u64,
    /// Where the next step begins; `None`: this was the last.
    pub next: Option<(Timestamp, MessageId)>,
}

/// Messages of one step of a replay.
const STEP: usize = 500;

pub(crate) const OF_TIME: &str = "SELECT message_id, client_id, topic, queued_at, expires_at, key_id, deliver_at \
     FROM messages WHERE domain = ?1 AND queued_at >= ?2 AND queued_at < ?3 AND (queued_at > ?2 OR message_id > ?4) \
     AND status IN ('delivered', 'failed') AND length(encrypted_body) > 0 ORDER BY queued_at, message_id LIMIT ?5";

impl Store {
    /// Sends messages again to a destination, one step of them. A message that was given up there is under way again; where
    /// others stand does not change by it.
    pub async fn replay(
        &self,
        destination: &DestinationRow,
        replay: &Replay,
        instance: &Instance,
        actor: &str,
    ) -> Result<Replayed, StoreError> {
        let route = &destination.route;
        let (from, behind) = replay.after.map_or((replay.since, None), |(at, id)| (at, Some(id)));
        // Before the first id at the first moment, so that it is included.
        let behind = behind.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice());
        let values = [
            Value::Text(route.domain.as_str()),
            Value::Time(from),
            Value::Time(replay.until),
            Value::Blob(behind),
            Value::unsigned(STEP as u64),
        ];
        let now = self.backend().now(self.clock()).await?;
        let rows = self.backend().fetch(OF_TIME, values).await?;
        let mut replayed = Replayed { looked_at: rows.len() as u64, ..Replayed::default() };
        let mut these = Vec::new();
        for row in &rows {
            let header = Header {
                message_id: row.message_id(0)?,
                client: row.client(1)?,
                topic: row.topic(2)?,
                queued_at: row.time(3)?,
                expires_at: row.optional_time(4)?,
                key_id: row.key_id(5)?,
                domain: route.domain.clone(),
                deliver_at: row.optional_time(6)?,
            };
            replayed.next = (rows.len() == STEP).then_some((header.queued_at, header.message_id));
            let wanted = replay.topics.as_ref().is_none_or(|glob| glob.matches(header.topic.as_str()))
                && replay.message.is_none_or(|id| id == header.message_id);
            if wanted && route.matches(&header) && header.expires_at.is_none_or(|at| at > now) {
                these.push(header);
            }
        }
        replayed.sent = these.len() as u64;
        if !replay.dry_run && !these.is_empty() {
            replayed.sent = self.send_again(route.id, &these, instance, actor).await?;
        }
        Ok(replayed)
    }

    async fn send_again(
        &self,
        destination: DestinationId,
        these: &[Header],
        instance: &Instance,
        actor: &str,
    ) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin().await?;
        let now = tx.now(self.clock()).await?;
        let ids = these.iter().map(|header| header.message_id).collect::<Vec<_>>();
        let present = finishing::deliveries_of(&mut tx, &ids).await?;
        let is_dead = |id: &MessageId| {
            present.get(&(*id, destination)).is_some_and(|delivery| delivery.state == DeliveryState::Dead)
        };
        let dead = ids.iter().filter(|id| is_dead(id)).map(|id| (*id, destination)).collect::<Vec<_>>();
        let redriven = administering::redrive(&mut tx, &dead, instance, now).await?.sent;
        let reopened = administering::reopen(&mut tx, destination, &ids, now).await?;
        let new = NewDelivery { message: 0, destination, begin: Begin::Waiting };
        let absent = these.iter().filter(|header| !present.contains_key(&(header.message_id, destination)));
        let absent = absent.map(|header| Beginning {
            message: MessageIds {
                id: &header.message_id,
                deliver_at: header.deliver_at,
                expires_at: header.expires_at,
            },
            delivery: &new,
        });
        let absent = absent.collect::<Vec<_>>();
        super::insert(&mut tx, &absent, now).await?;
        let sent = redriven + (reopened.ids.len() + absent.len()) as u64;
        let object = destination.to_string();
        let detail = json!({ "sent": sent, "first": ids.first(), "last": ids.last() });
        audit::insert(&mut tx, &Change::new(self, actor, "destination.replay", &object).detail(detail)).await?;
        tx.commit().await?;
        Ok(sent)
    }
}
