//! Certificates that end soon: of those of one name and role the one that lasts longest, so that who has renewed is not told
//! of the old one. Revoked ones are none, and archived clients need none.

use mb_core::{ClientStatus, Role, Timestamp};

use crate::Store;
use crate::certificates::{CertificateRow, read, select};
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::Value;

/// When the certificates that are looked for end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending {
    /// Later than that.
    pub after: Timestamp,
    /// Not later than that.
    pub until: Timestamp,
}

// A certificate that was made for no more than 13 hours is made anew when it is needed: nobody has to be told of its end.
macro_rules! ending {
    ($lasts:literal, $other_lasts:literal) => {
        select!(concat!(
            "AS c WHERE revoked_at IS NULL AND not_after > ?1 AND not_after <= ?2 AND ",
            $lasts,
            " AND NOT EXISTS (SELECT 1 FROM certificates AS d WHERE d.name = c.name AND d.role = c.role \
             AND d.revoked_at IS NULL AND ",
            $other_lasts,
            " AND (d.not_after > c.not_after OR (d.not_after = c.not_after AND d.id < c.id))) \
             AND (role NOT IN (?3, ?4) OR name NOT IN (SELECT a.name FROM clients AS a WHERE a.status = ?5)) \
             AND (not_after > ?6 OR (not_after = ?6 AND (LENGTH(serial) > ?7 OR (LENGTH(serial) = ?7 AND serial > ?8)))) \
             ORDER BY not_after, LENGTH(serial), serial LIMIT ?9"
        ))
    };
}

const ENDING: Dialects = Dialects {
    sqlite: ending!("not_after > not_before + 46800000000", "d.not_after > d.not_before + 46800000000"),
    mysql: ending!("not_after > not_before + INTERVAL 13 HOUR", "d.not_after > d.not_before + INTERVAL 13 HOUR"),
};

impl Store {
    /// At most `limit` certificates that end then, the first to end first; behind the one of that end and serial number if
    /// given.
    pub async fn ending_certificates(
        &self,
        ending: Ending,
        behind: Option<(Timestamp, &[u8])>,
        limit: u32,
    ) -> Result<Vec<CertificateRow>, StoreError> {
        let (at, serial) = behind.unwrap_or((ending.after, &[]));
        let values = [
            Value::Time(ending.after),
            Value::Time(ending.until),
            Value::Text(Role::Client.as_str()),
            Value::Text(Role::Consumer.as_str()),
            Value::Text(ClientStatus::Archived.as_str()),
            Value::Time(at),
            Value::Int(i64::try_from(serial.len()).unwrap_or(i64::MAX)),
            Value::Blob(serial),
            Value::Int(limit.into()),
        ];
        self.backend().fetch(ENDING, values).await?.iter().map(read).collect()
    }
}
