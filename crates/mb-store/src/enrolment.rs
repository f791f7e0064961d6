//! Tokens with which somebody who has no certificate yet gets one. A token is used by the key in the first signing request
//! that comes with it, in the transaction that records the certificate: a repeat gets the same one, and another key none.

use mb_core::{DomainName, Role, Timestamp};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::value::{Row, Value};

/// A token to store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEnrolment {
    /// Its SHA-256.
    pub digest: [u8; 32],
    /// What it entitles to.
    pub terms: EnrolmentTerms,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What certificate a token is good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnrolmentTerms {
    /// CN.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Tenant, for roles that have one.
    pub domain: Option<DomainName>,
    /// Days; `None` = the default.
    pub validity_days: Option<u32>,
}

/// A token that is good at the moment, or was used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrolment {
    /// What it entitles to.
    pub terms: EnrolmentTerms,
    /// The digest of the key that it was used for.
    pub key: Option<[u8; 32]>,
    /// The certificate that was issued for it, by its fingerprint.
    pub issued: Option<String>,
}

const BY_DIGEST: &str = "SELECT name, role, domain, validity_days, expires_at, request_digest, fingerprint \
                         FROM enrolment_tokens WHERE digest = ?";

fn terms(row: &Row) -> Result<EnrolmentTerms, StoreError> {
    Ok(EnrolmentTerms {
        name: row.text(0)?.to_owned(),
        role: Role::parse(row.text(1)?).ok_or(StoreError::Damaged("enrolment role"))?,
        domain: row.optional_text(2)?.is_some().then(|| row.domain(2)).transpose()?,
        validity_days: row.optional_count(3)?,
    })
}

impl Store {
    /// Stores a token; earlier ones of the same name that were not used are good no more.
    pub async fn create_enrolment(&self, new: &NewEnrolment, actor: &str) -> Result<(), StoreError> {
        let EnrolmentTerms { name, role, domain, validity_days } = &new.terms;
        let mut tx = self.backend().begin().await?;
        let unused = "DELETE FROM enrolment_tokens WHERE name = ? AND used_at IS NULL";
        tx.execute(unused, [Value::Text(name)]).await?;
        let sql = "INSERT INTO enrolment_tokens (digest, name, role, domain, validity_days, created_at, expires_at) \
                   VALUES (?, ?, ?, ?, ?, ?, ?)";
        let values = [
            Value::Blob(&new.digest),
            Value::Text(name),
            Value::Text(role.as_str()),
            Value::text(domain.as_ref().map(DomainName::as_str)),
            Value::int(validity_days.map(i64::from)),
            Value::Time(self.now()),
            Value::Time(new.expires_at),
        ];
        tx.execute(sql, values).await?;
        let detail = json!({ "role": role, "domain": domain, "expires_at": new.expires_at });
        audit::insert(&mut tx, &Change::new(self, actor, "enrolment.create", name).detail(detail)).await?;
        tx.commit().await
    }

    /// Ends the tokens of a name in these roles that have no certificate yet; how many.
    pub async fn void_enrolments(&self, name: &str, roles: &[Role], actor: &str) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin().await?;
        let voided = void(&mut tx, self, name, roles, actor).await?;
        tx.commit().await?;
        Ok(voided)
    }

    /// The token with this digest, unless its time is over.
    pub async fn enrolment(&self, digest: &[u8; 32]) -> Result<Option<Enrolment>, StoreError> {
        let row = self.backend().fetch_optional(BY_DIGEST, [Value::Blob(digest)]).await?;
        row.map(|row| current(&row, self.now())).transpose().map(Option::flatten)
    }
}

fn current(row: &Row, now: Timestamp) -> Result<Option<Enrolment>, StoreError> {
    if now >= row.time(4)? {
        return Ok(None);
    }
    let key = row.optional_blob(5)?.is_some().then(|| row.array(5)).transpose()?;
    Ok(Some(Enrolment { terms: terms(row)?, key, issued: row.optional_text(6)?.map(str::to_owned) }))
}

/// The same as a transaction sees it that is about to use the token.
pub(crate) async fn find(
    tx: &mut Transaction,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Enrolment>, StoreError> {
    let row = tx.fetch_optional(BY_DIGEST, [Value::Blob(digest)]).await?;
    row.map(|row| current(&row, now)).transpose().map(Option::flatten)
}

/// Notes what a token was used for, in the transaction that records the certificate.
pub(crate) async fn note(
    tx: &mut Transaction,
    digest: &[u8; 32],
    key: &[u8; 32],
    fingerprint: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE enrolment_tokens SET used_at = ?, request_digest = ?, fingerprint = ? WHERE digest = ?";
    let values = [Value::Time(now), Value::Blob(key), Value::Text(fingerprint), Value::Blob(digest)];
    tx.execute(sql, values).await.map(drop)
}

/// Ends the tokens of a name in these roles that have no certificate yet, in the transaction of the change that calls for
/// it; how many.
pub(crate) async fn void(
    tx: &mut Transaction,
    store: &Store,
    name: &str,
    roles: &[Role],
    actor: &str,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM enrolment_tokens WHERE name = ? AND role = ? AND fingerprint IS NULL";
    let mut voided = 0;
    for role in roles {
        voided += tx.execute(sql, [Value::Text(name), Value::Text(role.as_str())]).await?;
    }
    if voided > 0 {
        audit::insert(tx, &Change::new(store, actor, "enrolment.void", name)).await?;
    }
    Ok(voided)
}
