//! Revocations that a restored store lacks and the proxies still hold. For a while after a new epoch they are merged back,
//! so that a restore makes no certificate good again; at other times nobody but an admin revokes, and a proxy is told what
//! of its word stays open: a main server may run on a restored database for a while before it is given its new epoch.
//! Messages that were expunged go the same way (`deliveries/expunging.rs`). A revocation list that this installation has
//! signed is its own word, and is taken back at any time.
//!
//! Whoever is revoked may have renewed meanwhile. What was renewed over a certificate goes with it, in the same
//! transaction, and until every proxy has told what it knows nobody renews.

use std::collections::BTreeMap;
use std::time::Duration;

use mb_core::policy::{CertificateRef, HORIZON};
use mb_core::{Role, Timestamp, hex};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::revoked::RevokedCertificate;
use crate::settings::{self, bump_policy};
use crate::value::Value;

/// How long after a new epoch revocations are merged back: every proxy was asked for its policy by then, or is away for so
/// long that its own policy is stale.
const MERGING: Duration = Duration::from_hours(7 * 24);

/// How long a certificate counts as valid that the store knows nothing of: as long as any is.
const LONGEST: Duration = Duration::from_hours(24 * 3653);

const SINCE: &str = "epoch_at";
/// The policy's version with which the epoch was announced.
const ANNOUNCED: &str = "epoch_policy_version";
/// What the audit log says of it.
pub(crate) const REASON: &str = "merged back from a proxy after a restore";

/// What the audit log says of what was renewed over one that is revoked again.
const RENEWED: &str = "renewed over a certificate that was revoked";

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
            // Nobody says since when it is revoked: all that was renewed over it is in doubt.
            let again = Again { certificate, at: now, reason: REASON, renewed_after: Timestamp::from_micros(0) };
            merged += again.revoke(&mut tx, self, actor).await?;
        }
        Ok(Merged { count: finish(tx, merged).await?, open: Vec::new() })
    }

    /// Revokes again what a revocation list names that this installation has signed: nothing leaves a list but by its end.
    /// How many that were, with what was renewed over them since.
    pub async fn revoke_listed(&self, listed: &[RevokedCertificate], actor: &str) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin().await?;
        let mut merged = 0;
        for RevokedCertificate { issuer, serial, at, reason } in listed {
            let certificate = &CertificateRef { issuer: *issuer, serial: serial.clone() };
            merged += Again { certificate, at: *at, reason, renewed_after: *at }.revoke(&mut tx, self, actor).await?;
        }
        finish(tx, merged).await
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
    settings::put(tx, SINCE, &now.micros().to_be_bytes()).await
}

/// Notes with which version of the policy the epoch was announced.
pub(crate) async fn note_announced(tx: &mut Transaction, version: u64) -> Result<(), StoreError> {
    settings::put(tx, ANNOUNCED, &version.to_be_bytes()).await
}

/// When the epoch began; nothing for the one that the store was made with.
pub(crate) async fn began(tx: &mut Transaction) -> Result<Option<Timestamp>, StoreError> {
    let bytes = settings::in_transaction(tx, SINCE).await?.and_then(|bytes| bytes.try_into().ok());
    Ok(bytes.map(|bytes| Timestamp::from_micros(i64::from_be_bytes(bytes))))
}

/// The proxies that may know of revocations from before this epoch and have not told yet, by name; none if it did not begin
/// lately. A proxy says that it holds the new epoch's policy only once it has told what it knows.
pub(crate) async fn awaited(tx: &mut Transaction, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let Some(began) = began(tx).await?.filter(|began| now.since(*began) <= MERGING) else { return Ok(Vec::new()) };
    let announced = settings::in_transaction(tx, ANNOUNCED).await?.and_then(|bytes| bytes.try_into().ok());
    let Some(announced) = announced.map(u64::from_be_bytes) else { return Ok(Vec::new()) };
    let mut told = BTreeMap::new();
    for row in tx.fetch("SELECT id, policy_version FROM proxies", []).await? {
        told.insert(row.text(0)?.to_owned(), row.optional_int(1)?.and_then(|held| u64::try_from(held).ok()));
    }
    // The same proxy is known by its whole id here and by the head of it there.
    let known = "SELECT reporter, name FROM key_reports WHERE role = ? AND reported_at >= ? ORDER BY name, reporter";
    let values = [Value::Text(Role::Proxy.as_str()), Value::Time(began.minus(HORIZON))];
    let mut awaited = Vec::new();
    for row in tx.fetch(known, values).await? {
        let id = hex::encode(&row.array::<16>(0)?[..8]);
        if told.get(&id).copied().flatten().is_none_or(|held| held < announced) {
            awaited.push(row.text(1)?.to_owned());
        }
    }
    Ok(awaited)
}

async fn finish(mut tx: Transaction, merged: u64) -> Result<u64, StoreError> {
    if merged == 0 {
        tx.rollback().await?;
    } else {
        bump_policy(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(merged)
}

/// A certificate that is to be revoked again.
struct Again<'a> {
    certificate: &'a CertificateRef,
    /// What the store keeps as the time of it.
    at: Timestamp,
    reason: &'a str,
    /// What was renewed over it from then on is revoked with it.
    renewed_after: Timestamp,
}

impl Again<'_> {
    /// How many were revoked: none if it was, else it and its successors.
    async fn revoke(&self, tx: &mut Transaction, store: &Store, actor: &str) -> Result<u64, StoreError> {
        if !self.revoke_one(tx, store.now()).await? {
            return Ok(0);
        }
        note(tx, store, &self.certificate.serial, self.reason, actor).await?;
        let (mut count, mut next) = (1, vec![self.certificate.serial.clone()]);
        let find = "SELECT issuer, serial FROM certificates WHERE renewed_from = ? AND revoked_at IS NULL \
                    AND created_at >= ?";
        let sql = "UPDATE certificates SET revoked_at = ?, revocation_reason = ? WHERE issuer = ? AND serial = ?";
        // What is revoked is not found again, so this ends.
        while let Some(serial) = next.pop() {
            for row in tx.fetch(find, [Value::Blob(&serial), Value::Time(self.renewed_after)]).await? {
                let key = [Value::Blob(row.blob(0)?), Value::Blob(row.blob(1)?)];
                tx.execute(sql, [Value::Time(self.at), Value::Text(RENEWED), key[0], key[1]]).await?;
                note(tx, store, row.blob(1)?, RENEWED, actor).await?;
                count += 1;
                next.push(row.blob(1)?.to_vec());
            }
        }
        Ok(count)
    }

    /// Revokes one that is not; of one that the store does not know it keeps what is known of it.
    async fn revoke_one(&self, tx: &mut Transaction, now: Timestamp) -> Result<bool, StoreError> {
        let (issuer, serial) = (Value::Blob(&self.certificate.issuer), Value::Blob(&self.certificate.serial));
        let find = "SELECT revoked_at FROM certificates WHERE issuer = ? AND serial = ?";
        if let Some(row) = tx.fetch_optional(find, [issuer, serial]).await? {
            if row.optional_time(0)?.is_some() {
                return Ok(false);
            }
            let sql = "UPDATE certificates SET revoked_at = ?, revocation_reason = ? WHERE issuer = ? AND serial = ?";
            tx.execute(sql, [Value::Time(self.at), Value::Text(self.reason), issuer, serial]).await?;
            return Ok(true);
        }
        // No fingerprint is known; the column takes each once, and a real one is hexadecimal.
        let fingerprint = format!("unknown:{}", hex::encode(&self.certificate.serial));
        let sql = "INSERT INTO certificates (issuer, serial, fingerprint, name, role, domain, not_before, not_after, \
                   certificate_pem, created_at, revoked_at, revocation_reason) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
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
            Value::Time(self.at),
            Value::Text(self.reason),
        ];
        tx.execute(sql, values).await?;
        Ok(true)
    }
}

async fn note(tx: &mut Transaction, store: &Store, serial: &[u8], reason: &str, actor: &str) -> Result<(), StoreError> {
    let serial = hex::encode(serial);
    let change = Change::new(store, actor, "certificate.revoke", &serial);
    audit::insert(tx, &change.detail(json!({ "reason": reason }))).await
}
