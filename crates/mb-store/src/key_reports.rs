//! Which master keys each process says that it needs or has. A report takes the place of the one before by the same
//! process; it changes nothing that a person decides, so it has no audit row. That one is forgotten is a person's word.

use std::collections::BTreeSet;

use mb_core::{KeyId, Role, Timestamp};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::error::StoreError;
use crate::value::{Row, Value};

/// What a process last said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyReport {
    /// Names the process, or the journal that it works on, for good.
    pub reporter: KeyId,
    /// Of a proxy: the keys that something in its journal needs, or may come to need. Of a main server: those that it has.
    pub role: Role,
    /// The name in its certificate, or the machine's.
    pub name: String,
    /// The keys.
    pub master_keys: BTreeSet<KeyId>,
    /// When it said so.
    pub reported_at: Timestamp,
}

fn read(row: &Row) -> Result<KeyReport, StoreError> {
    let (ids, rest) = row.blob(3)?.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(StoreError::Damaged("key report"));
    }
    Ok(KeyReport {
        reporter: row.key_id(0)?,
        role: Role::parse(row.text(1)?).ok_or(StoreError::Damaged("key report"))?,
        name: row.text(2)?.to_owned(),
        master_keys: ids.iter().copied().map(KeyId::from_bytes).collect(),
        reported_at: row.time(4)?,
    })
}

impl Store {
    /// Stores a report at the store's time.
    pub async fn report_keys(&self, report: &KeyReport) -> Result<(), StoreError> {
        let keys = report.master_keys.iter().flat_map(KeyId::as_bytes).copied().collect::<Vec<_>>();
        let values = [
            Value::Text(report.role.as_str()),
            Value::Text(&report.name),
            Value::Blob(&keys),
            Value::Time(self.now()),
            Value::Blob(report.reporter.as_bytes()),
        ];
        let update = "UPDATE key_reports SET role = ?, name = ?, master_keys = ?, reported_at = ? WHERE reporter = ?";
        let insert = "INSERT INTO key_reports (role, name, master_keys, reported_at, reporter) VALUES (?, ?, ?, ?, ?)";
        let mut tx = self.backend().begin().await?;
        if tx.execute(update, values).await? == 0 {
            tx.execute(insert, values).await?;
        }
        tx.commit().await
    }

    /// All reports, by role and name.
    pub async fn key_reports(&self) -> Result<Vec<KeyReport>, StoreError> {
        let sql =
            "SELECT reporter, role, name, master_keys, reported_at FROM key_reports ORDER BY role, name, reporter";
        self.backend().fetch(sql, []).await?.iter().map(read).collect()
    }

    /// Forgets a process that is no more, with all that it kept; whether it was known.
    pub async fn forget_key_report(&self, reporter: KeyId, actor: &str) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        if tx.execute("DELETE FROM key_reports WHERE reporter = ?", [Value::Blob(reporter.as_bytes())]).await? == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        let object = reporter.to_string();
        audit::insert(&mut tx, &Change::new(self, actor, "keys.forget_proxy", &object).detail(json!({}))).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes what main servers said before `before`: each process has an id of its own and says it again and again.
    pub async fn sweep_key_reports(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin().await?;
        let values = [Value::Text(Role::Server.as_str()), Value::Time(before)];
        let removed = tx.execute("DELETE FROM key_reports WHERE role = ? AND reported_at < ?", values).await?;
        tx.commit().await?;
        Ok(removed)
    }
}
