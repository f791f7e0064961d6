//! What time has ended is removed in bounded steps. It had ended before: a read takes none of it for good.

use crate::Store;
use crate::error::StoreError;
use crate::value::{Row, Value};

const OVER: [(&str, &str); 5] = [
    ("SELECT id FROM sessions WHERE expires_at <= ? LIMIT ?", "DELETE FROM sessions WHERE id = ?"),
    ("SELECT id FROM sessions WHERE idle_until <= ? LIMIT ?", "DELETE FROM sessions WHERE id = ?"),
    ("SELECT id FROM refresh_tokens WHERE expires_at <= ? LIMIT ?", "DELETE FROM refresh_tokens WHERE id = ?"),
    ("SELECT id FROM enrolment_tokens WHERE expires_at <= ? LIMIT ?", "DELETE FROM enrolment_tokens WHERE id = ?"),
    ("SELECT id FROM reset_tokens WHERE expires_at <= ? LIMIT ?", "DELETE FROM reset_tokens WHERE id = ?"),
];

/// Sessions have bytes for an id, tokens a number.
fn id(row: &Row) -> Result<Value<'_>, StoreError> {
    match row.optional_blob(0) {
        Ok(Some(bytes)) => Ok(Value::Blob(bytes)),
        _ => row.int(0).map(Value::Int),
    }
}

impl Store {
    /// Removes at most `limit` each of expired and idle sessions, refresh, enrolment and reset tokens; how many rows that was.
    /// There may be more as long as it is not 0. That time has passed is nobody's deed, so it has no audit row.
    pub async fn purge_expired(&self, limit: u32) -> Result<u64, StoreError> {
        let values = [Value::Time(self.now()), Value::Int(limit.into())];
        let mut removed = 0;
        for (over, delete) in OVER {
            if self.backend().fetch_optional(over, [values[0], Value::Int(1)]).await?.is_none() {
                continue;
            }
            let mut tx = self.backend().begin().await?;
            for row in tx.fetch(over, values).await? {
                removed += tx.execute(delete, [id(&row)?]).await?;
            }
            tx.commit().await?;
        }
        Ok(removed)
    }
}
