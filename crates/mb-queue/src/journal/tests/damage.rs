//! Damage to what was durable: only what was hit is lost, it is reported, and everything else is served.

use std::path::{Path, PathBuf};

use super::support::*;
use crate::{Degraded, SimDisk};

/// A closed journal of two segments or more, all unconfirmed, without index files.
async fn closed(rig: &Rig) -> PathBuf {
    let journal = rig.open();
    for n in 0..100 {
        journal.append_one(message(n)).await.expect("stored");
    }
    close(journal).await;
    for segment in rig.segments() {
        remove(&rig.sim, &segment.with_extension("idx"));
    }
    rig.segments()[0].clone()
}

fn remove(sim: &SimDisk, path: &Path) {
    crate::Disk::Simulated(sim.clone()).remove(path).expect("it is there");
}

/// Where message number `n` stands in a segment.
fn place_of(rig: &Rig, segment: &Path, n: u32) -> usize {
    let content = rig.sim.content(segment).expect("it is there");
    let wanted = *id(n).as_bytes();
    content.windows(16).position(|bytes| bytes == wanted).expect("the message stands there")
}

fn without(range: std::ops::Range<u32>, lost: &[u32]) -> Vec<mb_core::MessageId> {
    range.filter(|n| !lost.contains(n)).map(id).collect()
}

async fn expect_lost(rig: &Rig, lost: &[u32]) {
    let (journal, report) = rig.open_with_report();
    assert_eq!(report.damaged, lost.len() as u64);
    let status = journal.status();
    assert_eq!((status.damaged_entries, status.damaged_segments), (lost.len() as u64, 1));
    assert_eq!(status.degraded, [Degraded::Damaged]);
    assert_eq!(journal.find(&[id(lost[0])]).await, [None]);
    let claimed = take(&journal, 100 - lost.len()).await;
    assert_eq!(ids_of(&claimed), without(0..100, lost));
    assert_eq!(claimed.keys, [signed_key(1)]);
    close(journal).await;
}

#[tokio::test]
async fn a_flipped_bit_costs_one_entry_wherever_it_is_in_the_frame() {
    for back in [-20_i32, -12, -5, 0, 40] {
        let rig = Rig::new();
        let segment = closed(&rig).await;
        let original = rig.sim.content(&segment).expect("it is there");
        let at = usize::try_from(i32::try_from(place_of(&rig, &segment, 7)).expect("small") + back).expect("small");
        rig.sim.flip(&segment, at, 0x10);
        expect_lost(&rig, &[7]).await;
        let copy = rig.sim.content(&Path::new("j/damaged").join(segment.file_name().expect("a name")));
        let copy = copy.expect("the segment was copied");
        assert_ne!(copy[at], original[at], "as it was found");
        expect_lost(&rig, &[7]).await;
    }
}

#[tokio::test]
async fn a_group_header_costs_nothing_and_a_lost_sector_what_stood_in_it() {
    let rig = Rig::new();
    let segment = closed(&rig).await;
    let group = place_of(&rig, &segment, 9) / 512 * 512;
    rig.sim.flip(&segment, group + 1, 1);
    let (journal, report) = rig.open_with_report();
    assert_eq!((report.damaged, report.waiting), (0, 100));
    assert_eq!(journal.status().degraded, [Degraded::Damaged]);
    assert_eq!(ids_of(&take_all(&journal).await), ids(0..100));
    close(journal).await;
    remove(&rig.sim, &segment.with_extension("idx"));
    for at in group..group + 512 {
        rig.sim.flip(&segment, at, 0xa5);
    }
    expect_lost(&rig, &[9]).await;
}

#[tokio::test]
async fn the_last_entry_of_a_segment_is_missed_too() {
    let rig = Rig::new();
    let segment = closed(&rig).await;
    let next = rig.segments()[1].clone();
    let first_of_next = (0..100).find(|n| {
        let content = rig.sim.content(&next).expect("it is there");
        content.windows(16).any(|bytes| bytes == id(*n).as_bytes())
    });
    let last = first_of_next.expect("one is the first") - 1;
    rig.sim.flip(&segment, place_of(&rig, &segment, last), 1);
    expect_lost(&rig, &[last]).await;
}

#[tokio::test]
async fn damage_that_the_index_hides_at_the_start_is_found_when_it_is_read() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..100)).await.expect("stored");
    close(journal).await;
    let segment = rig.segments()[0].clone();
    rig.sim.flip(&segment, place_of(&rig, &segment, 3), 1);
    let (journal, report) = rig.open_with_report();
    assert_eq!((report.scanned, report.damaged), (0, 0));
    assert_eq!(ids_of(&take(&journal, 99).await), without(0..100, &[3]));
    tidy(&journal);
    let status = journal.status();
    assert_eq!((status.damaged_entries, status.damaged_segments, status.depth), (1, 1, 99));
}

#[tokio::test]
async fn damage_that_shows_when_a_claim_reads_again_ends_only_that_entry() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..20)).await.expect("stored");
    let first = claim(&journal, 20).await;
    journal.nack(&first.entries.iter().map(|entry| entry.tag).collect::<Vec<_>>());
    let segment = rig.segments()[0].clone();
    rig.sim.flip(&segment, place_of(&rig, &segment, 3), 1);
    assert_eq!(ids_of(&claim(&journal, 19).await), without(0..20, &[3]));
    tidy(&journal);
    let status = journal.status();
    assert_eq!((status.damaged_entries, status.damaged_segments, status.depth), (1, 1, 19));
}

#[tokio::test]
async fn a_missing_segment_and_one_without_a_header_are_noticed() {
    for headerless in [false, true] {
        let rig = Rig::new();
        closed(&rig).await;
        let segment = rig.segments()[0].clone();
        if headerless {
            rig.sim.flip(&segment, 3, 1);
            rig.sim.flip(&segment, 515, 1);
        } else {
            remove(&rig.sim, &segment);
        }
        let (journal, report) = rig.open_with_report();
        assert!(report.damaged > 0 && report.waiting < 100);
        assert_eq!(journal.status().degraded, [Degraded::Damaged]);
        assert_eq!(journal.status().damaged_segments, u64::from(headerless));
        let left = take_all(&journal).await;
        let count = u32::try_from(left.entries.len()).expect("small");
        assert_eq!(ids_of(&left), ids(100 - count..100));
    }
}

#[tokio::test]
async fn a_lost_watermark_or_index_only_means_asking_and_reading_again() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..100)).await.expect("stored");
    deliver(&journal, 50).await;
    close(journal).await;
    let segments = rig.segments();
    rig.sim.flip(Path::new("j/watermark"), 10, 1);
    rig.sim.flip(&segments[0].with_extension("idx"), 10, 1);
    let (journal, report) = rig.open_with_report();
    assert_eq!((report.waiting, report.scanned, report.damaged), (100, 1, 0));
    assert_eq!(journal.status().degraded, []);
    assert_eq!(ids_of(&take_all(&journal).await), ids(0..100));
}

#[tokio::test]
async fn a_segment_without_a_header_is_copied_whatever_was_copied_under_its_name_before() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..3)).await.expect("stored");
    close(journal).await;
    let segment = rig.segments()[0].clone();
    remove(&rig.sim, &segment.with_extension("idx"));
    for at in [3, 515] {
        rig.sim.flip(&segment, at, 1);
    }
    let disk = crate::Disk::Simulated(rig.sim.clone());
    let copies = Path::new("j/damaged");
    disk.replace(&copies.join(segment.file_name().expect("a name")), b"an older copy").expect("the disk works");
    let journal = rig.open();
    assert_eq!(journal.status().damaged_segments, 2);
    journal.append_one(message(9)).await.expect("stored");
    assert!(!rig.segments().contains(&segment), "its sequences are not used again");
}
