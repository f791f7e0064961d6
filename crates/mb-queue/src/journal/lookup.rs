//! Finding entries by id, and reading entries back from their segments.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use mb_core::envelope::Envelope;
use mb_core::{KeyId, MessageId};

use super::Shared;
use super::format::{Frame, FrameRead, Label, frame_size, share, to_usize};
use super::segment::{Segment, Stored};
use super::status::Found;
use super::window::{Tag, Taken};

/// Entries whose frames lie close together are read at once, up to this size...
const SPAN: u64 = 1 << 20;
/// ...and across gaps up to this.
const GAP: u64 = 32 << 10;

/// Entries with their envelopes.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) entries: Vec<(Handed, Bytes)>,
    /// The signed keys that they use.
    pub(crate) keys: Vec<Bytes>,
    /// Something could not be read now; it is not among the entries and is tried again later.
    pub(crate) failed: bool,
}

/// What of a taken entry goes to a worker beside the envelope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed {
    pub(crate) tag: Tag,
    pub(crate) deliveries: u32,
}

impl Shared {
    /// Looks for entries on this disk.
    pub(crate) fn find(&self, ids: &[MessageId]) -> Vec<Option<Found>> {
        let watermark = self.handover.watermark().seq;
        let find = |id: &MessageId| {
            let (_, stored) = self.lookup(*id)?;
            let header = Envelope::parse(&stored.body).ok()?.header;
            Some(Found { queued_at: header.queued_at, header, confirmed: stored.seq < watermark })
        };
        ids.iter().map(find).collect()
    }

    /// Reads an entry, newest segment first. One that cannot be read is as one that is not there: whoever asks has another
    /// way to go on.
    pub(crate) fn lookup(&self, id: MessageId) -> Option<(Arc<Segment>, Stored)> {
        for segment in self.table.all().into_iter().rev() {
            let offset = match segment.offset_of(id) {
                Ok(offset) => offset,
                Err(error) => {
                    // Clients ask thousands of times a second.
                    if self.health.no_index.raise() {
                        tracing::warn!(error = %error, path = %segment.path.display(), "journal index cannot be read");
                    }
                    continue;
                }
            };
            let stored = offset.and_then(|offset| segment.frame_at(offset).ok().flatten());
            if let Some(stored) = stored.filter(|stored| Label::of(&stored.body).is_some_and(|label| label.id == id)) {
                return Some((segment, stored));
            }
        }
        None
    }

    /// Gets the envelopes of taken entries and the keys that they use; reads what is not in memory.
    pub(crate) fn fetch(&self, mut taken: Vec<Taken>) -> Fetched {
        let mut fetched = Fetched::default();
        let mut lost = Vec::new();
        self.read_missing(&mut taken, &mut fetched.failed, &mut lost);
        let mut key_ids: Vec<KeyId> = Vec::new();
        fetched.entries.reserve(taken.len());
        for entry in taken {
            let Some(envelope) = entry.bytes else { continue };
            if let Some(label) = Label::of(&envelope)
                && !key_ids.contains(&label.key_id)
            {
                key_ids.push(label.key_id);
                fetched.keys.extend(self.key(label.key_id, entry.seq));
            }
            fetched.entries.push((Handed { tag: entry.tag, deliveries: entry.deliveries }, envelope));
        }
        if !lost.is_empty() {
            self.handover.settle(lost.into_iter());
        }
        fetched
    }

    /// The signed keys of all segments that are here, each once.
    pub(crate) fn signed_keys(&self) -> io::Result<Vec<Bytes>> {
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        for segment in self.table.all() {
            let ids = segment.marks().keys.iter().map(|(id, _)| *id).collect::<Vec<_>>();
            for id in ids {
                if seen.insert(id) {
                    found.extend(self.keys.find(id).map_or_else(|| segment.key(id), |key| Ok(Some(key)))?);
                }
            }
        }
        Ok(found)
    }

    fn key(&self, id: KeyId, seq: u64) -> Option<Bytes> {
        self.keys.find(id).or_else(|| {
            let key = self.table.of_seq(seq)?.key(id).ok().flatten()?;
            self.keys.add(id, key.clone());
            Some(key)
        })
    }

    /// Reads the envelopes that are not in memory, neighbours together. Places of damaged ones go to `lost`.
    fn read_missing(&self, taken: &mut [Taken], failed: &mut bool, lost: &mut Vec<u64>) {
        let mut missing: Vec<&mut Taken> = taken.iter_mut().filter(|entry| entry.bytes.is_none()).collect();
        missing.sort_unstable_by_key(|entry| entry.seq);
        let mut rest = &mut missing[..];
        while let Some(first) = rest.first() {
            let Some(segment) = self.table.of_seq(first.seq) else {
                // Only confirmed segments are dropped, so this was confirmed since it was taken.
                rest = &mut rest[1..];
                continue;
            };
            let span_len = span(&segment, rest);
            let (span, behind) = rest.split_at_mut(span_len);
            rest = behind;
            match read_span(&segment, span) {
                Ok(damaged) if damaged.is_empty() => self.health.read_failed.clear(),
                Ok(damaged) => {
                    self.report_damage(&segment, damaged.len() as u64);
                    lost.extend(damaged);
                }
                Err(error) => {
                    *failed = true;
                    if self.health.read_failed.raise() {
                        tracing::error!(error = %error, path = %segment.path.display(), "journal cannot be read");
                    }
                }
            }
        }
    }

    /// Counts entries of a segment that cannot be read any more, and has it copied for whoever may rescue them.
    pub(crate) fn report_damage(&self, segment: &Arc<Segment>, lost: u64) {
        let mut marks = segment.marks();
        let is_news = marks.damaged < lost;
        marks.damaged = marks.damaged.max(lost);
        drop(marks);
        if is_news {
            tracing::error!(path = %segment.path.display(), lost, "journal segment is damaged");
        }
        self.health.want_copy(segment);
        self.keeper.ring();
    }
}

fn frame_end(entry: &Taken) -> u64 {
    u64::from(entry.offset) + frame_size(to_usize(u64::from(entry.len))) as u64
}

/// How many of the entries, which are in order, can be read from the segment at once.
fn span(segment: &Segment, entries: &[&mut Taken]) -> usize {
    let next_seq = segment.marks().next_seq;
    let start = u64::from(entries[0].offset);
    let mut end = frame_end(entries[0]);
    let mut count = 1;
    for entry in &entries[1..] {
        let offset = u64::from(entry.offset);
        if entry.seq >= next_seq || offset > end + GAP || frame_end(entry) - start > SPAN {
            break;
        }
        end = frame_end(entry);
        count += 1;
    }
    count
}

/// Reads a span of entries; returns the places of damaged ones.
fn read_span(segment: &Segment, entries: &mut [&mut Taken]) -> std::io::Result<Vec<u64>> {
    let start = u64::from(entries[0].offset);
    let end = entries.iter().map(|entry| frame_end(entry)).max().unwrap_or(start);
    let bytes = Bytes::from(segment.read(start, to_usize(end - start))?);
    let mut damaged = Vec::new();
    for entry in entries {
        let at = to_usize(u64::from(entry.offset) - start);
        match Frame::read(bytes.get(at..).unwrap_or_default(), segment.seed) {
            FrameRead::Whole(frame) if frame.seq == entry.seq && frame.is_message() => {
                entry.bytes = Some(share(&bytes, frame.envelope()));
            }
            _ => damaged.push(entry.tag.place),
        }
    }
    Ok(damaged)
}
