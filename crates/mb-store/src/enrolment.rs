//! Tokens with which somebody who has no certificate yet gets one. A token is claimed by the key in the first signing
//! request that comes with it, so that a repeat gets the same answer and another key none.

use mb_core::{DomainName, Role, Timestamp};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
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

/// Whose a token is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The request's that asked, by this or an earlier call.
    Granted {
        /// What it entitles to.
        terms: EnrolmentTerms,
        /// The certificate that was issued already, by its fingerprint.
        issued: Option<String>,
    },
    /// Another request's.
    Taken,
    /// Nobody's: there is none, or its time is over.
    Unknown,
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

    /// Claims the token with this digest for the request with that one.
    pub async fn claim_enrolment(&self, digest: &[u8; 32], request: &[u8; 32]) -> Result<Claim, StoreError> {
        let now = self.now();
        let mut tx = self.backend().begin().await?;
        let row = tx.fetch_optional(BY_DIGEST, [Value::Blob(digest)]).await?;
        let claim = match &row {
            Some(row) if now < row.time(4)? => match row.optional_blob(5)? {
                None => Claim::Granted { terms: terms(row)?, issued: None },
                Some(first) if first == request => {
                    Claim::Granted { terms: terms(row)?, issued: row.optional_text(6)?.map(str::to_owned) }
                }
                Some(_) => Claim::Taken,
            },
            _ => Claim::Unknown,
        };
        if !matches!(&claim, Claim::Granted { issued: None, .. }) {
            tx.rollback().await?;
            return Ok(claim);
        }
        let sql = "UPDATE enrolment_tokens SET used_at = ?, request_digest = ? WHERE digest = ?";
        tx.execute(sql, [Value::Time(now), Value::Blob(request), Value::Blob(digest)]).await?;
        tx.commit().await?;
        Ok(claim)
    }

    /// Notes which certificate was issued for a token.
    pub async fn note_enrolment(&self, digest: &[u8; 32], fingerprint: &str) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        let sql = "UPDATE enrolment_tokens SET fingerprint = ? WHERE digest = ?";
        tx.execute(sql, [Value::Text(fingerprint), Value::Blob(digest)]).await?;
        tx.commit().await
    }
}
