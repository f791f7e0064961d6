//! Where the chain begins once its oldest rows are gone, as one line of text for the database.
//!
//! The line is `mb-audit-start-1`, place, id and hash of the last row that went, how many checkpoints went with it, and
//! HMAC-SHA-256 under the chain's key over all of it before: who can write to the database, and no more, cuts nothing off
//! the log's beginning. The checkpoint at that place stays and signs the same hash, for whoever holds the CA's certificate.

use aws_lc_rs::hmac;
use mb_core::audit::GENESIS;
use mb_core::hex;

use super::ChainKey;
use crate::CryptoError;

const FORMAT: &str = "mb-audit-start-1";

/// The row before the first that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start {
    /// Its place; 0 where nothing went.
    pub position: u64,
    /// Its id.
    pub audit_id: i64,
    /// Its hash.
    pub hash: [u8; 32],
    /// How many checkpoints lay before the one at this place.
    pub checkpoints: u64,
}

/// A log that was never cut.
impl Default for Start {
    fn default() -> Self {
        Self { position: 0, audit_id: 0, hash: GENESIS, checkpoints: 0 }
    }
}

impl Start {
    /// The line, for the database.
    pub fn to_text(&self, key: &ChainKey) -> String {
        let Self { position, audit_id, hash, checkpoints } = self;
        let line = format!("{FORMAT} {position} {audit_id} {} {checkpoints}", hex::encode(hash));
        let tag = hmac::sign(&key.key, line.as_bytes());
        format!("{line} {}", hex::encode(tag.as_ref()))
    }

    /// Reads [`Start::to_text`].
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if it is of another form, [`CryptoError::Forged`] if it was made under another key.
    pub fn from_text(text: &str, key: &ChainKey) -> Result<Self, CryptoError> {
        let broken = || CryptoError::malformed("audit start", "it is no line of an audit log's start");
        let (line, tag) = text.rsplit_once(' ').ok_or_else(broken)?;
        let tag = hex::decode(tag).ok_or_else(broken)?;
        hmac::verify(&key.key, line.as_bytes(), &tag).map_err(|_| CryptoError::Forged)?;
        let [FORMAT, position, audit_id, hash, checkpoints] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(broken());
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| broken());
        let hash = hex::decode(hash).and_then(|hash| hash.try_into().ok()).ok_or_else(broken)?;
        let audit_id = audit_id.parse().map_err(|_| broken())?;
        Ok(Self { position: number(position)?, audit_id, hash, checkpoints: number(checkpoints)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::MasterKey;

    const START: Start = Start { position: 12, audit_id: 14, hash: [7; 32], checkpoints: 3 };

    fn key() -> ChainKey {
        ChainKey::derive(&MasterKey::generate().expect("a key")).expect("derived")
    }

    #[test]
    fn a_start_is_read_back_under_its_key_alone() {
        let key = key();
        let text = START.to_text(&key);
        assert_eq!(Start::from_text(&text, &key).expect("read"), START);
        assert!(matches!(Start::from_text(&text, &self::key()), Err(CryptoError::Forged)));
        for changed in [text.replace(" 12 ", " 13 "), text.replace(" 14 ", " 15 "), text.replace("0707", "0708")] {
            assert!(matches!(Start::from_text(&changed, &key), Err(CryptoError::Forged)), "{changed}");
        }
        for end in 0..text.len() {
            assert!(Start::from_text(&text[..end], &key).is_err(), "cut at {end}");
        }
    }
}
