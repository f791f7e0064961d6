//! Certificates that the CA has issued, and which of them are revoked. Revoking announces itself to the edge by the
//! policy's version, in the same transaction.

use mb_core::{DomainName, Role, Timestamp};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::enrolment;
use crate::error::StoreError;
use crate::settings::bump_policy;
use crate::value::{Row, Value};

/// An issued certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateRow {
    /// SHA-256 of the issuer's public key, first 16 bytes.
    pub issuer: [u8; 16],
    /// Serial number, big-endian, without leading zeros.
    pub serial: Vec<u8>,
    /// SHA-256 of the certificate, lower hexadecimal.
    pub fingerprint: String,
    /// CN.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The tenant, for roles that have one.
    pub domain: Option<DomainName>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Set once it is revoked.
    pub revocation: Option<Revocation>,
}

/// When and why a certificate was revoked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// Why, as its revoker put it.
    pub reason: String,
}

/// Where a certificate stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CertificateStatus {
    /// Neither expired nor revoked; also one that is valid only later.
    Valid,
    /// Past its time, not revoked.
    Expired,
    /// Revoked.
    Revoked,
}

/// Which certificates to list; `None` matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CertificateFilter {
    /// CN.
    pub name: Option<String>,
    /// Serial number.
    pub serial: Option<Vec<u8>>,
    /// SHA-256, lower hexadecimal.
    pub fingerprint: Option<String>,
    /// Role.
    pub role: Option<Role>,
    /// Tenant.
    pub domain: Option<DomainName>,
    /// Status at the time of the call.
    pub status: Option<CertificateStatus>,
}

/// Which certificates to revoke.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RevokeTarget {
    /// All of that name in these roles.
    Name(String, Vec<Role>),
    /// The one with that serial number.
    Serial(Vec<u8>),
}

macro_rules! select {
    ($rest:expr) => {
        concat!(
            "SELECT issuer, serial, fingerprint, name, role, domain, not_before, not_after, certificate_pem, \
             revoked_at, revocation_reason, id FROM certificates ",
            $rest
        )
    };
}

pub(crate) use select;

macro_rules! list {
    ($first:literal) => {
        select!(concat!(
            "WHERE ",
            $first,
            " AND (? IS NULL OR name = ?) AND (? IS NULL OR serial = ?) AND (? IS NULL OR fingerprint = ?) \
             AND (? IS NULL OR role = ?) AND (? IS NULL OR domain = ?) ORDER BY name, not_after DESC, id DESC"
        ))
    };
}

/// By what an index leads to, if that is asked for.
const LIST: &str = list!("? IS NULL");
const LIST_NAMED: &str = list!("name = ?");
const LIST_NUMBERED: &str = list!("serial = ?");
const LIST_PRINTED: &str = list!("fingerprint = ?");

macro_rules! page {
    ($first:literal) => {
        select!(concat!(
            "WHERE ",
            $first,
            " AND id > ? AND (? IS NULL OR role = ?) AND (? IS NULL OR (revoked_at IS NOT NULL) = ?) \
             AND (? IS NULL OR not_after >= ?) AND (? IS NULL OR not_after < ?) ORDER BY id LIMIT ?"
        ))
    };
}

const PAGE: &str = page!("? IS NULL");
const PAGE_NAMED: &str = page!("name = ?");

/// Which certificates to page through; `None` matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CertificatePageFilter {
    /// CN.
    pub name: Option<String>,
    /// Role.
    pub role: Option<Role>,
    /// Status at the time of the call.
    pub status: Option<CertificateStatus>,
}

/// Reads what [`select`] selects.
pub(crate) fn read(row: &Row) -> Result<CertificateRow, StoreError> {
    let revocation = |at| {
        let reason = row.optional_text(10)?.unwrap_or_default().to_owned();
        Ok::<_, StoreError>(Revocation { at, reason })
    };
    Ok(CertificateRow {
        issuer: row.array(0)?,
        serial: row.blob(1)?.to_vec(),
        fingerprint: row.text(2)?.to_owned(),
        name: row.text(3)?.to_owned(),
        role: Role::parse(row.text(4)?).ok_or(StoreError::Damaged("certificate role"))?,
        domain: row.optional_text(5)?.is_some().then(|| row.domain(5)).transpose()?,
        not_before: row.time(6)?,
        not_after: row.time(7)?,
        certificate_pem: row.text(8)?.to_owned(),
        revocation: row.optional_time(9)?.map(revocation).transpose()?,
    })
}

impl CertificateRow {
    /// Where it stands at `now`.
    pub fn status(&self, now: Timestamp) -> CertificateStatus {
        match self.revocation {
            Some(_) => CertificateStatus::Revoked,
            None if now > self.not_after => CertificateStatus::Expired,
            None => CertificateStatus::Valid,
        }
    }
}

impl Store {
    /// The certificates that match, by name and newest first.
    pub async fn certificates(&self, filter: &CertificateFilter) -> Result<Vec<CertificateRow>, StoreError> {
        let given = [
            Value::text(filter.name.as_deref()),
            filter.serial.as_deref().map_or(Value::Null, Value::Blob),
            Value::text(filter.fingerprint.as_deref()),
            Value::text(filter.role.map(Role::as_str)),
            Value::text(filter.domain.as_ref().map(DomainName::as_str)),
        ];
        let (sql, first) = match filter {
            CertificateFilter { fingerprint: Some(print), .. } => (LIST_PRINTED, Value::Text(print)),
            CertificateFilter { serial: Some(serial), .. } => (LIST_NUMBERED, Value::Blob(serial)),
            CertificateFilter { name: Some(name), .. } => (LIST_NAMED, Value::Text(name)),
            _ => (LIST, Value::Null),
        };
        let values = std::iter::once(first).chain(given.into_iter().flat_map(|value| [value, value]));
        let rows = self.backend().fetch(sql, values).await?;
        let now = self.now();
        let wanted = |row: &CertificateRow| filter.status.is_none_or(|status| row.status(now) == status);
        rows.iter().map(read).filter(|row| row.as_ref().map_or(true, wanted)).collect()
    }

    /// At most `limit` certificates with their places in the order of their recording, after place `after` if given.
    pub async fn certificate_page(
        &self,
        filter: &CertificatePageFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, CertificateRow)>, StoreError> {
        let name = Value::text(filter.name.as_deref());
        let sql = if filter.name.is_some() { PAGE_NAMED } else { PAGE };
        let now = Value::Time(self.now());
        let (revoked, ends_after, ends_before) = match filter.status {
            None => (Value::Null, Value::Null, Value::Null),
            Some(CertificateStatus::Revoked) => (Value::Int(1), Value::Null, Value::Null),
            Some(CertificateStatus::Valid) => (Value::Int(0), now, Value::Null),
            Some(CertificateStatus::Expired) => (Value::Int(0), Value::Null, now),
        };
        let role = Value::text(filter.role.map(Role::as_str));
        let given = [role, revoked, ends_after, ends_before].into_iter().flat_map(|value| [value, value]);
        let first = [name, Value::Int(after.unwrap_or(i64::MIN))];
        let values = first.into_iter().chain(given).chain([Value::Int(limit.into())]);
        let rows = self.backend().fetch(sql, values).await?;
        rows.iter().map(|row| Ok((row.int(11)?, read(row)?))).collect()
    }

    /// A certificate by what identifies it.
    pub async fn certificate(&self, issuer: &[u8; 16], serial: &[u8]) -> Result<Option<CertificateRow>, StoreError> {
        let sql = select!("WHERE issuer = ? AND serial = ?");
        let row = self.backend().fetch_optional(sql, [Value::Blob(issuer), Value::Blob(serial)]).await?;
        row.as_ref().map(read).transpose()
    }

    /// The certificates that were renewed over the one with this serial number, and are not revoked.
    pub async fn successors(&self, serial: &[u8]) -> Result<Vec<CertificateRow>, StoreError> {
        let sql = select!("WHERE renewed_from = ? AND revoked_at IS NULL ORDER BY id");
        self.backend().fetch(sql, [Value::Blob(serial)]).await?.iter().map(read).collect()
    }

    /// Revokes what is not revoked yet and announces it to the edge; returns what was revoked by this call, which is
    /// nothing if there is no such certificate or all were revoked before. Whose certificates are revoked by name has no
    /// token for another one, either.
    pub async fn revoke(
        &self,
        target: &RevokeTarget,
        reason: &str,
        actor: &str,
    ) -> Result<Vec<CertificateRow>, StoreError> {
        let mut tx = self.backend().begin().await?;
        let (rows, roles) = match target {
            RevokeTarget::Name(name, roles) => {
                let sql = select!("WHERE name = ? AND revoked_at IS NULL");
                (tx.fetch(sql, [Value::Text(name)]).await?, Some(roles))
            }
            RevokeTarget::Serial(serial) => {
                (tx.fetch(select!("WHERE serial = ? AND revoked_at IS NULL"), [Value::Blob(serial)]).await?, None)
            }
        };
        let mut revoked = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        revoked.retain(|row| roles.is_none_or(|roles| roles.contains(&row.role)));
        let voided = match target {
            RevokeTarget::Name(name, roles) => enrolment::void(&mut tx, self, name, roles, actor).await?,
            RevokeTarget::Serial(_) => 0,
        };
        if revoked.is_empty() {
            if voided == 0 {
                tx.rollback().await?;
            } else {
                tx.commit().await?;
            }
            return Ok(revoked);
        }
        let at = self.now();
        for row in &mut revoked {
            let values = [Value::Time(at), Value::Text(reason), Value::Blob(&row.issuer), Value::Blob(&row.serial)];
            tx.execute(
                "UPDATE certificates SET revoked_at = ?, revocation_reason = ? WHERE issuer = ? AND serial = ?",
                values,
            )
            .await?;
            let detail = json!({ "reason": reason, "fingerprint": row.fingerprint });
            audit::insert(&mut tx, &Change::new(self, actor, "certificate.revoke", &row.name).detail(detail)).await?;
            row.revocation = Some(Revocation { at, reason: reason.to_owned() });
        }
        bump_policy(&mut tx).await?;
        tx.commit().await?;
        Ok(revoked)
    }
}
