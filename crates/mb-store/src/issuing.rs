//! Recording what was issued. Whether it may be is looked at in the transaction that records it: a certificate that is
//! renewed, a client and a token can be taken out of service until then, and what was not recorded is handed to nobody.
//!
//! Revoking, suspending and this take turns, across all main servers of one database (`mysql.rs`), so whoever comes second
//! sees what the first one has done.

use mb_core::{ClientStatus, DomainName, Role};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::certificates::{CertificateRow, read};
use crate::clients;
use crate::enrolment;
use crate::error::StoreError;
use crate::merging;
use crate::value::Value;

/// Valid certificates that followed one, beyond which no other does: somebody renews in a loop. Other holders of the name
/// are none the worse for it.
const MAX_SUCCESSORS: i64 = 10;

/// On what ground a certificate is issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ground<'a> {
    /// An administrator ordered it.
    Order,
    /// Its holder asked over another one, which it follows.
    Renewal {
        /// The other one's issuer.
        issuer: &'a [u8; 16],
        /// The other one's serial number.
        serial: &'a [u8],
    },
    /// An administrator ordered one that follows another.
    Reissue {
        /// The other one's issuer.
        issuer: &'a [u8; 16],
        /// The other one's serial number.
        serial: &'a [u8],
    },
    /// Somebody came with a token.
    Token {
        /// The token's SHA-256.
        digest: &'a [u8; 32],
        /// SHA-256 of the key in the request.
        key: &'a [u8; 32],
    },
}

/// What became of a certificate that was to be recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recorded {
    /// It is recorded, and may be handed out.
    Done,
    /// The token was used for this one before, by the same key.
    Before(Box<CertificateRow>),
    /// The client may not act.
    Inactive(ClientStatus),
    /// The one that it was to follow is revoked.
    Revoked,
    /// So many valid ones follow that one already.
    TooMany(i64),
    /// The store was restored, and these proxies have not told yet what they know as revoked.
    Awaited(Vec<String>),
    /// The store does not know the one that it was to follow, and was never restored.
    Unknown,
    /// There is no such token any more, or another key has used it.
    NoToken,
}

const INSERT: &str = "INSERT INTO certificates (issuer, serial, fingerprint, name, role, domain, not_before, not_after, \
                      certificate_pem, created_at, revoked_at, revocation_reason, renewed_from) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const BY_FINGERPRINT: &str = "SELECT issuer, serial, fingerprint, name, role, domain, not_before, not_after, \
                              certificate_pem, revoked_at, revocation_reason, id FROM certificates WHERE fingerprint = ?";

impl Store {
    /// Records an issued certificate if the ground for it still holds.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if its issuer and serial number, or its fingerprint, are there already.
    pub async fn record_certificate(
        &self,
        row: &CertificateRow,
        ground: Ground<'_>,
        actor: &str,
    ) -> Result<Recorded, StoreError> {
        let mut tx = self.backend().begin().await?;
        if let Some(refused) = refusal(&mut tx, self, row, ground).await? {
            tx.rollback().await?;
            return Ok(refused);
        }
        if let Err(error) = insert(&mut tx, self, row, ground).await {
            tx.rollback().await?;
            return Err(if error.is_unique_violation() { StoreError::Exists("certificate") } else { error });
        }
        if let Ground::Token { digest, key } = ground {
            enrolment::note(&mut tx, digest, key, &row.fingerprint, self.now()).await?;
        }
        let mut detail = json!({ "role": row.role, "domain": row.domain, "fingerprint": row.fingerprint });
        if let Ground::Renewal { serial, .. } | Ground::Reissue { serial, .. } = ground {
            detail["renewed_from"] = mb_core::hex::encode(serial).into();
        }
        audit::insert(&mut tx, &Change::new(self, actor, "certificate.issue", &row.name).detail(detail)).await?;
        tx.commit().await?;
        Ok(Recorded::Done)
    }
}

/// Why it may not be recorded, or need not.
async fn refusal(
    tx: &mut Transaction,
    store: &Store,
    row: &CertificateRow,
    ground: Ground<'_>,
) -> Result<Option<Recorded>, StoreError> {
    // A repeat of what was done is answered as before; whether the certificate is good is asked when it is used.
    if let Ground::Token { digest, key } = ground {
        let Some(token) = enrolment::find(tx, digest, store.now()).await? else { return Ok(Some(Recorded::NoToken)) };
        if token.key.is_some_and(|first| first != *key) {
            return Ok(Some(Recorded::NoToken));
        }
        if let Some(fingerprint) = token.issued {
            let before = tx.fetch_optional(BY_FINGERPRINT, [Value::Text(&fingerprint)]).await?;
            let before = read(&before.ok_or(StoreError::Missing("certificate of a token"))?)?;
            return Ok(Some(Recorded::Before(Box::new(before))));
        }
    }
    if row.role.has_domain() {
        let status = clients::status(tx, &row.name).await?;
        if let Some(status) = status.filter(|status| *status != ClientStatus::Active) {
            return Ok(Some(Recorded::Inactive(status)));
        }
    }
    match ground {
        Ground::Order | Ground::Token { .. } => Ok(None),
        Ground::Reissue { issuer, serial } => {
            Ok((held(tx, issuer, serial).await? == Some(Held::Revoked)).then_some(Recorded::Revoked))
        }
        Ground::Renewal { issuer, serial } => renewal_refusal(tx, store, issuer, serial).await,
    }
}

/// How the store knows the certificate that another one is to follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Good,
    Revoked,
}

async fn held(tx: &mut Transaction, issuer: &[u8; 16], serial: &[u8]) -> Result<Option<Held>, StoreError> {
    let sql = "SELECT revoked_at FROM certificates WHERE issuer = ? AND serial = ?";
    let Some(row) = tx.fetch_optional(sql, [Value::Blob(issuer), Value::Blob(serial)]).await? else { return Ok(None) };
    Ok(Some(if row.optional_time(0)?.is_some() { Held::Revoked } else { Held::Good }))
}

/// Why the holder of a certificate gets none that follows it.
async fn renewal_refusal(
    tx: &mut Transaction,
    store: &Store,
    issuer: &[u8; 16],
    serial: &[u8],
) -> Result<Option<Recorded>, StoreError> {
    let held = held(tx, issuer, serial).await?;
    if held == Some(Held::Revoked) {
        return Ok(Some(Recorded::Revoked));
    }
    let awaited = merging::awaited(tx, store.now()).await?;
    if !awaited.is_empty() {
        return Ok(Some(Recorded::Awaited(awaited)));
    }
    // A restored store does not know what was issued after its backup. Any other one knows whatever was issued.
    if held.is_none() && merging::began(tx).await?.is_none() {
        return Ok(Some(Recorded::Unknown));
    }
    let followed = "SELECT COUNT(*) FROM certificates WHERE renewed_from = ? AND revoked_at IS NULL AND not_after >= ?";
    let followed = tx.fetch_optional(followed, [Value::Blob(serial), Value::Time(store.now())]).await?;
    let followed = followed.map_or(Ok(0), |row| row.int(0))?;
    Ok((followed >= MAX_SUCCESSORS).then_some(Recorded::TooMany(followed)))
}

async fn insert(
    tx: &mut Transaction,
    store: &Store,
    row: &CertificateRow,
    ground: Ground<'_>,
) -> Result<u64, StoreError> {
    let renewed_from = match ground {
        Ground::Renewal { serial, .. } | Ground::Reissue { serial, .. } => Value::Blob(serial),
        Ground::Order | Ground::Token { .. } => Value::Null,
    };
    let values = [
        Value::Blob(&row.issuer),
        Value::Blob(&row.serial),
        Value::Text(&row.fingerprint),
        Value::Text(&row.name),
        Value::Text(Role::as_str(row.role)),
        Value::text(row.domain.as_ref().map(DomainName::as_str)),
        Value::Time(row.not_before),
        Value::Time(row.not_after),
        Value::Text(&row.certificate_pem),
        Value::Time(store.now()),
        Value::time(row.revocation.as_ref().map(|revocation| revocation.at)),
        Value::text(row.revocation.as_ref().map(|revocation| revocation.reason.as_str())),
        renewed_from,
    ];
    tx.execute(INSERT, values).await
}
