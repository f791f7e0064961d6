//! Entries that nobody takes, and what goes on beside them.

use super::*;

/// Claims, acks and answers that the store lacks what was acked, at a time.
fn refused(window: &mut Window, now: Instant) {
    for entry in claim(window, now) {
        window.ack(entry.tag);
    }
    answer_all_at(window, now, true);
}

#[test]
fn an_entry_that_the_store_never_takes_is_set_aside_after_ten_times() {
    let mut now = Instant::now();
    let mut window = ready(1..2);
    for round in 1..10 {
        refused(&mut window, now);
        assert!(window.take_aside(Aside::Refused).is_empty(), "round {round}");
        now += REFORWARD;
    }
    refused(&mut window, now);
    let aside = window.take_aside(Aside::Refused);
    assert_eq!((seqs(&aside), window.open()), (vec![1], 1));
    window.settle(aside[0].tag.place);
    assert_eq!((window.open(), window.watermark(), window.room()), (0, 2, (100, 10_000)));
}

/// Claims, puts into another queue and, once more was confirmed behind it if `overtaken`, answers that the store lacks it.
fn lost(window: &mut Window, now: Instant, overtaken: Option<u64>) {
    let tags: Vec<_> = claim(window, now).into_iter().map(|entry| entry.tag).collect();
    let unit = window.forwarded(now, &tags);
    if let Some(seq) = overtaken {
        window.load(entry(seq), false);
        let behind: Vec<_> = claim(window, now).into_iter().map(|entry| entry.tag).collect();
        window.forwarded(now, &behind);
        window.answer(now, (Seq(behind[0].place), id(seq)), false);
    } else {
        window.missing(&[unit], Loss::Missing);
    }
    window.answer(now + REFORWARD, (Seq(tags[0].place), id(1)), true);
}

#[test]
fn what_a_queue_loses_again_and_again_is_never_set_aside() {
    let mut now = Instant::now();
    let mut window = ready(1..2);
    for _ in 0..30 {
        lost(&mut window, now, None);
        assert!(window.take_aside(Aside::Refused).is_empty());
        now += REFORWARD;
    }
    assert_eq!(seqs(&claim(&mut window, now)), [1]);
}

#[test]
fn what_others_overtake_again_and_again_is_set_aside() {
    let mut now = Instant::now();
    let mut window = ready(1..2);
    for round in 2..12 {
        assert!(window.take_aside(Aside::Refused).is_empty(), "round {round}");
        lost(&mut window, now, Some(round));
        now += REFORWARD;
    }
    assert_eq!(seqs(&window.take_aside(Aside::Refused)), [1]);
}

#[test]
fn only_open_entries_count_against_the_bounds() {
    let now = Instant::now();
    let mut window = ready(1..2);
    let head = claim(&mut window, now);
    // Far more than the window holds at once get past an entry that stays open.
    for seq in 2..1000 {
        assert!(window.has_room(), "{seq}");
        window.load(entry(seq), false);
        for taken in claim(&mut window, now) {
            window.ack_present(taken.tag);
        }
    }
    assert_eq!((window.open(), window.watermark()), (1, 1));
    assert!(window.slots.ring_len() <= 2 * limits().entries, "a ring of bounded length");
    assert!(window.is_settled(2, 1000) && !window.is_settled(1, 2) && !window.is_settled(2, 1001));
    window.ack_present(head[0].tag);
    assert_eq!((window.open(), window.watermark()), (0, 1000));
}
