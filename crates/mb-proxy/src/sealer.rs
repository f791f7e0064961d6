//! The data key in use, and the secret that makes content tags.
//!
//! A data key is made at start, every hour, every 2^20 messages and when the main server's key changes (design, 6). Making
//! one takes well under a millisecond, so whoever finds the old one spent makes the next.
//!
//! A message that is sealed under a key that the main server will not take is lost to its client, whom 202 told otherwise.
//! So the certificate is looked at before every message, and every new key goes through the main server's own check once.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use bytes::Bytes;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{Identity, KeyId, Policy, Secret, Timestamp, hex};
use mb_crypto::data_key::{SealingKey, Signer, verify_signer};
use mb_crypto::{CryptoError, TrustAnchors};

/// A data key with the record that must travel with its envelopes.
pub(crate) struct ActiveKey {
    pub(crate) sealing: SealingKey,
    pub(crate) record: Bytes,
    master_key_id: KeyId,
    /// Whose certificate signed it.
    signer: Identity,
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
    /// # Errors
    /// `proxy_untrusted` if the certificate is revoked, has expired or is not of the policy's CA; `internal` if no key can
    /// be made.
    ///
    /// # Panics
    /// Never: no code panics while it holds the lock.
    pub(crate) fn key(&self, policy: &Policy, now: Timestamp) -> Result<Arc<ActiveKey>, ApiError> {
        let signer = self.signer.load();
        if policy.is_revoked(signer.identity()) {
            return Err(untrusted("this proxy's certificate was revoked"));
        }
        let signing_time = signer.signing_time(now).map_err(refused)?;
        let mut current = self.current.lock().expect("no code panics while it holds this lock");
        if let Some(key) = current.as_ref().filter(|key| key.is_fresh(policy, signing_time)) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(ActiveKey::new(policy, &signer, now).map_err(refused)?);
        *current = Some(Arc::clone(&key));
        Ok(key)
    }
}

impl ActiveKey {
    fn new(policy: &Policy, signer: &Signer, now: Timestamp) -> Result<Self, CryptoError> {
        let (sealing, record) = SealingKey::new(&policy.master_key, signer, now)?;
        let signer = verify_signer(&record, &TrustAnchors::from_pem(&policy.ca_pem)?)?;
        Ok(Self { sealing, record: record.encode().into(), master_key_id: policy.master_key.id, signer })
    }

    fn is_fresh(&self, policy: &Policy, signing_time: Timestamp) -> bool {
        // A key from the future was made before the clock was set back: its records would look unsigned-for.
        self.master_key_id == policy.master_key.id
            && !self.sealing.is_spent(signing_time)
            && signing_time >= self.sealing.created_at()
            && !policy.is_revoked(&self.signer)
    }
}

fn refused(error: CryptoError) -> ApiError {
    let detail = match &error {
        CryptoError::OutsideValidity => "this proxy's certificate is not valid at this time",
        CryptoError::Untrusted(_) | CryptoError::Forged | CryptoError::WrongRole(_) => {
            "the main server would not take this proxy's certificate"
        }
        _ => return ApiError::new(ProblemCode::Internal, "the message cannot be sealed now").caused_by(error),
    };
    untrusted(detail).caused_by(error)
}

/// Nothing is accepted, for nobody would take it over.
fn untrusted(detail: &'static str) -> ApiError {
    ApiError::new(ProblemCode::ProxyUntrusted, detail)
}
