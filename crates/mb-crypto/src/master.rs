//! The master key: what makes the main server the only one that can read messages.
//!
//! It is one random seed of 32 bytes. Two keys are derived from it by HKDF-SHA256 (RFC 5869), so that neither says
//! anything about the other: an X25519 key to which proxies wrap their data keys with HPKE, and an AES-256-GCM key under
//! which the main server keeps its own small secrets. Those need no public key; being symmetric, they also cannot be
//! replaced by someone who can merely write to the database.
//!
//! Everything wrapped names its master key, so that several can be in use while one is rotated away.

mod file;
mod key_files;
mod keys;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::hkdf;
use mb_core::envelope::{NONCE_LEN, SignedKey, TAG_LEN};
use mb_core::policy::MasterPublicKey;
use mb_core::{KeyId, Secret, Timestamp};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

use crate::data_key::DataKey;
use crate::digest::{head, sha256};
use crate::{CryptoError, random};

pub use file::{public_from_text, public_to_text};
pub use keys::{KeyState, MasterKeys, reseal};

/// HPKE's `info` for data keys; changes with the format.
const DATA_KEY_INFO: &[u8] = b"mb-data-key-1";

const SECRET_VERSION: u8 = 1;

/// Version and master key id.
const SECRET_HEADER: usize = 17;

/// The main server's key.
pub struct MasterKey {
    seed: Secret<[u8; 32]>,
    hpke: HpkePrivateKey,
    secrets: LessSafeKey,
    public: MasterPublicKey,
}

impl MasterKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn generate() -> Result<Self, CryptoError> {
        Self::from_seed(Secret::new(random::random_array()))
    }

    fn from_seed(seed: Secret<[u8; 32]>) -> Result<Self, CryptoError> {
        let x25519 = derive(&seed, b"mb-master-x25519-1")?;
        let secrets = derive(&seed, b"mb-master-secrets-1")?;
        let private = PrivateKey::from_private_key(&X25519, &x25519[..])
            .map_err(|_| CryptoError::Library("derive the master key"))?;
        let point = private.compute_public_key().map_err(|_| CryptoError::Library("derive the master key"))?;
        let point = point.as_ref().to_vec();
        let secrets =
            UnboundKey::new(&AES_256_GCM, &secrets[..]).map_err(|_| CryptoError::Library("derive the master key"))?;
        Ok(Self {
            seed,
            hpke: HpkePrivateKey::from(x25519.to_vec()),
            secrets: LessSafeKey::new(secrets),
            public: MasterPublicKey { id: id_of(&point), x25519: point },
        })
    }

    /// The id that wrapped keys name.
    pub fn id(&self) -> KeyId {
        self.public.id
    }

    /// What proxies wrap data keys to.
    pub fn public(&self) -> MasterPublicKey {
        self.public.clone()
    }

    /// Unwraps a data key. Says nothing about who made it: see [`crate::data_key::verify_signer`].
    ///
    /// # Errors
    /// [`CryptoError::UnknownMasterKey`] if it is wrapped to another, [`CryptoError::Forged`] if it does not open.
    pub fn unwrap(&self, key: &SignedKey) -> Result<DataKey, CryptoError> {
        DataKey::new(key.key_id, &self.unwrap_bytes(key)?)
    }

    fn unwrap_bytes(&self, key: &SignedKey) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if key.master_key_id != self.public.id {
            return Err(CryptoError::UnknownMasterKey(key.master_key_id));
        }
        let aad = data_key_aad(key.key_id, key.master_key_id, key.created_at);
        SUITE
            .open(&EncapsulatedSecret(key.encapsulated.clone()), DATA_KEY_INFO, &aad, &key.wrapped, &self.hpke)
            .map(Zeroizing::new)
            .map_err(|_| CryptoError::Forged)
    }

    /// Seals a small secret. `context` says what it is for; only the same context opens it.
    ///
    /// Version 1 is: `1`, master key id (16), nonce (12), ciphertext and tag; the associated data is everything before
    /// the nonce and then the context.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn wrap_secret(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.seal_under(&self.secrets, context.as_bytes(), secret)
    }

    /// Opens what [`MasterKey::wrap_secret`] sealed for the same context.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if it is of another form, [`CryptoError::UnknownMasterKey`] if it names another key,
    /// [`CryptoError::Forged`] if it does not open.
    pub fn unwrap_secret(&self, context: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.open_under(&self.secrets, context.as_bytes(), wrapped)
    }

    /// A key of its own for one purpose (see [`crate::sealed_value`]).
    pub(crate) fn purpose_key(&self, purpose: &str) -> Result<LessSafeKey, CryptoError> {
        let bytes = derive(&self.seed, &[b"mb-sealed-value-1\0", purpose.as_bytes()].concat())?;
        UnboundKey::new(&AES_256_GCM, &bytes[..])
            .map(LessSafeKey::new)
            .map_err(|_| CryptoError::Library("derive the master key"))
    }

    /// 32 bytes of their own for one purpose.
    pub(crate) fn derived(&self, purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        derive(&self.seed, purpose)
    }

    /// Seals under a key derived from this one; the form is [`MasterKey::wrap_secret`]'s.
    pub(crate) fn seal_under(&self, key: &LessSafeKey, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let nonce = random::random_array::<NONCE_LEN>();
        let mut out = Vec::with_capacity(SECRET_HEADER + NONCE_LEN + secret.len() + TAG_LEN);
        out.push(SECRET_VERSION);
        out.extend_from_slice(self.public.id.as_bytes());
        let aad = [&out[..], context].concat();
        out.extend_from_slice(&nonce);
        out.extend_from_slice(secret);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                &mut out[SECRET_HEADER + NONCE_LEN..],
            )
            .map_err(|_| CryptoError::Library("seal a secret"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what [`MasterKey::seal_under`] sealed.
    pub(crate) fn open_under(
        &self,
        key: &LessSafeKey,
        context: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (header, id, sealed) = secret_header(wrapped)?;
        if id != self.public.id {
            return Err(CryptoError::UnknownMasterKey(id));
        }
        open(key, &[&header[..], context].concat(), sealed)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.public.id).finish_non_exhaustive()
    }
}

/// A sealed secret's header, the master key that it names, and what follows.
pub(crate) fn secret_header(wrapped: &[u8]) -> Result<(&[u8; SECRET_HEADER], KeyId, &[u8]), CryptoError> {
    let (header, sealed) = wrapped
        .split_first_chunk::<SECRET_HEADER>()
        .ok_or_else(|| CryptoError::malformed("sealed secret", "cut short"))?;
    let [version, id @ ..] = header;
    if *version != SECRET_VERSION {
        return Err(CryptoError::malformed("sealed secret", format!("version {version} is unknown")));
    }
    Ok((header, KeyId::from_bytes(*id), sealed))
}

/// Wraps a data key to `public`: the encapsulated key and the wrapped one.
pub(crate) fn wrap(
    public: &MasterPublicKey,
    key_id: KeyId,
    created_at: Timestamp,
    key: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    if public.id != id_of(&public.x25519) {
        return Err(CryptoError::malformed("master public key", "its id is another key's"));
    }
    SUITE
        .seal(DATA_KEY_INFO, &data_key_aad(key_id, public.id, created_at), key, &HpkePublicKey(public.x25519.clone()))
        .map(|(encapsulated, wrapped)| (encapsulated.0, wrapped))
        .map_err(|_| CryptoError::malformed("master public key", "no data key can be wrapped to it"))
}

/// Opens nonce, ciphertext and tag.
pub(crate) fn open(key: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CryptoError::Forged)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(CryptoError::Forged)?;
    let mut plain = Zeroizing::new(vec![0; ciphertext.len()]);
    key.open_separate_gather(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), ciphertext, tag, &mut plain)
        .map_err(|_| CryptoError::Forged)?;
    Ok(plain)
}

fn data_key_aad(key_id: KeyId, master_key_id: KeyId, created_at: Timestamp) -> [u8; 40] {
    let mut aad = [0; 40];
    aad[..16].copy_from_slice(key_id.as_bytes());
    aad[16..32].copy_from_slice(master_key_id.as_bytes());
    aad[32..].copy_from_slice(&created_at.micros().to_be_bytes());
    aad
}

fn id_of(x25519: &[u8]) -> KeyId {
    KeyId::from_bytes(head(&sha256(&[x25519])))
}

fn derive(seed: &Secret<[u8; 32]>, purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::Salt::none(hkdf::HKDF_SHA256)
        .extract(seed.expose())
        .expand(&[purpose], &AES_256_GCM)
        .and_then(|okm| okm.fill(&mut out[..]))
        .map_err(|_| CryptoError::Library("derive the master key"))?;
    Ok(out)
}

#[cfg(test)]
mod tests;
