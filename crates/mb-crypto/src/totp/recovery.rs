//! Recovery codes: what lets a person in whose authenticator is lost, each once.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use mb_core::Secret;

use super::TotpSecret;
use super::base32::ALPHABET;
use crate::random;

/// How many a user gets.
pub const RECOVERY_CODES: usize = 10;

/// Ten characters of base32: 50 random bits, behind the login throttle.
const LEN: usize = 10;

/// A recovery code.
#[derive(Clone, Debug)]
pub struct RecoveryCode(Secret<[u8; LEN]>);

impl RecoveryCode {
    /// A set for one user.
    pub fn generate_set() -> [Self; RECOVERY_CODES] {
        std::array::from_fn(|_| {
            Self(Secret::new(random::random_array().map(|byte: u8| ALPHABET[usize::from(byte % 32)])))
        })
    }

    /// Reads a code as a person may type it: in any case, with blanks and hyphens. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut code = [0; LEN];
        let mut count = 0;
        for byte in text.bytes().filter(|byte| !b" -".contains(byte)) {
            let byte = byte.to_ascii_uppercase();
            *code.get_mut(count)? = ALPHABET.contains(&byte).then_some(byte)?;
            count += 1;
        }
        (count == LEN).then(|| Self(Secret::new(code)))
    }

    /// What is shown, once: `ABCDE-FGHIJ`.
    pub fn to_text(&self) -> Secret<String> {
        let (left, right) = self.0.expose().split_at(LEN / 2);
        let mut text = String::with_capacity(LEN + 1);
        text.extend(left.iter().copied().map(char::from));
        text.push('-');
        text.extend(right.iter().copied().map(char::from));
        Secret::new(text)
    }

    /// What the store keeps and looks for: HMAC-SHA-256 under the user's secret.
    pub fn hash(&self, secret: &TotpSecret) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, secret.expose()));
        context.update(b"mb-recovery-1\0");
        context.update(self.0.expose());
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
    /// Whether `kept` is this code's hash, in constant time.
    pub fn is(&self, secret: &TotpSecret, kept: &[u8]) -> bool {
        verify_slices_are_equal(&self.hash(secret), kept).is_ok()
    }
}
