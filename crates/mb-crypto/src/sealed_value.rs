//! Small secrets of the store, sealed under the master key: TOTP secrets, mails that wait to be sent. And what a caller
//! holds for a few minutes and must not be able to read or make.
//!
//! Each purpose has an AES-256-GCM key of its own, derived from the master key by HKDF-SHA256, so that purposes share
//! neither keys nor the bound of 2^32 random nonces per key (NIST SP 800-38D, section 8.3). The associated data is the
//! column and the row: a sealed value copied to another place does not open there.
//!
//! Version 1 is: `1`, master key id (16), nonce (12), ciphertext and tag; the associated data is everything before the
//! nonce, then the purpose's name, a zero byte, and the row. The id says which values a rotation still has to seal anew.

use mb_core::KeyId;
use zeroize::Zeroizing;

use crate::CryptoError;
use crate::master::{self, MasterKeys};

/// What a value is for, which is also the column that holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A user's second factor; the row is the user's id.
    TotpSecret,
    /// A mail's text, which may carry a reset token; the row is the mail's recipient.
    MailBody,
    /// What stands for a right password until the second factor is shown (see [`crate::otp_token`]); no column holds it.
    OtpToken,
    /// What a destination's messages are signed with; the row is its domain and name.
    WebhookSecret,
    /// The key of a certificate that is shown to a destination; the row is its domain and name.
    WebhookClientKey,
    /// What a receiver answered; the row is the attempt.
    AttemptAnswer,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] = [
        Self::TotpSecret,
        Self::MailBody,
        Self::OtpToken,
        Self::WebhookSecret,
        Self::WebhookClientKey,
        Self::AttemptAnswer,
    ];

    /// Stays as it is for ever: the key depends on it.
    const fn name(self) -> &'static str {
        match self {
            Self::TotpSecret => "users.totp_secret",
            Self::MailBody => "mail_outbox.body",
            Self::OtpToken => "sign_in.otp_token",
            Self::WebhookSecret => "destinations.secret",
            Self::WebhookClientKey => "destinations.client_key",
            Self::AttemptAnswer => "attempts.answer",
        }
    }

    fn context(self, row: &str) -> Vec<u8> {
        [self.name().as_bytes(), &[0], row.as_bytes()].concat()
    }
}

/// Seals `value` for one row under the active master key. `row` is whatever names the row for good and is known before it is written.
///
/// # Errors
/// [`CryptoError::Library`].
pub fn seal(keys: &MasterKeys, purpose: Purpose, row: &str, value: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let master = keys.active();
    master.seal_under(&master.purpose_key(purpose.name())?, &purpose.context(row), value)
}

/// Opens what [`seal`] made for the same purpose and row, under whichever master key.
///
/// # Errors
/// [`CryptoError::Malformed`] if it is of another form, [`CryptoError::UnknownMasterKey`] if it names another key,
/// [`CryptoError::Forged`] if it does not open.
pub fn open(keys: &MasterKeys, purpose: Purpose, row: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let master = keys.naming(sealed)?;
    master.open_under(&master.purpose_key(purpose.name())?, &purpose.context(row), sealed)
}

/// Which master key a value is sealed under.
///
/// # Errors
/// [`CryptoError::Malformed`] if it is of another form.
pub fn master_key_id(sealed: &[u8]) -> Result<KeyId, CryptoError> {
    master::secret_header(sealed).map(|(_, id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MasterKeys {
        MasterKeys::generate().expect("a key")
    }

    #[test]
    fn a_value_opens_in_its_own_place_alone() {
        let key = key();
        let sealed = seal(&key, Purpose::TotpSecret, "7", b"secret").expect("sealed");
        assert_eq!(open(&key, Purpose::TotpSecret, "7", &sealed).expect("opened")[..], *b"secret");
        for (purpose, row) in [(Purpose::TotpSecret, "8"), (Purpose::TotpSecret, ""), (Purpose::MailBody, "7")] {
            assert!(matches!(open(&key, purpose, row, &sealed), Err(CryptoError::Forged)), "{purpose:?} {row}");
        }
        assert!(key.unwrap_secret("users.totp_secret\x007", &sealed).is_err(), "another kind of sealed secret");
        assert_ne!(sealed, seal(&key, Purpose::TotpSecret, "7", b"secret").expect("sealed"), "a fresh nonce each time");
    }

    #[test]
    fn a_value_says_its_master_key_and_opens_under_no_other() {
        let (mine, other) = (key(), key());
        let sealed = seal(&mine, Purpose::MailBody, "m1", b"").expect("sealed");
        assert_eq!(master_key_id(&sealed).expect("an id"), mine.active().id());
        let refused = open(&other, Purpose::MailBody, "m1", &sealed);
        assert!(matches!(refused, Err(CryptoError::UnknownMasterKey(id)) if id == mine.active().id()));
    }

    #[test]
    fn a_changed_or_cut_value_never_opens() {
        let key = key();
        let sealed = seal(&key, Purpose::MailBody, "m1", b"Reset your password").expect("sealed");
        for position in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[position / 8] ^= 1 << (position % 8);
            assert!(open(&key, Purpose::MailBody, "m1", &changed).is_err(), "bit {position}");
        }
        for end in 0..sealed.len() {
            assert!(open(&key, Purpose::MailBody, "m1", &sealed[..end]).is_err(), "cut at {end}");
        }
        assert!(master_key_id(&sealed[..16]).is_err() && master_key_id(b"\x02garbage-garbage-garbage").is_err());
    }
}
