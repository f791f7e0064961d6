//! Reading a backlog into the window, in order, in large pieces.
//!
//! What was read and did not fit into the window is kept for the next time, so each byte is read once however slowly the
//! window moves.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use super::format::{DATA_START, Frame, Kind, Label, share, to_u32, to_usize};
use super::scan::{Scanner, Step};
use super::segment::Segment;
use super::window::Loaded;

/// Bytes read at once. Envelopes in the window share them, so one that lingers keeps this much in memory.
const CHUNK: usize = 256 << 10;

/// How long to wait after the disk could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// Where the next entry for the window is found.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) segment: Arc<Segment>,
    scanner: Scanner,
    /// Entries missing in this segment so far.
    lost: u64,
}

/// What the cursor is to read.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) cursor: Cursor,
    /// Where the durable data ends.
    pub(crate) limit: u64,
    pub(crate) entries: usize,
    pub(crate) bytes: u64,
    pub(crate) next_seq: u64,
    pub(crate) generation: u64,
}

/// What it read.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) cursor: Cursor,
    pub(crate) entries: Vec<Loaded>,
    /// Sequences that are missing among them.
    pub(crate) lost: u64,
    /// Nothing is left before the job's limit.
    pub(crate) at_limit: bool,
    /// Something could not be read.
    pub(crate) damaged: bool,
}

/// What was read and not yet walked through.
#[derive(Debug, Default)]
struct Chunk {
    segment: u64,
    base: u64,
    bytes: Bytes,
}

impl Cursor {
    pub(crate) fn at_start(segment: &Arc<Segment>) -> Self {
        Self::inside(segment, DATA_START)
    }

    /// At a group's header.
    pub(crate) fn inside(segment: &Arc<Segment>, group: u64) -> Self {
        let header = &segment.header;
        let scanner = Scanner::new(segment.seed, group, header.first_seq, header.capacity);
        Self { segment: Arc::clone(segment), scanner, lost: 0 }
    }
}

/// Fills the window until the journal closes.
pub(super) fn run(shared: &Shared) {
    let mut chunk = Chunk::default();
    while let Some(job) = shared.handover.next_job() {
        match read(&job, &mut chunk) {
            Ok(progress) => {
                shared.health.read_failed.clear();
                if progress.damaged || progress.lost > 0 {
                    shared.report_damage(&progress.cursor.segment, progress.cursor.lost);
                }
                shared.handover.load(&job, progress, &shared.table);
            }
            Err(error) => {
                chunk = Chunk::default();
                if shared.health.read_failed.raise() {
                    tracing::error!(error = %error, path = %job.cursor.segment.path.display(), "journal cannot be read");
                }
                shared.keeper.wait_stopped(RETRY);
            }
        }
    }
}

/// Walks on from the job's cursor until its bounds or the end of what is durable.
fn read(job: &Job, chunk: &mut Chunk) -> io::Result<Progress> {
    let mut cursor = job.cursor.clone();
    let mut progress =
        Progress { cursor: cursor.clone(), entries: Vec::new(), lost: 0, at_limit: false, damaged: false };
    let mut next_seq = job.next_seq.max(cursor.segment.first_seq());
    let mut bytes = 0;
    chunk.aim(&cursor, 1, job.limit)?;
    while progress.entries.len() < job.entries && bytes < job.bytes {
        match cursor.scanner.step(&chunk.bytes, chunk.base, job.limit) {
            Step::Need(_) if !progress.entries.is_empty() => break,
            Step::Need(need) => chunk.fill(&cursor, need, job.limit)?,
            Step::Group(..) => {}
            Step::Damage(_) => progress.damaged = true,
            Step::End => {
                progress.at_limit = true;
                progress.lost += cursor.segment.marks().next_seq.saturating_sub(next_seq);
                break;
            }
            Step::Frame(frame, offset) => {
                if !frame.is_message() || frame.seq < next_seq {
                    continue;
                }
                progress.lost += frame.seq - next_seq;
                next_seq = frame.seq + 1;
                bytes += frame.payload.len() as u64;
                match loaded(&frame, offset, &chunk.bytes) {
                    Some(entry) => progress.entries.push(entry),
                    None => progress.lost += 1,
                }
            }
        }
    }
    cursor.lost += progress.lost;
    progress.cursor = cursor;
    Ok(progress)
}

/// A frame as the window takes it; `None` if its envelope is of a kind that this program does not know.
fn loaded(frame: &Frame<'_>, offset: u64, chunk: &Bytes) -> Option<Loaded> {
    let label = Label::of(frame.envelope())?;
    Some(Loaded {
        seq: frame.seq,
        id: label.id,
        queued_at: label.queued_at,
        offset: to_u32(offset),
        len: to_u32(frame.payload.len() as u64),
        bytes: Some(share(chunk, frame.envelope())),
        replayed: frame.kind == Kind::Replayed,
    })
}

impl Chunk {
    /// Keeps what is there if the cursor stands in it, and reads otherwise.
    fn aim(&mut self, cursor: &Cursor, need: usize, limit: u64) -> io::Result<()> {
        let pos = cursor.scanner.pos();
        let held = self.base..self.base + self.bytes.len() as u64;
        if self.segment == cursor.segment.first_seq() && held.contains(&pos) {
            return Ok(());
        }
        self.fill(cursor, need, limit)
    }

    fn fill(&mut self, cursor: &Cursor, need: usize, limit: u64) -> io::Result<()> {
        let base = cursor.scanner.pos();
        let len = to_usize(limit.saturating_sub(base)).min(CHUNK.max(need));
        let mut bytes = cursor.segment.read(base, len)?;
        // A file that was cut short by someone else reads as blank, which is damage.
        bytes.resize(len, 0);
        let bytes = Bytes::from(bytes);
        *self = Self { segment: cursor.segment.first_seq(), base, bytes };
        Ok(())
    }
}
