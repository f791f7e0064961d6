//! What waits to be written: bounded, and drained as a whole by the one writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mb_core::{KeyId, MessageId};
use tokio::sync::oneshot;

use super::format::{GROUP_HEADER, Kind, Label, SECTOR, frame_size};
use super::{Append, Appended};
use crate::error::{AppendError, AppendFailed};

/// Bytes of envelopes that may wait; one call is taken whatever its size.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// An entry to write.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) label: Label,
    pub(crate) envelope: Bytes,
    /// Empty for an entry that comes without its key.
    pub(crate) key: Bytes,
    pub(crate) tag: Option<[u8; 16]>,
    /// An operator wants it forwarded whatever its age; such an entry has no tag.
    pub(crate) replayed: bool,
}

/// Answer to one entry.
pub(crate) type OneReply = oneshot::Sender<Result<Appended, AppendError>>;
/// Answer to several.
pub(crate) type ManyReply = oneshot::Sender<Result<Vec<Appended>, AppendFailed>>;

/// Entries that are answered together.
#[derive(Debug)]
pub(crate) enum Call {
    /// One entry, without a list around it.
    One(Incoming, OneReply),
    /// Several.
    Many(Vec<Incoming>, ManyReply),
}

/// The calls that wait, and the writer's bell.
#[derive(Debug)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    bell: Condvar,
    max_entries: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: VecDeque<Call>,
    entries: usize,
    bytes: usize,
    asleep: bool,
    closed: bool,
}

impl Incoming {
    /// Checks that the parts belong together and fit into a segment whose groups have this much room.
    pub(crate) fn new(append: Append, room: u64) -> Result<Self, AppendError> {
        let Append { id, envelope, key, tag } = append;
        let label = Label::of(&envelope).filter(|label| label.id == id).ok_or(AppendError::Unfit)?;
        if mb_core::envelope::SignedKey::peek_id(&key) != Some(label.key_id) {
            return Err(AppendError::Unfit);
        }
        let entry = Self { label, envelope, key, tag, replayed: false };
        entry.checked(room)
    }

    pub(crate) fn checked(self, room: u64) -> Result<Self, AppendError> {
        let fits = (GROUP_HEADER + self.size(true)) as u64 + SECTOR <= room;
        if fits { Ok(self) } else { Err(AppendError::Unfit) }
    }

    pub(crate) fn id(&self) -> MessageId {
        self.label.id
    }

    pub(crate) fn key_id(&self) -> KeyId {
        self.label.key_id
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.tag {
            Some(_) => Kind::Tagged,
            None if self.replayed => Kind::Replayed,
            None => Kind::Message,
        }
    }

    /// The tag as it stands in front of the envelope.
    pub(crate) fn tag_bytes(&self) -> &[u8] {
        self.tag.as_ref().map_or(&[], <[u8; 16]>::as_slice)
    }

    /// Bytes of its frames, with or without its key's.
    pub(crate) fn size(&self, with_key: bool) -> usize {
        let key = if with_key && !self.key.is_empty() { frame_size(self.key.len()) } else { 0 };
        key + frame_size(self.tag_bytes().len() + self.envelope.len())
    }
}

impl Call {
    fn size(&self) -> (usize, usize) {
        match self {
            Self::One(entry, _) => (1, entry.envelope.len()),
            Self::Many(entries, _) => (entries.len(), entries.iter().map(|entry| entry.envelope.len()).sum()),
        }
    }
}

impl Waiting {
    fn take(&mut self, calls: &mut VecDeque<Call>) {
        self.entries = 0;
        self.bytes = 0;
        std::mem::swap(&mut self.calls, calls);
    }
}

impl Inbox {
    pub(crate) fn new(max_entries: usize) -> Self {
        Self { waiting: Mutex::default(), bell: Condvar::new(), max_entries }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call unless too much waits already.
    pub(crate) fn push(&self, call: Call) -> Result<(), AppendError> {
        let (entries, bytes) = call.size();
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(AppendError::Closed);
        }
        let is_over = waiting.entries + entries > self.max_entries || waiting.bytes + bytes > MAX_WAITING_BYTES;
        if is_over && !waiting.calls.is_empty() {
            return Err(AppendError::Overloaded);
        }
        waiting.entries += entries;
        waiting.bytes += bytes;
        waiting.calls.push_back(call);
        // While the writer is at the disk it looks here again by itself, so most calls need no wake-up.
        if waiting.asleep {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Takes what waits; sleeps until there is something. `false` when the inbox is closed and everything was taken.
    pub(crate) fn drain(&self, calls: &mut VecDeque<Call>) -> bool {
        let mut waiting = self.lock();
        while waiting.calls.is_empty() {
            if waiting.closed {
                return false;
            }
            waiting.asleep = true;
            waiting = self.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.asleep = false;
        }
        waiting.take(calls);
        true
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::support::message;

    fn call(entries: u32) -> Call {
        let entries = (0..entries).map(|n| Incoming::new(message(n), 1 << 20).expect("fits")).collect();
        Call::Many(entries, oneshot::channel().0)
    }

    #[test]
    fn what_waits_is_bounded_and_the_writer_makes_room() {
        let inbox = Inbox::new(100);
        assert_eq!(inbox.push(call(60)), Ok(()));
        assert_eq!(inbox.push(call(60)), Err(AppendError::Overloaded));
        assert_eq!(inbox.push(call(40)), Ok(()));
        let mut calls = VecDeque::new();
        assert!(inbox.drain(&mut calls));
        assert_eq!(calls.len(), 2);
        assert_eq!(inbox.push(call(200)), Ok(()), "alone, a call is taken whatever its size");
        assert_eq!(inbox.push(call(1)), Err(AppendError::Overloaded));
    }

    #[test]
    fn what_was_taken_before_the_end_is_still_given_out() {
        let inbox = Inbox::new(100);
        assert_eq!(inbox.push(call(1)), Ok(()));
        inbox.close();
        assert_eq!(inbox.push(call(1)), Err(AppendError::Closed));
        let mut calls = VecDeque::new();
        assert!(inbox.drain(&mut calls));
        calls.clear();
        assert!(!inbox.drain(&mut calls));
    }
}
