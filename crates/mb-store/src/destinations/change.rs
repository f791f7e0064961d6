//! Changes of a destination: each one transaction with its audit row, each counted in the version.

use mb_core::{Breaker, ClientName, DestinationId, DestinationState, Timestamp, TopicGlob};
use serde_json::json;

use super::{BY_ID, DestinationRow, DestinationSettings, read};
use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::settings;
use crate::value::Value;

/// What to change about a destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DestinationChange {
    /// What it takes and how it is reached.
    Set {
        /// Which topics.
        topics: Vec<TopicGlob>,
        /// Which clients.
        clients: Vec<ClientName>,
        /// The rest.
        settings: DestinationSettings,
    },
    /// Whether it is served, and why it is not if no person said so. Enabling forgets how it fared.
    State(DestinationState, Option<&'static str>),
    /// Another secret, sealed; the one before is good until then, and the one before that as long as it was.
    Secret(Vec<u8>, Timestamp),
    /// It is gone.
    Delete,
}

impl DestinationChange {
    const fn action(&self) -> &'static str {
        match self {
            Self::Set { .. } => "destination.set",
            Self::State(DestinationState::Enabled, _) => "destination.enable",
            Self::State(DestinationState::Paused, _) => "destination.pause",
            Self::State(DestinationState::Disabled, _) => "destination.disable",
            Self::Secret(..) => "destination.rotate_secret",
            Self::Delete => "destination.delete",
        }
    }

    /// What the audit row says: never a secret.
    fn detail(&self, before: &DestinationRow) -> serde_json::Value {
        let route = &before.route;
        match self {
            Self::Set { topics, clients, settings } => json!({
                "domain": route.domain, "name": route.name,
                "from": describe(&route.topics, &route.clients, &before.settings),
                "to": describe(topics, clients, settings),
            }),
            Self::State(state, reason) => {
                json!({ "domain": route.domain, "name": route.name, "from": route.state, "to": state, "reason": reason })
            }
            Self::Secret(_, until) => json!({ "domain": route.domain, "name": route.name, "overlap_until": until }),
            Self::Delete => json!({ "domain": route.domain, "name": route.name }),
        }
    }
}

fn describe(topics: &[TopicGlob], clients: &[ClientName], settings: &DestinationSettings) -> serde_json::Value {
    let DestinationSettings { url, retry, concurrency, rate, ca, identity } = settings;
    json!({
        "topics": topics, "clients": clients, "url": url, "retry": retry, "concurrency": concurrency, "rate": rate,
        "ca": ca.is_some(), "client_certificate": identity.is_some(),
    })
}

impl Store {
    /// Changes a destination; as it is now, or `None` if there is none.
    pub async fn change_destination(
        &self,
        id: DestinationId,
        change: &DestinationChange,
        actor: &str,
    ) -> Result<Option<DestinationRow>, StoreError> {
        let mut tx = self.backend().begin().await?;
        let row = tx.fetch_optional(BY_ID, [Value::Int(id.get())]).await?;
        let Some(before) = row.as_ref().map(read).transpose()? else {
            tx.rollback().await?;
            return Ok(None);
        };
        apply(&mut tx, self, &before, change, actor).await?;
        let row = tx.fetch_optional(BY_ID, [Value::Int(id.get())]).await?;
        let after = row.as_ref().map(read).transpose()?.unwrap_or(before);
        tx.commit().await?;
        Ok(Some(after))
    }
}

/// Makes a change in the transaction of what causes it.
pub(crate) async fn apply(
    tx: &mut Transaction,
    store: &Store,
    before: &DestinationRow,
    change: &DestinationChange,
    actor: &str,
) -> Result<(), StoreError> {
    let (id, now) = (Value::Int(before.route.id.get()), Value::Time(store.now()));
    match change {
        DestinationChange::Set { topics, clients, settings } => set(tx, id, now, topics, clients, settings).await?,
        DestinationChange::State(state, reason) => {
            let sql = "UPDATE destinations SET state = ?, state_reason = ?, changed_at = ? WHERE id = ?";
            tx.execute(sql, [Value::Text(state.as_str()), Value::text(*reason), now, id]).await?;
            if *state == DestinationState::Enabled {
                super::keep_breaker(tx, before.route.id, &Breaker::default()).await?;
            }
        }
        DestinationChange::Secret(secret, until) => {
            // One after the other: databases differ in whether an assignment sees the one before it.
            let sql =
                "UPDATE destinations SET older_secret = previous_secret, older_until = previous_until WHERE id = ?";
            tx.execute(sql, [id]).await?;
            let sql =
                "UPDATE destinations SET previous_secret = secret, previous_until = ?, changed_at = ? WHERE id = ?";
            tx.execute(sql, [Value::Time(*until), now, id]).await?;
            tx.execute("UPDATE destinations SET secret = ? WHERE id = ?", [Value::Blob(secret), id]).await?;
        }
        DestinationChange::Delete => {
            let sql = "UPDATE destinations SET is_live = NULL, secret = NULL, previous_secret = NULL, \
                       older_secret = NULL, client_key = NULL, changed_at = ? WHERE id = ?";
            tx.execute(sql, [now, id]).await?;
        }
    }
    let object = before.route.id.to_string();
    let entry = Change::new(store, actor, change.action(), &object).detail(change.detail(before));
    audit::insert(tx, &entry).await?;
    let version = Value::unsigned(settings::bump_destinations(tx).await?);
    tx.execute("UPDATE destinations SET version = ? WHERE id = ?", [version, id]).await.map(drop)
}

async fn set(
    tx: &mut Transaction,
    id: Value<'_>,
    now: Value<'_>,
    topics: &[TopicGlob],
    clients: &[ClientName],
    settings: &DestinationSettings,
) -> Result<(), StoreError> {
    let sql = "UPDATE destinations SET topics = ?, clients = ?, url = ?, retry = ?, concurrency = ?, rate = ?, ca = ?, \
               client_certificate = ?, client_key = ?, changed_at = ? WHERE id = ?";
    let (topics, clients, retry) = (json!(topics).to_string(), json!(clients).to_string(), settings.retry.to_string());
    let values = [
        Value::Text(&topics),
        Value::Text(&clients),
        Value::Text(&settings.url),
        Value::Text(&retry),
        Value::Int(settings.concurrency.into()),
        Value::int(settings.rate.map(i64::from)),
        Value::text(settings.ca.as_deref()),
        Value::text(settings.identity.as_ref().map(|(certificate, _)| certificate.as_str())),
        Value::blob(settings.identity.as_ref().map(|(_, key)| key.as_slice())),
        now,
        id,
    ];
    tx.execute(sql, values).await.map(drop)
}
