//! An audit row as bytes: what the hash chain is made over.
//!
//! Version 1 is: `1`, id and time as eight bytes each, then actor, action, object and detail, each behind a four-byte
//! length. Every field has one place and one length, so no two rows share their bytes, and a row that is changed in any
//! field no longer fits its hash. A stored chain is checked against these bytes for ever: another layout is a new version.

use crate::clock::Timestamp;
use crate::wire::put_long;

/// The hash before the first row's.
pub const GENESIS: [u8; 32] = [0; 32];

const VERSION: u8 = 1;

/// A row of the audit log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditRecord<'a> {
    /// Its id.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: &'a str,
    /// What was done, `thing.verb`.
    pub action: &'a str,
    /// To what.
    pub object: &'a str,
    /// More, the JSON text as it is stored.
    pub detail: &'a str,
}

impl AuditRecord<'_> {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let texts = [self.actor, self.action, self.object, self.detail];
        let mut out = Vec::with_capacity(33 + texts.iter().map(|text| text.len()).sum::<usize>());
        out.push(VERSION);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.at.micros().to_be_bytes());
        for text in texts {
            put_long(&mut out, text.as_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: AuditRecord<'static> = AuditRecord {
        id: 7,
        at: Timestamp::from_micros(258),
        actor: "root",
        action: "user.create",
        object: "a@b",
        detail: "{}",
    };

    #[test]
    fn the_layout_stays_as_it_is() {
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 2];
        expected.extend_from_slice(b"\0\0\0\x04root\0\0\0\x0buser.create\0\0\0\x03a@b\0\0\0\x02{}");
        assert_eq!(RECORD.to_bytes(), expected);
    }

    #[test]
    fn no_two_rows_share_their_bytes() {
        let others = [
            AuditRecord { id: 8, ..RECORD },
            AuditRecord { at: Timestamp::from_micros(259), ..RECORD },
            AuditRecord { actor: "roo", action: "tuser.create", ..RECORD },
            AuditRecord { object: "a@b{", detail: "}", ..RECORD },
            AuditRecord { object: "", ..RECORD },
        ];
        for other in others {
            assert_ne!(other.to_bytes(), RECORD.to_bytes(), "{other:?}");
        }
    }
}
