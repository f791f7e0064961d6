//! Opened data keys by id.
//!
//! A key enters only after its record was proven: certificate of this CA, role proxy, valid when it signed, signature
//! good. After that every envelope under it costs one AES-GCM open and no signature check.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use mb_core::envelope::SignedKey;
use mb_core::{Identity, KeyId};
use mb_crypto::data_key::{self, DataKey};
use mb_crypto::master::MasterKey;
use mb_crypto::{CryptoError, TrustAnchors};

/// The most opened keys held; a proxy makes one an hour, so this is months of a large fleet's work at once.
const MAX_KEYS: usize = 8192;

/// A data key that is ready to open envelopes.
pub(crate) struct OpenedKey {
    pub(crate) record: Bytes,
    pub(crate) master_key_id: KeyId,
    pub(crate) created_at: mb_core::Timestamp,
    pub(crate) key: DataKey,
    /// The proxy that signed it.
    pub(crate) signer: Identity,
    stored: AtomicBool,
}

impl fmt::Debug for OpenedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedKey").field("signer", &self.signer.name).finish_non_exhaustive()
    }
}

impl OpenedKey {
    /// Whether the store is known to hold the record.
    pub(crate) fn is_stored(&self) -> bool {
        self.stored.load(Ordering::Acquire)
    }

    pub(crate) fn mark_stored(&self) {
        self.stored.store(true, Ordering::Release);
    }
}

/// Why a key record cannot be used; the code goes into the register answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BadKey {
    Malformed,
    Signer,
    Wrapping,
}

impl BadKey {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "key_malformed",
            Self::Signer => "key_signature_invalid",
            Self::Wrapping => "key_not_for_this_server",
        }
    }
}

#[derive(Debug)]
pub(crate) struct KeyRing {
    master: Arc<MasterKey>,
    anchors: TrustAnchors,
    opened: RwLock<HashMap<KeyId, Arc<OpenedKey>>>,
}

impl KeyRing {
    pub(crate) fn new(master: Arc<MasterKey>, ca_pem: &str) -> Result<Self, CryptoError> {
        Ok(Self { master, anchors: TrustAnchors::from_pem(ca_pem)?, opened: RwLock::default() })
    }

    pub(crate) fn find(&self, id: KeyId) -> Option<Arc<OpenedKey>> {
        self.opened.read().ok()?.get(&id).cloned()
    }

    /// As after a restart: every key has to be proven anew.
    #[cfg(test)]
    pub(crate) fn forget_all(&self) {
        self.opened.write().expect("nobody panicked with it").clear();
    }

    /// Proves a record and opens its key.
    pub(crate) fn open(&self, record: &[u8], stored: bool) -> Result<Arc<OpenedKey>, BadKey> {
        let signed = SignedKey::parse(record).map_err(|_| BadKey::Malformed)?;
        let proxy = data_key::verify_signer(&signed, &self.anchors).map_err(|_| BadKey::Signer)?;
        let key = self.master.unwrap(&signed).map_err(|_| BadKey::Wrapping)?;
        let opened = Arc::new(OpenedKey {
            record: Bytes::copy_from_slice(record),
            master_key_id: signed.master_key_id,
            created_at: signed.created_at,
            key,
            signer: proxy,
            stored: AtomicBool::new(stored),
        });
        if let Ok(mut ring) = self.opened.write() {
            if ring.len() >= MAX_KEYS {
                ring.clear();
            }
            return Ok(Arc::clone(ring.entry(signed.key_id).or_insert(opened)));
        }
        Ok(opened)
    }
}
