//! Domains: the tenants.

use mb_core::{DomainName, Timestamp};

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::value::Value;

/// A tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Domain {
    /// Its name.
    pub name: DomainName,
    /// Since when.
    pub created_at: Timestamp,
}

impl Store {
    /// Creates the domain unless it is there; whether it was created.
    pub async fn ensure_domain(&self, name: &DomainName, actor: &str) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let created = ensure(&mut tx, self, name, actor).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// All domains by name.
    pub async fn domains(&self) -> Result<Vec<Domain>, StoreError> {
        let rows = self.backend().fetch("SELECT name, created_at FROM domains ORDER BY name", []).await?;
        rows.iter().map(|row| Ok(Domain { name: row.domain(0)?, created_at: row.time(1)? })).collect()
    }
}

pub(crate) async fn ensure(
    tx: &mut Transaction,
    store: &Store,
    name: &DomainName,
    actor: &str,
) -> Result<bool, StoreError> {
    let found = tx.fetch_optional("SELECT 1 FROM domains WHERE name = ?", [Value::Text(name.as_str())]).await?;
    if found.is_some() {
        return Ok(false);
    }
    let values = [Value::Text(name.as_str()), Value::Time(store.now())];
    tx.execute("INSERT INTO domains (name, created_at) VALUES (?, ?)", values).await?;
    audit::insert(tx, &Change::new(store, actor, "domain.create", name.as_str())).await?;
    Ok(true)
}
