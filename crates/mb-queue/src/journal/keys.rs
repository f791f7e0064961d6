//! The signed keys used lately, so that handing over an entry does not read its key from the disk each time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mb_core::KeyId;

/// A proxy makes a key an hour: this many serve days of backlog.
const CAPACITY: usize = 64;

/// Signed keys by id; the one used longest ago makes room.
#[derive(Debug, Default)]
pub(crate) struct KeyCache {
    keys: Mutex<VecDeque<(KeyId, Bytes)>>,
}

impl KeyCache {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(KeyId, Bytes)>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, id: KeyId, key: Bytes) {
        let mut keys = self.lock();
        if !keys.iter().any(|(known, _)| *known == id) {
            keys.truncate(CAPACITY - 1);
            keys.push_front((id, key));
        }
    }

    pub(crate) fn find(&self, id: KeyId) -> Option<Bytes> {
        let mut keys = self.lock();
        let at = keys.iter().position(|(known, _)| *known == id)?;
        let key = keys[at].1.clone();
        if at > 0 {
            keys.swap(0, at);
        }
        Some(key)
    }
}
