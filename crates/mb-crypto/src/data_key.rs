//! Data keys: one AES-256 key seals the messages of an hour (design, section 6).
//!
//! The proxy makes a [`SealingKey`], wraps it to the main server's public key and signs the record with its certificate's
//! key; the main server opens envelopes with the [`DataKey`] that it unwraps, after [`verify_signer`] said which proxy
//! made it. The seal is AES-256-GCM with a random nonce (NIST SP 800-38D, section 8.2.2); its associated data is the
//! envelope's whole header, so that no clear field can be changed.
//!
//! [`SealingKey::seal`] runs for every message: it allocates nothing beyond the output's own growth and takes no lock.

mod signer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use mb_core::envelope::{NONCE_LEN, SignedKey};
use mb_core::policy::MasterPublicKey;
use mb_core::{Content, Envelope, Header, KeyId, Timestamp};
use zeroize::Zeroizing;

use crate::{CryptoError, master, random};

pub use signer::{Signer, verify_signer};

/// After so many messages a proxy makes a new data key.
pub const MAX_MESSAGES: u64 = 1 << 20;

/// After so long a proxy makes a new data key.
pub const MAX_AGE: Duration = Duration::from_hours(1);

/// With random nonces a key seals at most so many messages (NIST SP 800-38D, section 8.3); past it sealing fails.
const NONCE_BOUND: u64 = 1 << 32;

/// The most bytes that an encoded header and the fixed parts of envelope and content add to the texts.
const OVERHEAD: usize = 512;

/// A data key on the side that seals.
pub struct SealingKey {
    key_id: KeyId,
    created_at: Timestamp,
    key: LessSafeKey,
    count: AtomicU64,
}

impl SealingKey {
    /// Makes a random key and the signed record of it, which must travel with every envelope that it seals.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if `master` is no key that can be wrapped to, [`CryptoError::OutsideValidity`] if the
    /// signer's certificate has expired.
    pub fn new(master: &MasterPublicKey, signer: &Signer, now: Timestamp) -> Result<(Self, SignedKey), CryptoError> {
        let created_at = signer.signing_time(now)?;
        let bytes = Zeroizing::new(random::random_array::<32>());
        let key_id = KeyId::from_bytes(random::random_array());
        let (encapsulated, wrapped) = master::wrap(master, key_id, created_at, &bytes[..])?;
        let mut record = SignedKey {
            key_id,
            master_key_id: master.id,
            created_at,
            encapsulated,
            wrapped,
            certificate: signer.certificate().to_vec(),
            signature: Vec::new(),
        };
        record.signature = signer.sign(&record)?;
        Ok((Self { key_id, created_at, key: aes(&bytes[..])?, count: AtomicU64::new(0) }, record))
    }

    /// The id that headers of its envelopes must carry.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// When it was made.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// How many messages it has sealed.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether it is time for a new key. A clock set back does not make it live longer than its count allows.
    pub fn is_spent(&self, now: Timestamp) -> bool {
        self.count() >= MAX_MESSAGES || now.since(self.created_at) >= MAX_AGE
    }

    /// Appends a whole encoded envelope to `out`.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] if the header names another key or the key has sealed 2^32 messages; `out` is as before.
    pub fn seal(&self, header: &Header, content: &Content<'_>, out: &mut Vec<u8>) -> Result<(), CryptoError> {
        if header.key_id != self.key_id {
            return Err(CryptoError::Invalid("the header names another data key".into()));
        }
        if self.count.fetch_add(1, Ordering::Relaxed) >= NONCE_BOUND {
            return Err(CryptoError::Invalid("the data key is spent".into()));
        }
        let start = out.len();
        out.reserve(OVERHEAD + content.body.len() + content.metadata.map_or(0, str::len));
        header.encode(out);
        let header_end = out.len();
        let nonce = random::public_array::<NONCE_LEN>();
        out.extend_from_slice(&nonce);
        let content_start = out.len();
        content.encode(out);
        let (clear, plain) = out.split_at_mut(content_start);
        let sealed = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&clear[start..header_end]),
            plain,
        );
        let Ok(tag) = sealed else {
            out.truncate(start);
            return Err(CryptoError::Library("seal a message"));
        };
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealingKey").field("key_id", &self.key_id).field("count", &self.count()).finish_non_exhaustive()
    }
}

/// A data key on the side that opens: unwrapped once, kept in memory for the envelopes that follow.
pub struct DataKey {
    key_id: KeyId,
    key: LessSafeKey,
}

impl DataKey {
    pub(crate) fn new(key_id: KeyId, bytes: &[u8]) -> Result<Self, CryptoError> {
        if bytes.len() != AES_256_GCM.key_len() {
            return Err(CryptoError::malformed("data key", "it is not 32 bytes long"));
        }
        Ok(Self { key_id, key: aes(bytes)? })
    }

    /// Which key it is.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Opens an envelope: the encoded [`Content`].
    ///
    /// # Errors
    /// [`CryptoError::Forged`] if the seal does not verify under this key.
    pub fn open(&self, envelope: &Envelope<'_>) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.open_parts(envelope.header_bytes, envelope.sealed)
    }

    /// Opens the parts as the store keeps them: the header's canonical encoding; nonce, ciphertext and tag.
    ///
    /// # Errors
    /// [`CryptoError::Forged`] if the seal does not verify under this key.
    pub fn open_parts(&self, header_bytes: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        master::open(&self.key, header_bytes, sealed)
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

fn aes(bytes: &[u8]) -> Result<LessSafeKey, CryptoError> {
    UnboundKey::new(&AES_256_GCM, bytes).map(LessSafeKey::new).map_err(|_| CryptoError::Library("set up AES-256-GCM"))
}

#[cfg(test)]
mod tests;
