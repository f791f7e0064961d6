//! Finding messages by their sender's number without keeping numbers: each is stored as its HMAC-SHA-256 (FIPS 198-1)
//! under a key of its own. The key is wrapped by the master key and survives its rotation, so hashes stay comparable.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use mb_core::Secret;

use crate::master::MasterKeys;
use crate::{CryptoError, random};

/// What it is wrapped for.
pub const CONTEXT: &str = "search-key";

/// The key under which numbers are hashed.
pub struct SearchKey {
    bytes: Secret<[u8; 32]>,
    key: hmac::Key,
}

impl SearchKey {
    /// A new random key.
    pub fn generate() -> Self {
        Self::from_bytes(random::random_array())
    }

    fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(HMAC_SHA256, &bytes), bytes: Secret::new(bytes) }
    }

    /// Wraps it for the store.
    ///
    /// # Errors
    /// As [`MasterKeys::wrap_secret`].
    pub fn wrap(&self, master: &MasterKeys) -> Result<Vec<u8>, CryptoError> {
        master.wrap_secret(CONTEXT, self.bytes.expose())
    }

    /// Takes it from the store.
    ///
    /// # Errors
    /// As [`MasterKeys::unwrap_secret`].
    pub fn unwrap(master: &MasterKeys, wrapped: &[u8]) -> Result<Self, CryptoError> {
        let bytes = master.unwrap_secret(CONTEXT, wrapped)?;
        <[u8; 32]>::try_from(&bytes[..])
            .map(Self::from_bytes)
            .map_err(|_| CryptoError::malformed("search key", "it is not 32 bytes long"))
    }

    /// A tag of what a token says, which nobody else can make. No number begins as what is hashed here does.
    pub(crate) fn tag(&self, token: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&self.key, &[b"token\0".as_slice(), token].concat());
        let mut out = [0; 16];
        out.copy_from_slice(&tag.as_ref()[..16]);
        out
    }

    /// The hash of an E.164 number.
    pub fn hash(&self, number: &str) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&self.key, number.as_bytes()).as_ref());
        out
    }
}

impl std::fmt::Debug for SearchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SearchKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_after_wrapping_and_differ_under_another_key() {
        let master = MasterKeys::generate().expect("a key");
        let key = SearchKey::generate();
        let again = SearchKey::unwrap(&master, &key.wrap(&master).expect("wrapped")).expect("unwrapped");
        assert_eq!(key.hash("+4915112345678"), again.hash("+4915112345678"));
        assert_ne!(key.hash("+4915112345678"), key.hash("+4915112345679"));
        assert_ne!(key.hash("+4915112345678"), SearchKey::generate().hash("+4915112345678"));
    }

    #[test]
    fn another_secret_of_the_same_master_key_is_no_search_key() {
        let master = MasterKeys::generate().expect("a key");
        let other = master.wrap_secret("webhook", &[1; 32]).expect("wrapped");
        assert!(matches!(SearchKey::unwrap(&master, &other), Err(CryptoError::Forged)));
    }
}
