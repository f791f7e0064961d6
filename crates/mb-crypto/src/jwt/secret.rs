//! The secret that access tokens are signed with: `JWT_SECRET`, or a generated one in `secrets/jwt.key`.
//!
//! All main servers of a system share it. Another secret ends all access tokens, which live 30 minutes, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mb_core::Secret;
use zeroize::Zeroizing;

use crate::{CryptoError, random};

/// What a secret must have, for error messages.
pub const JWT_SECRET_RULE: &str = "a JWT secret has 32 to 1024 bytes, of which at least 8 differ";

/// The key of HS256 (RFC 7518, section 3.2: at least 256 bits).
#[derive(Clone, Debug)]
pub struct JwtSecret(Secret<Vec<u8>>);

impl JwtSecret {
    /// A new random one.
    pub fn generate() -> Self {
        let bytes = Zeroizing::new(random::random_array::<32>());
        Self(Secret::new(URL_SAFE_NO_PAD.encode(&bytes[..]).into_bytes()))
    }

    /// Takes what an operator set or [`JwtSecret::to_text`] gave; line ends after it do not count.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] with [`JWT_SECRET_RULE`]; the error never shows the secret.
    pub fn from_text(text: &str) -> Result<Self, CryptoError> {
        let bytes = text.trim_end_matches(['\r', '\n']).as_bytes();
        let mut seen = [false; 256];
        for byte in bytes {
            seen[usize::from(*byte)] = true;
        }
        let is_good = (32..=1024).contains(&bytes.len()) && seen.into_iter().filter(|seen| *seen).count() >= 8;
        if is_good { Ok(Self(Secret::new(bytes.to_vec()))) } else { Err(CryptoError::Invalid(JWT_SECRET_RULE.into())) }
    }

    /// The text to keep. Whoever has it can be anybody.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(format!("{}\n", String::from_utf8_lossy(self.bytes())))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }
}
