//! What revocation lists say: the number of each revoked certificate, since when and why.

use mb_core::Timestamp;

use crate::Store;
use crate::error::StoreError;
use crate::value::Value;

/// A revoked certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevokedCertificate {
    /// As [`crate::CertificateRow::issuer`].
    pub issuer: [u8; 16],
    /// As [`crate::CertificateRow::serial`].
    pub serial: Vec<u8>,
    /// Since when.
    pub at: Timestamp,
    /// Why, as its revoker put it.
    pub reason: String,
}

impl Store {
    /// The revoked certificates that end after `ends_after`, in the order of their revocation.
    pub async fn revoked_certificates(&self, ends_after: Timestamp) -> Result<Vec<RevokedCertificate>, StoreError> {
        let sql = "SELECT issuer, serial, revoked_at, revocation_reason FROM certificates \
                   WHERE revoked_at IS NOT NULL AND not_after > ? ORDER BY revoked_at, id";
        let rows = self.backend().fetch(sql, [Value::Time(ends_after)]).await?;
        let read = |row: &crate::value::Row| {
            Ok(RevokedCertificate {
                issuer: row.array(0)?,
                serial: row.blob(1)?.to_vec(),
                at: row.time(2)?,
                reason: row.optional_text(3)?.unwrap_or_default().to_owned(),
            })
        };
        rows.iter().map(read).collect()
    }
}
