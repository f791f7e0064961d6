//! Where the chain ended at last, as one line of text for a file beside the keys.
//!
//! The line is `mb-audit-head-1`, place, hash, number of checkpoints, microseconds, and HMAC-SHA-256 under the chain's key
//! over all of it before: nobody makes one for a shorter chain without the master key.

use aws_lc_rs::hmac;
use mb_core::{Timestamp, hex};

use super::ChainKey;
use crate::CryptoError;

const FORMAT: &str = "mb-audit-head-1";

/// What the database held: it may hold more by now, never less.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The last row's place, which is also how many are chained.
    pub position: u64,
    /// The last row's hash.
    pub hash: [u8; 32],
    /// How many checkpoints there were.
    pub checkpoints: u64,
    /// When that was.
    pub at: Timestamp,
}

impl Head {
    /// The line, for a file.
    pub fn to_text(&self, key: &ChainKey) -> String {
        let Self { position, hash, checkpoints, at } = self;
        let line = format!("{FORMAT} {position} {} {checkpoints} {}", hex::encode(hash), at.micros());
        let tag = hmac::sign(&key.key, line.as_bytes());
        format!("{line} {}\n", hex::encode(tag.as_ref()))
    }

    /// Reads [`Head::to_text`].
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if it is of another form, [`CryptoError::Forged`] if it was made under another key.
    pub fn from_text(text: &str, key: &ChainKey) -> Result<Self, CryptoError> {
        let broken = || CryptoError::malformed("audit head", "it is no line of an audit head");
        let (line, tag) = text.trim_end().rsplit_once(' ').ok_or_else(broken)?;
        let tag = hex::decode(tag).ok_or_else(broken)?;
        hmac::verify(&key.key, line.as_bytes(), &tag).map_err(|_| CryptoError::Forged)?;
        let [FORMAT, position, hash, checkpoints, at] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(broken());
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| broken());
        let hash = hex::decode(hash).and_then(|hash| hash.try_into().ok()).ok_or_else(broken)?;
        let at = at.parse().map(Timestamp::from_micros).map_err(|_| broken())?;
        Ok(Self { position: number(position)?, hash, checkpoints: number(checkpoints)?, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::MasterKey;

    const HEAD: Head =
        Head { position: 12, hash: [7; 32], checkpoints: 3, at: Timestamp::from_micros(1_700_000_000_000_000) };

    fn key() -> ChainKey {
        ChainKey::derive(&MasterKey::generate().expect("a key")).expect("derived")
    }

    #[test]
    fn a_head_is_read_back_under_its_key_alone() {
        let key = key();
        let text = HEAD.to_text(&key);
        assert_eq!(Head::from_text(&text, &key).expect("read"), HEAD);
        assert!(matches!(Head::from_text(&text, &self::key()), Err(CryptoError::Forged)));
    }

    #[test]
    fn a_changed_or_cut_head_is_none() {
        let key = key();
        let text = HEAD.to_text(&key);
        for changed in [text.replace(" 12 ", " 11 "), text.replace(" 3 ", " 2 "), text.replace("0707", "0708")] {
            assert!(matches!(Head::from_text(&changed, &key), Err(CryptoError::Forged)), "{changed}");
        }
        for end in 0..text.len() - 1 {
            assert!(Head::from_text(&text[..end], &key).is_err(), "cut at {end}");
        }
    }
}
