//! Destinations as they are kept: what routing asks for, how they are reached, and their breakers.
//!
//! Whatever routing depends on counts a version up in the transaction of its change; registering compares it, so a message
//! that comes in after a change is routed by it, whichever main server takes it in. Secrets come and go sealed. A deleted
//! destination stays as a row that its deliveries name, and gives its name free.

pub(crate) mod change;

use mb_core::{
    Breaker, ClientName, Destination, DestinationId, DestinationKind, DestinationName, DestinationState, DomainName,
    RetrySchedule, Timestamp, TopicGlob,
};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::settings;
use crate::value::{Row, Value};

pub use change::DestinationChange;

/// A destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DestinationRow {
    /// What routing asks for.
    pub route: Destination,
    /// What can be set about it.
    pub settings: DestinationSettings,
    /// Why it is in its state, if it did not get there by a person.
    pub state_reason: Option<String>,
    /// What its messages are signed with, sealed; none for one that pulls.
    pub secret: Option<Vec<u8>>,
    /// What they were signed with before, and are too until then.
    pub previous_secret: Option<(Vec<u8>, Timestamp)>,
    /// What they were signed with before that, and are too until then.
    pub older_secret: Option<(Vec<u8>, Timestamp)>,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// What the destinations' version became by it.
    pub version: u64,
    /// How it has fared.
    pub breaker: Breaker,
}

/// What can be set about a destination; what it matches stands in [`Destination`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DestinationSettings {
    /// Where messages are posted to; empty for one that pulls.
    pub url: String,
    /// When they are tried again.
    pub retry: RetrySchedule,
    /// The most requests at once, of each worker.
    pub concurrency: u32,
    /// The most requests in a second, of each worker.
    pub rate: Option<u32>,
    /// The CA certificates to trust instead of the system's, PEM.
    pub ca: Option<String>,
    /// The certificate to show, PEM, and its key, sealed.
    pub identity: Option<(String, Vec<u8>)>,
}

/// A destination to add.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewDestination {
    /// Its tenant, which must be there.
    pub domain: DomainName,
    /// Its name.
    pub name: DestinationName,
    /// How messages get there.
    pub kind: DestinationKind,
    /// What it takes; empty: every topic.
    pub topics: Vec<TopicGlob>,
    /// From whom; empty: every client.
    pub clients: Vec<ClientName>,
    /// The rest.
    pub settings: DestinationSettings,
    /// What its messages are signed with, sealed; none for one that pulls.
    pub secret: Option<Vec<u8>>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, domain, name, kind, state, topics, clients, url, retry, concurrency, rate, ca, \
             client_certificate, client_key, state_reason, secret, previous_secret, previous_until, created_at, \
             changed_at, breaker, version, older_secret, older_until FROM destinations ",
            $rest
        )
    };
}

const LIVE: &str = select!("WHERE is_live = 1 ORDER BY id");
const PAGE: &str = select!("WHERE is_live = 1 AND id > ?1 AND (?2 IS NULL OR domain = ?2) ORDER BY id LIMIT ?3");
const BY_ID: &str = select!("WHERE id = ? AND is_live = 1");
const BY_NAME: &str = select!("WHERE domain = ? AND name = ? AND is_live = 1");
pub(crate) const EVER: &str = select!("WHERE id = ?");

pub(crate) fn read(row: &Row) -> Result<DestinationRow, StoreError> {
    let damaged = StoreError::Damaged;
    Ok(DestinationRow {
        route: Destination {
            id: DestinationId::new(row.int(0)?),
            domain: row.domain(1)?,
            name: DestinationName::parse(row.text(2)?).ok_or(damaged("destination name"))?,
            kind: DestinationKind::parse(row.text(3)?).ok_or(damaged("destination kind"))?,
            state: DestinationState::parse(row.text(4)?).ok_or(damaged("destination state"))?,
            topics: serde_json::from_str(row.text(5)?).map_err(|_| damaged("topics"))?,
            clients: serde_json::from_str(row.text(6)?).map_err(|_| damaged("clients"))?,
        },
        settings: DestinationSettings {
            url: row.text(7)?.to_owned(),
            retry: RetrySchedule::parse(row.text(8)?).ok_or(damaged("retry schedule"))?,
            concurrency: row.optional_count(9)?.ok_or(damaged("concurrency"))?,
            rate: row.optional_count(10)?,
            ca: row.optional_text(11)?.map(str::to_owned),
            identity: row.optional_text(12)?.map(str::to_owned).zip(row.optional_blob(13)?.map(<[u8]>::to_vec)),
        },
        state_reason: row.optional_text(14)?.map(str::to_owned),
        secret: row.optional_blob(15)?.map(<[u8]>::to_vec),
        previous_secret: row.optional_blob(16)?.map(<[u8]>::to_vec).zip(row.optional_time(17)?),
        older_secret: row.optional_blob(22)?.map(<[u8]>::to_vec).zip(row.optional_time(23)?),
        created_at: row.time(18)?,
        changed_at: row.time(19)?,
        breaker: serde_json::from_str(row.text(20)?).map_err(|_| damaged("breaker"))?,
        version: row.unsigned(21)?,
    })
}

impl Store {
    /// Every destination there is, and the version that they have at least: it is read first, so what changes in between is
    /// found by the next comparison.
    pub async fn destinations(&self) -> Result<(u64, Vec<DestinationRow>), StoreError> {
        let version = self.destinations_version().await?;
        let rows = self.backend().fetch(LIVE, []).await?;
        Ok((version, rows.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// At most `limit` destinations of one domain or of all, by id, behind the id `after` if given.
    pub async fn destination_page(
        &self,
        domain: Option<&DomainName>,
        after: Option<DestinationId>,
        limit: u32,
    ) -> Result<Vec<DestinationRow>, StoreError> {
        let after = after.map_or(0, DestinationId::get);
        let values = [Value::Int(after), Value::text(domain.map(DomainName::as_str)), Value::Int(limit.into())];
        self.backend().fetch(PAGE, values).await?.iter().map(read).collect()
    }

    /// A destination by its number.
    pub async fn destination(&self, id: DestinationId) -> Result<Option<DestinationRow>, StoreError> {
        let row = self.backend().fetch_optional(BY_ID, [Value::Int(id.get())]).await?;
        row.as_ref().map(read).transpose()
    }

    /// A destination by its name in a domain.
    pub async fn destination_named(
        &self,
        domain: &DomainName,
        name: &DestinationName,
    ) -> Result<Option<DestinationRow>, StoreError> {
        let values = [Value::Text(domain.as_str()), Value::Text(name.as_str())];
        let row = self.backend().fetch_optional(BY_NAME, values).await?;
        row.as_ref().map(read).transpose()
    }

    /// Adds a destination.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the domain has one of that name, [`StoreError::Missing`] if there is no such domain.
    pub async fn insert_destination(&self, new: &NewDestination, actor: &str) -> Result<DestinationRow, StoreError> {
        let mut tx = self.backend().begin().await?;
        let named = [Value::Text(new.domain.as_str()), Value::Text(new.name.as_str())];
        if tx.fetch_optional(BY_NAME, named).await?.is_some() {
            tx.rollback().await?;
            return Err(StoreError::Exists("destination"));
        }
        let version = settings::bump_destinations(&mut tx).await?;
        match insert(&mut tx, new, version, self.now()).await {
            Err(error) if error.is_missing_reference() => {
                tx.rollback().await?;
                return Err(StoreError::Missing("domain"));
            }
            inserted => inserted?,
        }
        let row = tx.fetch_optional(BY_NAME, named).await?;
        let row = read(&row.ok_or(StoreError::Damaged("destination"))?)?;
        let id = row.route.id.to_string();
        let detail = json!({ "domain": new.domain, "name": new.name, "kind": new.kind, "url": new.settings.url,
                             "topics": new.topics, "clients": new.clients, "retry": new.settings.retry });
        audit::insert(&mut tx, &Change::new(self, actor, "destination.create", &id).detail(detail)).await?;
        tx.commit().await?;
        Ok(row)
    }
}

async fn insert(tx: &mut Transaction, new: &NewDestination, version: u64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO destinations (domain, name, is_live, kind, state, url, topics, clients, retry, concurrency, \
               rate, ca, client_certificate, client_key, secret, created_at, changed_at, breaker, \
               version) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let (topics, clients) = (json!(new.topics).to_string(), json!(new.clients).to_string());
    let (retry, breaker) = (new.settings.retry.to_string(), json!(Breaker::default()).to_string());
    let values = [
        Value::Text(new.domain.as_str()),
        Value::Text(new.name.as_str()),
        Value::Text(new.kind.as_str()),
        Value::Text(DestinationState::Enabled.as_str()),
        Value::Text(&new.settings.url),
        Value::Text(&topics),
        Value::Text(&clients),
        Value::Text(&retry),
        Value::Int(new.settings.concurrency.into()),
        Value::int(new.settings.rate.map(i64::from)),
        Value::text(new.settings.ca.as_deref()),
        Value::text(new.settings.identity.as_ref().map(|(certificate, _)| certificate.as_str())),
        Value::blob(new.settings.identity.as_ref().map(|(_, key)| key.as_slice())),
        Value::blob(new.secret.as_deref()),
        Value::Time(now),
        Value::Time(now),
        Value::Text(&breaker),
        Value::unsigned(version),
    ];
    tx.execute(sql, values).await.map(drop)
}

/// A destination in a transaction, deleted or not.
pub(crate) async fn ever(tx: &mut Transaction, id: DestinationId) -> Result<Option<DestinationRow>, StoreError> {
    let row = tx.fetch_optional(EVER, [Value::Int(id.get())]).await?;
    row.as_ref().map(read).transpose()
}

/// Keeps a breaker. Nothing that routing asks for depends on it.
pub(crate) async fn keep_breaker(tx: &mut Transaction, id: DestinationId, breaker: &Breaker) -> Result<(), StoreError> {
    let text = json!(breaker).to_string();
    let values = [Value::Text(&text), Value::time(breaker.open_until()), Value::Int(id.get())];
    tx.execute("UPDATE destinations SET breaker = ?, breaker_until = ? WHERE id = ?", values).await.map(drop)
}
