//! A segment written by the first version stays readable: the entries below, appended to a fresh journal that was then
//! closed and opened again.

use super::support::*;
use crate::{Append, Disk, Journal, JournalConfig};

const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/segment-v1.bin");

/// What the golden segment was made of.
fn entries() -> Vec<Append> {
    let mut entries = messages(0..5);
    entries.push(tagged(1, 1));
    entries
}

#[tokio::test]
async fn the_golden_segment_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("0000000000000001.seg"), GOLDEN).expect("written");
    let config = JournalConfig { segment_bytes: 16 << 10, ..JournalConfig::new(dir.path()) };
    let (journal, report) = Journal::open(config, mb_core::Clock::manual(NOW), Disk::Real).expect("opened");
    assert_eq!((report.waiting, report.scanned, report.damaged), (6, 1, 0));
    let replayed = journal.append_one(tagged(1, 1)).await;
    assert_eq!(replayed, Ok(crate::Appended::Replayed { queued_at: NOW }));
    let claimed = take_all(&journal).await;
    let envelopes: Vec<_> = claimed.entries.iter().map(|entry| entry.envelope.clone()).collect();
    assert_eq!(envelopes, entries().into_iter().map(|entry| entry.envelope).collect::<Vec<_>>());
    assert_eq!(claimed.keys, [signed_key(1)]);
}
