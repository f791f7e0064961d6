//! Domains: the tenants, and the rules that each sets for its clients. Rules that the edge must know are announced to it
//! by the policy's version, in the transaction of their change.

use mb_core::{DomainName, DomainRules, SenderRule, Timestamp};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::settings::bump_policy;
use crate::value::{Row, Value};

/// A tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Domain {
    /// Its name.
    pub name: DomainName,
    /// Since when.
    pub created_at: Timestamp,
    /// What it sets for its clients.
    pub rules: DomainRules,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT name, created_at, sender_number, body_limit, rate_limit, retention_days, body_retention_days \
             FROM domains ",
            $rest
        )
    };
}

const BY_NAME: &str = select!("WHERE name = ?");
const ALL: &str = select!("ORDER BY name");
const PAGE: &str = select!("WHERE name > ? ORDER BY name LIMIT ?");

/// The domains that differ from the default in what the edge must know.
pub(crate) const WITH_RULES: &str =
    select!("WHERE sender_number <> 'required' OR body_limit <> 1000 OR rate_limit IS NOT NULL");

pub(crate) fn read(row: &Row) -> Result<Domain, StoreError> {
    Ok(Domain {
        name: row.domain(0)?,
        created_at: row.time(1)?,
        rules: DomainRules {
            sender_number: SenderRule::parse(row.text(2)?).ok_or(StoreError::Damaged("sender rule"))?,
            body_limit: row.optional_count(3)?.ok_or(StoreError::Damaged("body limit"))?,
            rate_limit: row.optional_count(4)?,
            retention_days: row.optional_count(5)?,
            body_retention_days: row.optional_count(6)?,
        },
    })
}

impl Store {
    /// Creates the domain unless it is there; whether it was created.
    pub async fn ensure_domain(&self, name: &DomainName, actor: &str) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let created = ensure(&mut tx, self, name, actor).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// A domain by name.
    pub async fn domain(&self, name: &DomainName) -> Result<Option<Domain>, StoreError> {
        let row = self.backend().fetch_optional(BY_NAME, [Value::Text(name.as_str())]).await?;
        row.as_ref().map(read).transpose()
    }

    /// All domains by name.
    pub async fn domains(&self) -> Result<Vec<Domain>, StoreError> {
        self.backend().fetch(ALL, []).await?.iter().map(read).collect()
    }

    /// At most `limit` domains by name, behind the name `after` if given.
    pub async fn domain_page(&self, after: Option<&str>, limit: u32) -> Result<Vec<Domain>, StoreError> {
        let values = [Value::name(after.unwrap_or_default()), Value::Int(limit.into())];
        self.backend().fetch(PAGE, values).await?.iter().map(read).collect()
    }

    /// Sets a domain's rules and, if that is a change, announces it to the edge; `None` if there is no such domain.
    pub async fn set_domain_rules(
        &self,
        name: &DomainName,
        rules: &DomainRules,
        actor: &str,
    ) -> Result<Option<Domain>, StoreError> {
        let mut tx = self.backend().begin().await?;
        let row = tx.fetch_optional(BY_NAME, [Value::Text(name.as_str())]).await?;
        let Some(domain) = row.as_ref().map(read).transpose()?.filter(|domain| domain.rules != *rules) else {
            tx.rollback().await?;
            return row.as_ref().map(read).transpose();
        };
        let sql = "UPDATE domains SET sender_number = ?, body_limit = ?, rate_limit = ?, retention_days = ?, \
                   body_retention_days = ? WHERE name = ?";
        let values = [
            Value::Text(rules.sender_number.as_str()),
            Value::Int(rules.body_limit.into()),
            Value::int(rules.rate_limit.map(i64::from)),
            Value::int(rules.retention_days.map(i64::from)),
            Value::int(rules.body_retention_days.map(i64::from)),
            Value::Text(name.as_str()),
        ];
        tx.execute(sql, values).await?;
        let change = Change::new(self, actor, "domain.set_rules", name.as_str());
        audit::insert(&mut tx, &change.detail(json!({ "from": domain.rules, "to": rules }))).await?;
        bump_policy(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(Domain { rules: *rules, ..domain }))
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
