//! Walking through a segment's groups and frames, and finding the way again behind damage.
//!
//! Recovery and the cursor use the same walk. The caller holds a window of the file; the scanner says when it needs more.
//! Behind damage it tries every place where a group or a frame may start: a sequence that fits and a checksum that holds
//! make a chance hit as unlikely as 2^-70, so one broken frame never hides its neighbours.

use std::ops::Range;

use super::format::{FRAME_ALIGN, frame_size};
use super::format::{FRAME_HEADER, Frame, FrameRead, GROUP_HEADER, GroupHeader, SECTOR, next_first_seq, to_usize};

/// Where a walk through one segment stands.
#[derive(Clone, Debug)]
pub(crate) struct Scanner {
    seed: u32,
    /// Everything before is dealt with.
    pos: u64,
    group_end: u64,
    next_seq: u64,
    seq_end: u64,
    lost: Option<Lost>,
}

/// Where the way was lost, and whether only zeros were seen since.
#[derive(Clone, Copy, Debug)]
struct Lost {
    from: u64,
    blank: bool,
}

enum Place {
    Sound,
    Short(usize),
    Nothing,
}

/// What comes next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// A group's header and its offset.
    Group(GroupHeader, u64),
    /// A frame and its offset.
    Frame(Frame<'a>, u64),
    /// The window must hold this many bytes from [`Scanner::pos`] on.
    Need(usize),
    /// Bytes that hold nothing readable and are not blank; the walk goes on behind them.
    Damage(Range<u64>),
    /// Nothing follows before the limit.
    End,
}

impl Scanner {
    pub(crate) fn new(seed: u32, start: u64, first_seq: u64, capacity: u64) -> Self {
        let seq_end = next_first_seq(first_seq, capacity);
        Self { seed, pos: start, group_end: 0, next_seq: first_seq, seq_end, lost: None }
    }

    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }

    /// The next thing in the file. `window` holds the file from `base` on, and nothing at or after `limit` counts.
    pub(crate) fn step<'a>(&mut self, window: &'a [u8], base: u64, limit: u64) -> Step<'a> {
        loop {
            if let Some(lost) = self.lost {
                return self.resync(window, base, limit, lost);
            }
            if self.pos >= self.group_end {
                self.pos = self.pos.next_multiple_of(SECTOR);
                if self.pos + GROUP_HEADER as u64 > limit {
                    self.pos = self.pos.max(limit);
                    return Step::End;
                }
                let rest = view(window, base, self.pos, limit);
                if rest.len() < GROUP_HEADER {
                    return Step::Need(GROUP_HEADER);
                }
                let offset = self.pos;
                if let Some(header) = GroupHeader::decode(rest, self.seed, offset) {
                    self.group_end = offset + u64::from(header.len);
                    self.pos = offset + GROUP_HEADER as u64;
                    return Step::Group(header, offset);
                }
                self.lose();
                continue;
            }
            let end = self.group_end.min(limit);
            if end < self.pos + FRAME_HEADER as u64 {
                self.pos = if end == limit { limit } else { self.group_end };
                if end == limit {
                    return Step::End;
                }
                continue;
            }
            match Frame::read(view(window, base, self.pos, end), self.seed) {
                FrameRead::Whole(frame) if self.fits(frame.seq) => {
                    let offset = self.pos;
                    self.pass(&frame);
                    return Step::Frame(frame, offset);
                }
                FrameRead::Short(need) if self.pos + need as u64 <= end => return Step::Need(need),
                _ => self.lose(),
            }
        }
    }

    fn fits(&self, seq: u64) -> bool {
        (self.next_seq..self.seq_end).contains(&seq)
    }

    fn pass(&mut self, frame: &Frame<'_>) {
        self.pos += frame.size();
        self.next_seq = frame.seq + u64::from(frame.is_message());
    }

    fn lose(&mut self) {
        self.lost = Some(Lost { from: self.pos, blank: true });
    }

    /// Looks for the next group or frame behind the place where the way was lost.
    fn resync<'a>(&mut self, window: &'a [u8], base: u64, limit: u64, mut lost: Lost) -> Step<'a> {
        while self.pos < limit {
            let rest = view(window, base, self.pos, limit);
            let ahead = to_usize((limit - self.pos).min(SECTOR));
            if rest.len() < ahead {
                self.lost = Some(lost);
                return Step::Need(ahead);
            }
            if self.pos.is_multiple_of(SECTOR) && rest[..ahead].iter().all(|byte| *byte == 0) {
                self.pos += ahead as u64;
                continue;
            }
            if self.pos > lost.from {
                match self.try_here(rest, limit) {
                    Place::Sound => break,
                    Place::Short(need) => {
                        self.lost = Some(lost);
                        return Step::Need(need);
                    }
                    Place::Nothing => {}
                }
            }
            let step = rest.len().min(to_usize(FRAME_ALIGN));
            lost.blank &= rest[..step].iter().all(|byte| *byte == 0);
            self.pos += FRAME_ALIGN;
        }
        self.lost = None;
        if self.pos < limit {
            return Step::Damage(lost.from..self.pos);
        }
        self.pos = limit;
        self.group_end = 0;
        if lost.blank { Step::End } else { Step::Damage(lost.from..limit) }
    }

    /// Whether a group or a frame starts at the current position; if so, the walk can go on there.
    fn try_here(&mut self, rest: &[u8], limit: u64) -> Place {
        if self.pos.is_multiple_of(SECTOR) && GroupHeader::decode(rest, self.seed, self.pos).is_some() {
            self.group_end = self.pos;
            return Place::Sound;
        }
        let Some((len, seq, _)) = Frame::plausible(rest) else { return Place::Nothing };
        if !self.fits(seq) || self.pos + frame_size(len) as u64 > limit {
            return Place::Nothing;
        }
        match Frame::read(rest, self.seed) {
            FrameRead::Whole(_) => {
                if self.pos >= self.group_end {
                    self.group_end = u64::MAX;
                }
                Place::Sound
            }
            FrameRead::Short(need) => Place::Short(need),
            FrameRead::Bad => Place::Nothing,
        }
    }
}

/// The part of the window from `pos` to `end`.
fn view(window: &[u8], base: u64, pos: u64, end: u64) -> &[u8] {
    let start = to_usize(pos - base).min(window.len());
    let end = to_usize(end.saturating_sub(base)).min(window.len());
    &window[start..end.max(start)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::format::{DATA_START, Kind};
    use super::*;

    const SEED: u32 = 77;

    /// Groups of frames with payloads of these lengths; the file and each frame's place in it.
    fn file(groups: &[Vec<usize>]) -> (Vec<u8>, Vec<(u64, Range<u64>)>) {
        let mut bytes = vec![0; to_usize(DATA_START)];
        let (mut frames, mut seq) = (Vec::new(), 1);
        for group in groups {
            let start = bytes.len();
            bytes.resize(start + GROUP_HEADER, 0);
            for len in group {
                let at = bytes.len() as u64;
                let filler = u8::try_from(len % 251).expect("small");
                Frame::put(&mut bytes, SEED, seq, Kind::Message, [&vec![filler; *len], &[]]);
                frames.push((seq, at..bytes.len() as u64));
                seq += 1;
            }
            let len = u32::try_from(bytes.len() - start).expect("small");
            let header = GroupHeader { len, frames: 0, durable: start as u64, follows: 0 };
            bytes[start..start + GROUP_HEADER].copy_from_slice(&header.encode(SEED, start as u64));
            bytes.resize(bytes.len().next_multiple_of(to_usize(SECTOR)), 0);
        }
        bytes.resize(bytes.len() + 4096, 0);
        (bytes, frames)
    }

    /// Walks through a file that is read in pieces of this size; the sequences found, and whether there was damage.
    fn walk(file: &[u8], piece: usize) -> (Vec<u64>, bool) {
        let limit = file.len() as u64;
        let mut scanner = Scanner::new(SEED, DATA_START, 1, 1 << 20);
        let (mut window, mut base) = (&file[..0], 0);
        let (mut found, mut damaged) = (Vec::new(), false);
        loop {
            match scanner.step(window, base, limit) {
                Step::Group(..) => {}
                Step::Frame(frame, _) => found.push(frame.seq),
                Step::Damage(_) => damaged = true,
                Step::End => return (found, damaged),
                Step::Need(need) => {
                    let start = to_usize(scanner.pos());
                    assert!(window.len() < need || start as u64 > base, "it asks for more than it has");
                    base = scanner.pos();
                    window = &file[start..(start + piece.max(need)).min(file.len())];
                }
            }
        }
    }

    fn groups() -> impl Strategy<Value = Vec<Vec<usize>>> {
        let group = proptest::collection::vec(1..900_usize, 1..6);
        proptest::collection::vec(group, 1..6)
    }

    proptest! {
        #[test]
        fn a_sound_file_is_read_whole_in_pieces_of_any_size(groups in groups(), piece in 1..5000_usize) {
            let (file, frames) = file(&groups);
            let (found, damaged) = walk(&file, piece);
            prop_assert!(!damaged);
            prop_assert_eq!(found, frames.iter().map(|(seq, _)| *seq).collect::<Vec<_>>());
        }

        /// Only what was hit is lost, and nothing else appears.
        #[test]
        fn damage_hides_no_neighbour(
            groups in groups(),
            piece in 1..5000_usize,
            at in 0.0..1.0_f64,
            garbage in proptest::collection::vec(1..=255_u8, 1..700),
        ) {
            let (mut file, frames) = file(&groups);
            let end = frames.last().map_or(0, |(_, place)| to_usize(place.end));
            let data = to_usize(DATA_START);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a small file")]
            let start = data + ((end - data) as f64 * at) as usize;
            let hit = start..(start + garbage.len()).min(end);
            for (byte, garbage) in file[hit.clone()].iter_mut().zip(&garbage) {
                *byte ^= garbage;
            }
            let hit = hit.start as u64..hit.end as u64;
            let is_hit = |place: &Range<u64>| place.start < hit.end && hit.start < place.end;
            let expected: Vec<_> = frames.iter().filter(|(_, place)| !is_hit(place)).map(|(seq, _)| *seq).collect();
            let (found, _) = walk(&file, piece);
            // The padding behind a frame belongs to its place but not to its checksum.
            let lost: Vec<_> = expected.iter().filter(|seq| !found.contains(seq)).collect();
            prop_assert!(lost.is_empty(), "{lost:?} were not hit");
            prop_assert!(found.is_sorted_by(|a, b| a < b) && found.iter().all(|seq| frames.iter().any(|(s, _)| s == seq)));
        }
    }
}
