//! Reading one segment from end to end, when its index does not say what it holds.
//!
//! What counts as durable is proven by what was written later: a group header says which offset was durable before it, and
//! the first group of the next segment says which sequence was. Damage before that is corruption: it is stepped over and
//! reported. Damage at or after it is the torn tail of a write that nobody was answered for: it is cut.

use std::io;
use std::ops::Range;

use mb_core::envelope::SignedKey;
use mb_core::{KeyId, MessageId};

use crate::disk::File;
use crate::journal::format::{DATA_START, Frame, Label, SegmentHeader, next_first_seq, seed, to_u32, to_usize};
use crate::journal::index::MemoryIndex;
use crate::journal::scan::{Scanner, Step};
use crate::journal::segment::Marks;

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// A segment as it was found.
#[derive(Debug)]
pub(super) struct Rescanned {
    pub(super) marks: Marks,
    pub(super) index: MemoryIndex,
    /// Something acknowledged, or between such, could not be read.
    pub(super) is_damaged: bool,
    /// What is not proven to be durable, although it counts.
    unproven: Range<u64>,
}

/// A frame that was read.
#[derive(Debug)]
struct Seen {
    seq: u64,
    offset: u64,
    end: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Key(Option<KeyId>),
    Message(Option<MessageId>),
}

/// What a walk through the whole file saw.
#[derive(Debug)]
struct Walk {
    seen: Vec<Seen>,
    damage: Vec<Range<u64>>,
    /// Everything before this offset was durable once.
    durable: u64,
    /// And everything up to this sequence.
    durable_seq: u64,
    /// What the first group says was durable before it.
    follows: Option<u64>,
}

/// Reads a segment. `limit_seq` is the last sequence of it that counts, as far as a later segment says so.
pub(super) fn rescan(file: &File, header: &SegmentHeader, limit_seq: Option<u64>) -> io::Result<Rescanned> {
    let size = file.len()?;
    let first_seq = header.first_seq;
    let mut walk = walk(file, header, size)?;
    // If the segment after this one is missing, a later one says nothing about where this one ends.
    let limit_seq = limit_seq.filter(|last| *last < next_first_seq(first_seq, header.capacity));
    if let Some(last) = limit_seq {
        walk.seen.retain(|seen| seen.seq <= last);
        walk.durable_seq = last.max(first_seq - 1);
    } else {
        let torn = walk.damage.iter().find(|range| range.start >= walk.durable);
        let cut = torn.map_or(size, |range| range.start);
        walk.seen.retain(|seen| seen.offset < cut);
    }
    let messages = || walk.seen.iter().filter(|seen| matches!(seen.what, What::Message(_)));
    let next_seq = messages().map(|seen| seen.seq + 1).max().unwrap_or(first_seq).max(walk.durable_seq + 1);
    let found = messages().filter(|seen| seen.seq <= walk.durable_seq).count() as u64;
    let lost = (walk.durable_seq + 1 - first_seq).saturating_sub(found);
    let end = walk.seen.iter().map(|seen| seen.end).max().unwrap_or(DATA_START);
    let proven = if limit_seq.is_some() { end } else { walk.durable };
    let is_damaged = lost > 0 || walk.damage.iter().any(|range| range.start < proven);

    let mut marks = Marks::fresh(header, size);
    (marks.end, marks.next_seq, marks.follows) = (end, next_seq, walk.follows);
    (marks.damaged, marks.sealed) = (lost, true);
    let mut index = MemoryIndex::sized_for(walk.seen.len());
    for seen in &walk.seen {
        match seen.what {
            What::Message(Some(id)) => index.insert(id, to_u32(seen.offset)),
            What::Key(Some(id)) => marks.keys.push((id, to_u32(seen.offset))),
            What::Key(None) | What::Message(None) => {}
        }
    }
    Ok(Rescanned { marks, index, is_damaged, unproven: proven.min(end)..end })
}

impl Rescanned {
    /// Makes the file hold exactly what counts, durably. What is not proven is written again: after a sync that failed
    /// before the start, its pages may be in memory only and yet count as clean. Returns how many bytes were cut.
    pub(super) fn settle(&self, file: &File) -> io::Result<u64> {
        let mut piece = vec![0; to_usize(self.unproven.end - self.unproven.start)];
        file.read_exact_at(&mut piece, self.unproven.start)?;
        file.write_all_at(&piece, self.unproven.start)?;
        let size = file.len()?;
        let end = self.marks.end.min(size);
        let mut tail = vec![0; to_usize(size - end).min(CHUNK)];
        let read = file.read_at(&mut tail, end)?;
        let cut = tail[..read].iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        file.set_len(end)?;
        file.sync_all()?;
        Ok(cut)
    }
}

fn walk(file: &File, header: &SegmentHeader, size: u64) -> io::Result<Walk> {
    let mut scanner = Scanner::new(seed(&header.id), DATA_START, header.first_seq, header.capacity);
    let mut walk = Walk {
        seen: Vec::new(),
        damage: Vec::new(),
        durable: DATA_START,
        durable_seq: header.first_seq - 1,
        follows: None,
    };
    let mut window = Vec::new();
    let mut base = 0;
    loop {
        match scanner.step(&window, base, size) {
            Step::End => return Ok(walk),
            Step::Damage(range) => walk.damage.push(range),
            Step::Need(need) => {
                base = scanner.pos();
                let len = to_usize(size.saturating_sub(base)).min(CHUNK.max(need));
                window.resize(len, 0);
                let read = file.read_sound_at(&mut window, base)?;
                window[read..].fill(0);
            }
            Step::Group(group, _) => {
                walk.durable = walk.durable.max(group.durable);
                if group.follows >= header.first_seq {
                    walk.durable_seq = walk.durable_seq.max(group.follows);
                } else {
                    walk.follows = Some(group.follows);
                }
            }
            Step::Frame(frame, offset) => walk.seen.push(seen(&frame, offset)),
        }
    }
}

fn seen(frame: &Frame<'_>, offset: u64) -> Seen {
    let what = if frame.is_message() {
        What::Message(Label::of(frame.envelope()).map(|label| label.id))
    } else {
        What::Key(SignedKey::peek_id(frame.payload))
    };
    Seen { seq: frame.seq, offset, end: offset + frame.size(), what }
}
