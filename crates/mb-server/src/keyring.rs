//! Opened data keys by id.
//!
//! A key enters only after its record was proven: certificate of this CA, role proxy, valid when it signed, signature
//! good. After that every envelope under it costs one AES-GCM open and no signature check.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use mb_core::envelope::SignedKey;
use mb_core::{Identity, KeyId};
use mb_crypto::data_key::{self, DataKey};
use mb_crypto::master::MasterKeys;
use mb_crypto::{CryptoError, TrustAnchors};
use mb_store::DataKeyRow;

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
    /// This server does not have the master key.
    UnknownMaster(KeyId),
    Wrapping,
}

impl BadKey {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "key_malformed",
            Self::Signer => "key_signature_invalid",
            Self::UnknownMaster(_) => "key_not_for_this_server",
            Self::Wrapping => "key_wrapping_invalid",
        }
    }
}

#[derive(Debug)]
pub(crate) struct KeyRing {
    master: Arc<MasterKeys>,
    /// Of those CAs too that are trusted for what was signed in the past alone.
    anchors: ArcSwap<TrustAnchors>,
    opened: RwLock<HashMap<KeyId, Arc<OpenedKey>>>,
}

impl KeyRing {
    pub(crate) fn new(master: Arc<MasterKeys>, ca_pem: &str) -> Result<Self, CryptoError> {
        let anchors = ArcSwap::from_pointee(TrustAnchors::from_pem(ca_pem)?);
        Ok(Self { master, anchors, opened: RwLock::default() })
    }

    /// From now on records are held against these CAs.
    pub(crate) fn trust(&self, anchors: TrustAnchors) {
        self.anchors.store(Arc::new(anchors));
    }

    /// The CAs that records are held against.
    pub(crate) fn anchors(&self) -> Arc<TrustAnchors> {
        self.anchors.load_full()
    }

    pub(crate) fn find(&self, id: KeyId) -> Option<Arc<OpenedKey>> {
        self.opened.read().ok()?.get(&id).cloned()
    }

    /// As after a restart: every key has to be proven and unwrapped anew.
    pub(crate) fn forget_all(&self) {
        self.opened.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Proves a record that comes with messages and opens its key.
    pub(crate) fn open(&self, record: &[u8]) -> Result<Arc<OpenedKey>, BadKey> {
        self.open_as(record, None, false)
    }

    /// The same with one that is stored, whose key may have been sealed anew.
    pub(crate) fn open_stored(&self, row: &DataKeyRow) -> Result<Arc<OpenedKey>, BadKey> {
        self.open_as(&row.record, row.rewrapped.as_deref(), true)
    }

    fn open_as(&self, record: &[u8], rewrapped: Option<&[u8]>, stored: bool) -> Result<Arc<OpenedKey>, BadKey> {
        let signed = SignedKey::parse(record).map_err(|_| BadKey::Malformed)?;
        let proxy = data_key::verify_signer(&signed, &self.anchors.load()).map_err(|_| BadKey::Signer)?;
        let key = match rewrapped {
            Some(sealed) => self.master.unwrap_again(&signed, sealed),
            None => self.master.unwrap(&signed),
        };
        let key = key.map_err(|error| match error {
            CryptoError::UnknownMasterKey(id) => BadKey::UnknownMaster(id),
            _ => BadKey::Wrapping,
        })?;
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
