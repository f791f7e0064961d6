//! Revocations that a restored store lacks and the proxies still hold. For a while after a new epoch they are merged back,
//! so that a restore makes no certificate good again; at other times nobody but an admin revokes, and a proxy is told what
//! of its word stays open: a main server may run on a restored database for a while before it is given its new epoch.
//! Messages that were expunged go the same way (`deliveries/expunging.rs`).

use std::time::Duration;

use mb_core::policy::CertificateRef;
use mb_core::{Role, Timestamp};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::settings::bump_policy;
use crate::value::Value;

/// How long after a new epoch revocations are merged back: every proxy was asked for its policy by then, or is away for so
/// long that its own policy is stale.
const MERGING: Duration = Duration::from_hours(7 * 24);

/// How long a certificate counts as valid that the store knows nothing of: as long as any is.
const LONGEST: Duration = Duration::from_hours(24 * 3653);

const SINCE: &str = "epoch_at";
/// What the audit log says of it.
pub(crate) const REASON: &str = "merged back from a proxy after a restore";

/// What became of revocations that a proxy told of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Merged {
    /// How many the store did not know.
    pub count: u64,
    /// Certificates that are good here, and stay so until an epoch begins: nothing was changed.
    pub open: Vec<CertificateRef>,
}

impl Store {
    /// Revokes again what a proxy knows as revoked, if an epoch began lately.
    pub async fn merge_revocations(&self, known: &[CertificateRef], actor: &str) -> Result<Merged, StoreError> {
        let now = self.now();
        if !is_time(self).await? {
            return Ok(Merged { count: 0, open: self.not_known_as_ended(known).await? });
        }
        let mut tx = self.backend().begin().await?;
        let mut merged = 0;
        for certificate in known {
            if revoke(&mut tx, certificate, now).await? {
                merged += 1;
                let serial = mb_core::hex::encode(&certificate.serial);
                let change = Change::new(self, actor, "certificate.revoke", &serial);
                audit::insert(&mut tx, &change.detail(json!({ "reason": REASON }))).await?;
            }
        }
        if merged == 0 {
            tx.rollback().await?;
            return Ok(Merged::default());
        }
        bump_policy(&mut tx).await?;
        tx.commit().await?;
        Ok(Merged { count: merged, open: Vec::new() })
    }

    /// Those that are neither revoked nor expired here.
    async fn not_known_as_ended(&self, known: &[CertificateRef]) -> Result<Vec<CertificateRef>, StoreError> {
        let (sql, now) = ("SELECT revoked_at, not_after FROM certificates WHERE issuer = ? AND serial = ?", self.now());
        let mut open = Vec::new();
        for certificate in known {
            let values = [Value::Blob(&certificate.issuer), Value::Blob(&certificate.serial)];
            let ended = match self.backend().fetch_optional(sql, values).await? {
                Some(row) => row.optional_time(0)?.is_some() || row.time(1)? < now,
                None => false,
            };
            if !ended {
                open.push(certificate.clone());
            }
        }
        Ok(open)
    }
}

/// Whether an epoch began lately.
pub(crate) async fn is_time(store: &Store) -> Result<bool, StoreError> {
    let began = store.setting(SINCE).await?.and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)));
    Ok(began.is_some_and(|began| store.now().since(Timestamp::from_micros(began)) <= MERGING))
}

/// Notes when the epoch began, in the transaction that mints it.
pub(crate) async fn note_epoch(tx: &mut Transaction, now: Timestamp) -> Result<(), StoreError> {
    let at = now.micros().to_be_bytes();
    let values = [Value::Blob(&at), Value::Text(SINCE)];
    if tx.execute("UPDATE settings SET value = ? WHERE name = ?", values).await? == 0 {
        tx.execute("INSERT INTO settings (value, name) VALUES (?, ?)", values).await?;
    }
    Ok(())
}

/// Revokes one that is not; of one that the store does not know it keeps what is known of it.
async fn revoke(tx: &mut Transaction, certificate: &CertificateRef, now: Timestamp) -> Result<bool, StoreError> {
    let (issuer, serial) = (Value::Blob(&certificate.issuer), Value::Blob(&certificate.serial));
    let find = "SELECT revoked_at FROM certificates WHERE issuer = ? AND serial = ?";
    if let Some(row) = tx.fetch_optional(find, [issuer, serial]).await? {
        if row.optional_time(0)?.is_some() {
            return Ok(false);
        }
        let sql = "UPDATE certificates SET revoked_at = ?, revocation_reason = ? WHERE issuer = ? AND serial = ?";
        tx.execute(sql, [Value::Time(now), Value::Text(REASON), issuer, serial]).await?;
        return Ok(true);
    }
    // No fingerprint is known; the column takes each once, and a real one is hexadecimal.
    let fingerprint = format!("unknown:{}", mb_core::hex::encode(&certificate.serial));
    let sql = "INSERT INTO certificates (issuer, serial, fingerprint, name, role, domain, not_before, not_after, \
               certificate_pem, created_at, revoked_at, revocation_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = [
        issuer,
        serial,
        Value::Text(&fingerprint[..fingerprint.len().min(64)]),
        Value::Text("unknown"),
        Value::Text(Role::Client.as_str()),
        Value::Null,
        Value::Time(now),
        Value::Time(now.plus(LONGEST)),
        Value::Text(""),
        Value::Time(now),
        Value::Time(now),
        Value::Text(REASON),
    ];
    tx.execute(sql, values).await?;
    Ok(true)
}
