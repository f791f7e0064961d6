//! The second factor: time-based one-time passwords (RFC 6238 over RFC 4226) and the recovery codes beside them.
//!
//! SHA-1, six digits, steps of 30 seconds, one step of tolerance to either side: what every authenticator app assumes.
//! Checking says which step the code is of; the store lets each user move forward only, so that a code works once.
//!
//! A recovery code is random and stored as an HMAC under the user's own secret. That secret lies sealed in the store, so
//! who reads the database cannot try codes; it survives a rotation of the master key; and a new enrolment ends old codes.

mod base32;
mod recovery;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use mb_core::{Secret, Timestamp};

use crate::{CryptoError, random};

pub use recovery::{RECOVERY_CODES, RecoveryCode};

/// RFC 4226, section 4, R6: 160 bits recommended.
const SECRET_LEN: usize = 20;

/// Seconds per step (RFC 6238, section 5.2).
const STEP: u64 = 30;

/// How many steps a clock may be off, either way.
const WINDOW: u64 = 1;

const DIGITS: usize = 6;

/// What a user's authenticator app shares with the main server.
#[derive(Clone, Debug)]
pub struct TotpSecret(Secret<[u8; SECRET_LEN]>);

impl TotpSecret {
    /// A new random one.
    pub fn generate() -> Self {
        Self(Secret::new(random::random_array()))
    }

    /// From what [`TotpSecret::expose`] gave.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if it is not 20 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        <[u8; SECRET_LEN]>::try_from(bytes)
            .map(|bytes| Self(Secret::new(bytes)))
            .map_err(|_| CryptoError::malformed("TOTP secret", "it is not 20 bytes long"))
    }

    /// The bytes to be sealed (see [`crate::sealed_value`]).
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// What a person types into an app that cannot scan: base32 (RFC 4648, section 6), 32 characters.
    pub fn to_base32(&self) -> Secret<String> {
        Secret::new(base32::encode(self.expose()))
    }

    /// What an app scans: an `otpauth://` URI in the Key URI Format that Google Authenticator introduced.
    pub fn uri(&self, issuer: &str, account: &str) -> Secret<String> {
        let (issuer, account) = (percent_encoded(issuer), percent_encoded(account));
        Secret::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}",
            self.to_base32().expose()
        ))
    }

    /// The step that `code` belongs to, if it is one of now, the step before or the step after. Blanks between digits
    /// are ignored. The caller must refuse a step that is not later than the last one used (RFC 6238, section 5.2).
    pub fn verify(&self, code: &str, now: Timestamp) -> Option<u64> {
        let code = digits(code)?;
        let current = u64::try_from(now.seconds()).unwrap_or(0) / STEP;
        let mut found = None;
        // All are compared, whichever fits.
        for step in current.saturating_sub(WINDOW)..=current + WINDOW {
            if verify_slices_are_equal(&self.code(step), &code).is_ok() {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a time: what an authenticator shows.
    pub fn code_at(&self, now: Timestamp) -> Secret<String> {
        let code = self.code(u64::try_from(now.seconds()).unwrap_or(0) / STEP);
        Secret::new(code.iter().copied().map(char::from).collect())
    }

    /// HOTP (RFC 4226, section 5.3) at a counter, as ASCII digits.
    fn code(&self, counter: u64) -> [u8; DIGITS] {
        let key = hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.expose());
        let tag = hmac::sign(&key, &counter.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag[tag.len() - 1] & 0x0f);
        let mut number =
            tag[offset..offset + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
        let mut code = [b'0'; DIGITS];
        for digit in code.iter_mut().rev() {
            *digit = b"0123456789"[(number % 10) as usize];
            number /= 10;
        }
        code
    }
}

/// Exactly six digits, perhaps with blanks between them.
fn digits(code: &str) -> Option<[u8; DIGITS]> {
    let mut digits = [0; DIGITS];
    let mut count = 0;
    for byte in code.bytes().filter(|byte| *byte != b' ') {
        *digits.get_mut(count)? = byte.is_ascii_digit().then_some(byte)?;
        count += 1;
    }
    (count == DIGITS).then_some(digits)
}

/// RFC 3986, section 2.1: all but unreserved characters.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests;
