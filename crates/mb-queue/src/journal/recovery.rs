//! What a start finds on the disk, and how it becomes a journal again.
//!
//! Segments are taken from the newest to the oldest, because the first group of a segment says which sequence was the last
//! durable one before it: what an older segment holds beyond that belongs to a group that failed, and does not count. A
//! segment with a sound index file is not read. Nothing found is appended to again; writing goes on in a new segment.

mod rescan;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::aside::{self, Aside};
use super::config::JournalConfig;
use super::format::{MAX_SEGMENT, SegmentHeader, next_first_seq};
use super::handover::Start;
use super::index::Index;
use super::index::file::IndexFile;
use super::segment::{Marks, Segment, read_header};
use super::status::Recovery;
use super::watermark::Watermark;
use super::{damaged, gone};
use crate::disk::{Disk, File};
use crate::error::JournalError;

use rescan::rescan;

/// A journal as it was found.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Oldest first; none is empty.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) start: Start,
    /// What the watermark file said.
    pub(crate) saved: Option<Watermark>,
    /// The first sequence of the next segment.
    pub(crate) next_first_seq: u64,
    pub(crate) report: Recovery,
}

/// Looks through the directory.
struct Search<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    report: Recovery,
    /// The last durable sequence before the segments already taken.
    follows: Option<u64>,
    next_first_seq: u64,
}

/// Recovers the journal in a directory that exists.
pub(super) fn recover(config: &JournalConfig, disk: &Disk) -> Result<Recovered, JournalError> {
    let started = Instant::now();
    for dir in [damaged::dir(&config.dir), Aside::Stale.dir(&config.dir), Aside::Refused.dir(&config.dir)] {
        disk.create_dir_all(&dir).map_err(JournalError::io("create", dir))?;
    }
    let mut search = Search { disk, dir: &config.dir, report: Recovery::default(), follows: None, next_first_seq: 1 };
    let saved = Watermark::load(disk, &config.dir).map_err(JournalError::io("read watermark in", &config.dir))?;
    let segments = search.segments()?;
    let gone = gone::list(disk, &config.dir).map_err(JournalError::io("list", &config.dir))?;
    Search::notice_missing(&segments, &gone, saved);
    let first = segments.first().map_or(search.next_first_seq, |segment| segment.first_seq());
    let seq = saved.map_or(first, |saved| saved.seq.max(first));
    let start = Start {
        watermark: Watermark { seq, epoch: saved.and_then(|saved| saved.epoch) },
        segment: segments.iter().find(|segment| segment.marks().next_seq > seq).cloned(),
        waiting: segments
            .iter()
            .map(|segment| segment.marks().next_seq.saturating_sub(seq.max(segment.first_seq())))
            .sum(),
        // Sequences that only empty segments had were never used: the next segment must not say that it follows them.
        next_seq: segments.last().map_or(saved.map_or(seq, |saved| saved.seq), |segment| segment.marks().next_seq),
    };
    let mut report = search.report;
    report.waiting = start.waiting;
    report.segments = segments.len() as u64;
    report.damaged = segments.iter().map(|segment| segment.marks().damaged).sum();
    report.took = started.elapsed();
    let next_first_seq = search.next_first_seq.max(seq);
    Ok(Recovered { segments, start, saved, next_first_seq, report })
}

impl Search<'_> {
    fn segments(&mut self) -> Result<Vec<Arc<Segment>>, JournalError> {
        for path in self.list("tmp")? {
            self.remove(&path)?;
        }
        let mut segments = Vec::new();
        for path in self.list("seg")?.iter().rev() {
            if let Some(segment) = self.segment(path).map_err(JournalError::io("read", path))? {
                segments.push(Arc::new(segment));
            }
        }
        segments.reverse();
        for path in self.list("idx")? {
            if !segments.iter().any(|segment| segment.index_path() == path) {
                self.remove(&path)?;
            }
        }
        Ok(segments)
    }

    fn list(&self, extension: &str) -> Result<Vec<PathBuf>, JournalError> {
        self.disk.list(self.dir, extension).map_err(JournalError::io("list", self.dir))
    }

    fn remove(&self, path: &Path) -> Result<(), JournalError> {
        self.disk.remove(path).map_err(JournalError::io("remove", path))
    }

    /// Opens one segment; `None` if it holds nothing that counts.
    fn segment(&mut self, path: &Path) -> io::Result<Option<Segment>> {
        let file = self.disk.open(path)?;
        let named = path.file_stem().and_then(|stem| u64::from_str_radix(stem.to_str()?, 16).ok());
        let header = read_header(&file)?.filter(|header| Some(header.first_seq) == named);
        let Some(header) = header else {
            // Checksums start from the id in the header, so without one nothing in the file can be trusted.
            tracing::error!(path = %path.display(), "journal segment has no readable header and was set aside");
            damaged::copy_headless(self.disk, self.dir, path, &file)?;
            self.disk.remove(path)?;
            // Its sequences were used, whatever it held.
            let next = named.map_or(0, |first| next_first_seq(first, MAX_SEGMENT));
            self.next_first_seq = self.next_first_seq.max(next);
            return Ok(None);
        };
        self.next_first_seq = self.next_first_seq.max(next_first_seq(header.first_seq, header.capacity));
        let segment = match self.indexed(path, &file, &header)? {
            Some((marks, index)) => Segment::new(header, file, path.to_owned(), marks, Index::File(index)),
            None => self.scanned(path, file, header)?,
        };
        let (next_seq, follows) = {
            let marks = segment.marks();
            (marks.next_seq, marks.follows)
        };
        if next_seq == header.first_seq {
            segment.remove(self.disk)?;
            return Ok(None);
        }
        self.follows = follows;
        Ok(Some(segment))
    }

    /// What the index file says, if it is sound and belongs to the segment.
    fn indexed(&self, path: &Path, file: &File, header: &SegmentHeader) -> io::Result<Option<(Marks, IndexFile)>> {
        // An index that cannot be read is made again.
        let Ok(Some((summary, index))) = IndexFile::open(self.disk, &path.with_extension("idx")) else {
            return Ok(None);
        };
        let len = file.len()?;
        if summary.id != header.id || summary.first_seq != header.first_seq || len < summary.end {
            return Ok(None);
        }
        if len > summary.end {
            file.set_len(summary.end)?;
        }
        let marks = Marks {
            size: summary.end,
            end: summary.end,
            next_seq: summary.next_seq,
            follows: summary.follows,
            kept_since: None,
            damaged: summary.damaged,
            sealed: true,
            keys: summary.keys,
        };
        Ok(Some((marks, index)))
    }

    fn scanned(&mut self, path: &Path, file: File, header: SegmentHeader) -> io::Result<Segment> {
        self.report.scanned += 1;
        let found = rescan(&file, &header, self.follows)?;
        if found.is_damaged {
            tracing::error!(path = %path.display(), lost = found.marks.damaged, "journal segment is damaged");
            damaged::copy(self.disk, self.dir, path, &file)?;
        }
        self.report.cut += found.settle(&file)?;
        let segment = Segment::new(header, file, path.to_owned(), found.marks, Index::Memory(found.index));
        if segment.marks().next_seq > header.first_seq
            && let Err(error) = segment.write_index(self.disk)
        {
            tracing::warn!(error = %error, path = %path.display(), "journal index cannot be written");
        }
        Ok(segment)
    }

    /// A segment that vanished between two others, or before the first one, takes entries with it that nobody confirmed,
    /// unless it is known to be gone.
    fn notice_missing(segments: &[Arc<Segment>], gone: &[Range<u64>], saved: Option<Watermark>) {
        let mut before = saved.map(|saved| saved.seq.saturating_sub(1));
        for segment in segments {
            let mut marks = segment.marks();
            if before.is_some_and(|before| {
                marks
                    .follows
                    .is_some_and(|follows| follows > before && !gone.iter().any(|gone| gone.contains(&follows)))
            }) {
                tracing::error!(path = %segment.path.display(), "the journal segment before this one is missing");
                marks.damaged += 1;
            }
            before = before.max(Some(marks.next_seq - 1));
        }
    }
}

/// How many segments and entries wait for an operator in the directories beside the segments.
pub(super) fn set_aside(config: &JournalConfig, disk: &Disk) -> Result<(u64, [(Aside, u64); 2]), JournalError> {
    let damaged = damaged::count(disk, &config.dir).map_err(JournalError::io("list", damaged::dir(&config.dir)))?;
    let mut counts = Aside::ALL.map(|reason| (reason, 0));
    for (reason, count) in &mut counts {
        let counted = aside::count(disk, &config.dir, *reason);
        *count = counted.map_err(JournalError::io("list", reason.dir(&config.dir)))?;
    }
    Ok((damaged, counts))
}
