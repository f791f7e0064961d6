//! Clients: who may submit. They are archived, never deleted, and stay in one domain for good.

use mb_core::{ClientName, ClientStatus, DomainName, Timestamp};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::domains;
use crate::error::StoreError;
use crate::settings::bump_policy;
use crate::value::{Row, Value};

/// A client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// Its name, also the CN of its certificates.
    pub name: ClientName,
    /// Its tenant.
    pub domain: DomainName,
    /// Whether it may act.
    pub status: ClientStatus,
    /// Since when it is known.
    pub created_at: Timestamp,
    /// When its status was last set.
    pub changed_at: Timestamp,
    /// Messages per 60 s, 0 for no limit; `None` is its domain's.
    pub rate_limit: Option<u32>,
}

/// Which clients to list; `None` matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientFilter {
    /// Tenant.
    pub domain: Option<DomainName>,
    /// Whether they may act; `None` leaves the archived ones out.
    pub status: Option<ClientStatus>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT name, domain, status, created_at, changed_at, rate_limit FROM clients ", $rest)
    };
}

const BY_NAME: &str = select!("WHERE name = ?");
const ALL: &str = select!("WHERE ? IS NULL OR domain = ? ORDER BY name");
const PAGE: &str = select!("WHERE name > ? AND (status = ? OR (? IS NULL AND status <> ?)) ORDER BY name LIMIT ?");
const PAGE_OF_DOMAIN: &str =
    select!("WHERE name > ? AND (status = ? OR (? IS NULL AND status <> ?)) AND domain = ? ORDER BY name LIMIT ?");

const REVOKED: &str = "SELECT EXISTS (SELECT 1 FROM certificates WHERE name = ?1 AND role = 'client' \
                       AND revoked_at IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM certificates WHERE name = ?1 \
                       AND role = 'client' AND revoked_at IS NULL AND not_after >= ?2)";

fn read(row: &Row) -> Result<Client, StoreError> {
    Ok(Client {
        name: row.client(0)?,
        domain: row.domain(1)?,
        status: ClientStatus::parse(row.text(2)?).ok_or(StoreError::Damaged("client status"))?,
        created_at: row.time(3)?,
        changed_at: row.time(4)?,
        rate_limit: row.optional_count(5)?,
    })
}

impl Store {
    /// Creates the client, and its domain, unless they are there. An existing client is returned as it is.
    ///
    /// # Errors
    /// [`StoreError::ClientElsewhere`] if it exists in another domain.
    pub async fn ensure_client(
        &self,
        name: &ClientName,
        domain: &DomainName,
        actor: &str,
    ) -> Result<Client, StoreError> {
        let mut tx = self.backend().begin().await?;
        if let Some(row) = tx.fetch_optional(BY_NAME, [Value::Text(name.as_str())]).await? {
            let client = read(&row)?;
            tx.rollback().await?;
            if client.domain == *domain {
                return Ok(client);
            }
            return Err(StoreError::ClientElsewhere { client: client.name, domain: client.domain });
        }
        domains::ensure(&mut tx, self, domain, actor).await?;
        let now = self.now();
        let client = Client {
            name: name.clone(),
            domain: domain.clone(),
            status: ClientStatus::Active,
            created_at: now,
            changed_at: now,
            rate_limit: None,
        };
        let values = [
            Value::Text(name.as_str()),
            Value::Text(domain.as_str()),
            Value::Text(client.status.as_str()),
            Value::Time(now),
            Value::Time(now),
        ];
        tx.execute("INSERT INTO clients (name, domain, status, created_at, changed_at) VALUES (?, ?, ?, ?, ?)", values)
            .await?;
        let change = Change::new(self, actor, "client.create", name.as_str());
        audit::insert(&mut tx, &change.detail(json!({ "domain": domain }))).await?;
        tx.commit().await?;
        Ok(client)
    }

    /// Whether all certificates of a client are revoked or over, and one at least is revoked.
    pub async fn client_is_revoked(&self, name: &ClientName) -> Result<bool, StoreError> {
        let values = [Value::Text(name.as_str()), Value::Time(self.now())];
        let row = self.backend().fetch_optional(REVOKED, values).await?;
        row.map_or(Ok(false), |row| Ok(row.int(0)? != 0))
    }

    /// A client by name.
    pub async fn client(&self, name: &ClientName) -> Result<Option<Client>, StoreError> {
        let row = self.backend().fetch_optional(BY_NAME, [Value::Text(name.as_str())]).await?;
        row.as_ref().map(read).transpose()
    }

    /// All clients by name, of one domain or of all.
    pub async fn clients(&self, domain: Option<&DomainName>) -> Result<Vec<Client>, StoreError> {
        let domain = Value::text(domain.map(DomainName::as_str));
        self.backend().fetch(ALL, [domain, domain]).await?.iter().map(read).collect()
    }

    /// At most `limit` clients that match, by name, behind the name `after` if given.
    pub async fn client_page(
        &self,
        filter: &ClientFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Client>, StoreError> {
        let status = Value::text(filter.status.map(ClientStatus::as_str));
        let archived = Value::Text(ClientStatus::Archived.as_str());
        let [after, limit] = [Value::name(after.unwrap_or_default()), Value::Int(limit.into())];
        let rows = match &filter.domain {
            None => self.backend().fetch(PAGE, [after, status, status, archived, limit]).await?,
            Some(domain) => {
                let values = [after, status, status, archived, Value::Text(domain.as_str()), limit];
                self.backend().fetch(PAGE_OF_DOMAIN, values).await?
            }
        };
        rows.iter().map(read).collect()
    }

    /// Sets how many messages per 60 s a client may send and, if that is a change, announces it to the edge; `None` if
    /// there is no such client.
    pub async fn set_client_rate_limit(
        &self,
        name: &ClientName,
        rate_limit: Option<u32>,
        actor: &str,
    ) -> Result<Option<Client>, StoreError> {
        let mut tx = self.backend().begin().await?;
        let row = tx.fetch_optional(BY_NAME, [Value::Text(name.as_str())]).await?;
        let Some(client) = row.as_ref().map(read).transpose()?.filter(|client| client.rate_limit != rate_limit) else {
            tx.rollback().await?;
            return row.as_ref().map(read).transpose();
        };
        let values = [Value::int(rate_limit.map(i64::from)), Value::Text(name.as_str())];
        tx.execute("UPDATE clients SET rate_limit = ? WHERE name = ?", values).await?;
        let change = Change::new(self, actor, "client.set_rate_limit", name.as_str());
        let detail = json!({ "from": client.rate_limit, "to": rate_limit });
        audit::insert(&mut tx, &change.detail(detail)).await?;
        bump_policy(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(Client { rate_limit, ..client }))
    }

    /// Sets a client's status and, if that is a change, announces it to the edge; `None` if there is no such client.
    pub async fn set_client_status(
        &self,
        name: &ClientName,
        status: ClientStatus,
        actor: &str,
    ) -> Result<Option<Client>, StoreError> {
        let mut tx = self.backend().begin().await?;
        let row = tx.fetch_optional(BY_NAME, [Value::Text(name.as_str())]).await?;
        let Some(mut client) = row.as_ref().map(read).transpose()?.filter(|client| client.status != status) else {
            tx.rollback().await?;
            return row.as_ref().map(read).transpose();
        };
        let change = Change::new(self, actor, "client.set_status", name.as_str());
        let change = change.detail(json!({ "from": client.status.as_str(), "to": status.as_str() }));
        client.status = status;
        client.changed_at = self.now();
        let values = [Value::Text(status.as_str()), Value::Time(client.changed_at), Value::Text(name.as_str())];
        tx.execute("UPDATE clients SET status = ?, changed_at = ? WHERE name = ?", values).await?;
        audit::insert(&mut tx, &change).await?;
        bump_policy(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(client))
    }
}
