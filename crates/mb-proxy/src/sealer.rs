//! The data key in use, and the secret that makes content tags.
//!
//! A data key is made at start, every hour, every 2^20 messages and when the main server's key changes (design, 6). Making
//! one takes well under a millisecond, so whoever finds the old one spent makes the next.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use bytes::Bytes;
use mb_core::policy::MasterPublicKey;
use mb_core::{KeyId, Secret, Timestamp, hex};
use mb_crypto::CryptoError;
use mb_crypto::data_key::{SealingKey, Signer};

/// A data key with the record that must travel with its envelopes.
pub(crate) struct ActiveKey {
    pub(crate) sealing: SealingKey,
    pub(crate) record: Bytes,
    master_key_id: KeyId,
}

pub(crate) struct Sealer {
    signer: ArcSwap<Signer>,
    current: Mutex<Option<Arc<ActiveKey>>>,
    idempotency: Secret<[u8; 32]>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    pub(crate) fn open(signer: Signer, secret_path: &Path) -> Result<Self, CryptoError> {
        let secret = if secret_path.exists() {
            let text = mb_crypto::files::read_private(secret_path)?;
            hex::decode(text.expose().trim()).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
                CryptoError::Malformed { what: "idempotency.key", detail: "64 hexadecimal digits expected".to_owned() }
            })?
        } else {
            let secret: [u8; 32] = mb_crypto::random::random_array();
            mb_crypto::files::write_private(secret_path, hex::encode(&secret).as_bytes())?;
            secret
        };
        Ok(Self { signer: ArcSwap::from_pointee(signer), current: Mutex::new(None), idempotency: Secret::new(secret) })
    }

    /// Signs later data keys with another certificate. The one in use stays: it is judged as of when it was signed.
    pub(crate) fn adopt(&self, signer: Signer) {
        self.signer.store(Arc::new(signer));
    }

    /// Keys content tags to this proxy, so that a stolen journal alone allows no guessing.
    pub(crate) fn idempotency_secret(&self) -> &[u8; 32] {
        self.idempotency.expose()
    }

    /// The key to seal the next message with.
    ///
    /// # Panics
    /// Never: no code panics while it holds the lock.
    pub(crate) fn key(&self, master: &MasterPublicKey, now: Timestamp) -> Result<Arc<ActiveKey>, CryptoError> {
        let mut current = self.current.lock().expect("no code panics while it holds this lock");
        if let Some(key) = current.as_ref().filter(|key| key.is_fresh(master, now)) {
            return Ok(Arc::clone(key));
        }
        let (sealing, signed) = SealingKey::new(master, &self.signer.load(), now)?;
        let key = Arc::new(ActiveKey { sealing, record: signed.encode().into(), master_key_id: master.id });
        *current = Some(Arc::clone(&key));
        Ok(key)
    }
}

impl ActiveKey {
    fn is_fresh(&self, master: &MasterPublicKey, now: Timestamp) -> bool {
        // A key from the future was made before the clock was set back: its records would look unsigned-for.
        self.master_key_id == master.id && !self.sealing.is_spent(now) && now >= self.sealing.created_at()
    }
}
