//! The window's rules, one by one and against a model.

mod stuck;

use super::*;

const LEASE: Duration = Duration::from_mins(1);
const REFORWARD: Duration = Duration::from_secs(90);
const PASSED: Duration = Duration::from_secs(30);
const OLD: Timestamp = Timestamp::from_micros(0);

fn limits() -> Limits {
    Limits {
        entries: 100,
        bytes: 10_000,
        resident: 1_000,
        lease: LEASE,
        reforward_after: REFORWARD,
        passed_after: PASSED,
    }
}

fn id(seq: u64) -> MessageId {
    MessageId::from_bytes(u128::from(seq).to_be_bytes())
}

fn entry(seq: u64) -> Loaded {
    Loaded {
        seq,
        id: id(seq),
        queued_at: Timestamp::from_micros(i64::try_from(seq).expect("small")),
        offset: 0,
        len: 100,
        bytes: Some(Bytes::from(vec![0; 100])),
        replayed: false,
    }
}

/// A window that holds ready entries with these sequences.
fn ready(seqs: std::ops::Range<u64>) -> Window {
    let mut window = Window::new(limits(), seqs.start);
    seqs.for_each(|seq| window.load(entry(seq), false));
    window
}

fn seqs(taken: &[Taken]) -> Vec<u64> {
    taken.iter().map(|entry| entry.seq).collect()
}

fn claim(window: &mut Window, now: Instant) -> Vec<Taken> {
    window.claim(now, 1000, u64::MAX, OLD)
}

fn answer_all(window: &mut Window, lacking: bool) -> usize {
    answer_all_at(window, Instant::now(), lacking)
}

fn answer_all_at(window: &mut Window, now: Instant, lacking: bool) -> usize {
    let questions = window.questions(now, 1000);
    for question in &questions {
        window.answer(now, *question, lacking);
    }
    window.answered(now);
    questions.len()
}

#[test]
fn the_watermark_follows_the_confirmed_prefix_only() {
    let now = Instant::now();
    let mut window = ready(10..14);
    let taken = claim(&mut window, now);
    assert_eq!(window.watermark(), 10);
    for entry in taken.iter().skip(1) {
        window.ack(entry.tag);
    }
    assert_eq!(answer_all(&mut window, false), 3);
    assert_eq!((window.watermark(), window.open()), (10, 1), "the first is still leased");
    window.ack(taken[0].tag);
    answer_all(&mut window, false);
    assert_eq!((window.watermark(), window.open()), (14, 0));
}

#[test]
fn an_entry_is_leased_to_one_worker_until_its_lease_ends() {
    let now = Instant::now();
    let mut window = ready(1..4);
    let first = claim(&mut window, now);
    assert_eq!(seqs(&first), [1, 2, 3]);
    assert!(claim(&mut window, now + LEASE.mul_f64(0.99)).is_empty());
    assert_eq!(window.next_deadline(), Some(now + LEASE));
    window.ack(first[1].tag);
    let second = claim(&mut window, now + LEASE);
    assert_eq!(seqs(&second), [1, 3]);
    assert_eq!(second[0].deliveries, 2);
    window.ack(first[0].tag);
    window.nack(first[2].tag);
    assert!(claim(&mut window, now + LEASE).is_empty(), "a lease that is over changes nothing");
    assert_eq!(window.questions(Instant::now(), 10).len(), 1, "only the entry that was acknowledged in time");
}

#[test]
fn what_is_given_back_is_claimable_at_once() {
    let now = Instant::now();
    let mut window = ready(1..3);
    let first = claim(&mut window, now);
    window.nack(first[0].tag);
    window.nack(first[0].tag);
    assert_eq!(seqs(&claim(&mut window, now)), [1]);
}

#[test]
fn claims_stop_at_their_bounds_but_give_at_least_one() {
    let now = Instant::now();
    let mut window = ready(1..10);
    assert_eq!(seqs(&window.claim(now, 2, u64::MAX, OLD)), [1, 2]);
    assert_eq!(seqs(&window.claim(now, 10, 250, OLD)), [3, 4]);
    assert_eq!(seqs(&window.claim(now, 10, 1, OLD)), [5]);
}

#[test]
fn unknown_entries_are_asked_for_before_they_are_handed_over() {
    let now = Instant::now();
    let mut window = Window::new(limits(), 1);
    (1..4).for_each(|seq| window.load(entry(seq), true));
    assert!(claim(&mut window, now).is_empty());
    let questions = window.questions(Instant::now(), 10);
    assert_eq!(questions.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [id(1), id(2), id(3)]);
    for ((seq, id), lacking) in questions.into_iter().zip([false, true, false]) {
        window.answer(now, (seq, id), lacking);
    }
    assert_eq!(seqs(&claim(&mut window, now)), [2], "only what the store lacks");
    assert_eq!(window.watermark(), 2);
}

#[test]
fn an_acknowledged_entry_that_the_store_lacks_waits_before_it_is_forwarded_again() {
    let now = Instant::now();
    let mut window = ready(1..2);
    let first = claim(&mut window, now);
    window.ack(first[0].tag);
    answer_all(&mut window, true);
    assert!(claim(&mut window, now + REFORWARD.mul_f64(0.99)).is_empty());
    assert_eq!(window.next_deadline(), Some(now + REFORWARD));
    assert_eq!(seqs(&claim(&mut window, now + REFORWARD)), [1]);
}

#[test]
fn questions_without_an_answer_are_asked_again_first() {
    let mut window = Window::new(limits(), 1);
    (1..6).for_each(|seq| window.load(entry(seq), true));
    let first = window.questions(Instant::now(), 2);
    assert_eq!(first.len(), 2);
    window.answer(Instant::now(), first[1], false);
    let second = window.questions(Instant::now(), 10);
    assert_eq!(second.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [id(1), id(3), id(4), id(5)]);
    assert!(!window.has_questions());
}

#[test]
fn an_answer_that_the_store_has_it_ends_an_entry_in_any_state() {
    let now = Instant::now();
    let mut window = ready(1..3);
    let taken = window.claim(now, 1, u64::MAX, OLD);
    for (place, seq) in [(taken[0].tag.place, 1), (taken[0].tag.place + 1, 2)] {
        window.answer(now, (Seq(place), id(seq)), false);
    }
    assert_eq!((window.watermark(), window.open()), (3, 0));
    assert_eq!(window.next_deadline(), None, "the lease ended with its entry");
    window.ack(taken[0].tag);
    assert!(!window.has_questions());
}

#[test]
fn an_answer_about_another_message_is_not_taken() {
    let mut window = ready(1..2);
    window.answer(Instant::now(), (Seq(0), id(7)), false);
    window.answer(Instant::now(), (Seq(9), id(1)), false);
    assert_eq!(window.open(), 1);
}

#[test]
fn a_forwarded_entry_is_asked_about_until_the_store_has_it() {
    let mut now = Instant::now();
    let mut window = ready(1..3);
    let tags: Vec<_> = claim(&mut window, now).iter().map(|entry| entry.tag).collect();
    window.forwarded(now, &tags);
    assert!(window.questions(now, 10).is_empty(), "it cannot be there yet");
    for _ in 0..10 {
        now += LEASE;
        assert_eq!(answer_all_at(&mut window, now, true), 2);
        assert!(claim(&mut window, now).is_empty(), "it may still come");
    }
    now += LEASE;
    answer_all_at(&mut window, now, false);
    assert_eq!((window.open(), window.watermark()), (0, 3));
    assert_eq!(window.next_question(), None);
}

#[test]
fn a_forwarded_entry_that_is_missing_in_its_queue_goes_again_once_a_minute() {
    let start = Instant::now();
    let mut window = ready(1..3);
    let tags: Vec<_> = claim(&mut window, start).iter().map(|entry| entry.tag).collect();
    let lost = window.forwarded(start, &tags[..1]);
    window.forwarded(start, &tags[1..]);
    let mut now = start + REFORWARD.mul_f64(0.5);
    window.missing(&[lost], Loss::Missing);
    assert_eq!(answer_all_at(&mut window, now, true), 2);
    assert!(claim(&mut window, now).is_empty(), "not so soon");
    now = start + REFORWARD;
    answer_all_at(&mut window, now, true);
    let again = claim(&mut window, now);
    assert_eq!((seqs(&again), again[0].deliveries), (vec![1], 2));
    window.forwarded(now, &[again[0].tag]);
    now += REFORWARD;
    answer_all_at(&mut window, now, true);
    assert!(claim(&mut window, now).is_empty(), "the new unit is not missing");
}

#[test]
fn a_forwarded_entry_that_was_overtaken_goes_again() {
    let start = Instant::now();
    let mut window = ready(1..3);
    let tags: Vec<_> = claim(&mut window, start).iter().map(|entry| entry.tag).collect();
    window.forwarded(start, &tags[..1]);
    window.forwarded(start, &tags[1..]);
    let confirmed = start + Duration::from_secs(1);
    let questions = window.questions(confirmed, 10);
    window.answer(confirmed, questions[0], true);
    window.answer(confirmed, questions[1], false);
    window.answered(confirmed);
    let mut now = confirmed + PASSED.mul_f64(0.9);
    answer_all_at(&mut window, now, true);
    now = start + REFORWARD;
    assert!(claim(&mut window, now).is_empty());
    answer_all_at(&mut window, now, true);
    assert_eq!(seqs(&claim(&mut window, now)), [1]);
}

#[test]
fn old_entries_go_aside_once_unless_an_operator_wants_them() {
    let now = Instant::now();
    let mut window = Window::new(limits(), 1);
    window.load(entry(1), false);
    window.load(Loaded { replayed: true, ..entry(2) }, false);
    window.load(entry(3), false);
    let horizon = Timestamp::from_micros(3);
    assert_eq!(seqs(&window.claim(now, 10, u64::MAX, horizon)), [2, 3]);
    let stale = window.take_aside(Aside::Stale);
    assert_eq!(seqs(&stale), [1]);
    assert!(window.take_aside(Aside::Stale).is_empty());
    assert_eq!(window.watermark(), 1, "not handled before it is written");
    window.put_back_aside(Aside::Stale, stale.iter().map(|entry| entry.tag.place));
    assert_eq!(seqs(&window.take_aside(Aside::Stale)), [1]);
    window.settle(stale[0].tag.place);
    assert_eq!(window.watermark(), 2);
}

#[test]
fn a_rewind_forgets_leases_and_never_uses_a_place_twice() {
    let now = Instant::now();
    let mut window = ready(1..4);
    let before = claim(&mut window, now);
    window.rewind(1);
    assert_eq!((window.watermark(), window.open(), window.next_deadline()), (1, 0, None));
    (1..4).for_each(|seq| window.load(entry(seq), true));
    window.ack(before[0].tag);
    window.answer(now, (Seq(before[0].tag.place), id(1)), false);
    assert_eq!(window.open(), 3);
    answer_all(&mut window, true);
    let after = claim(&mut window, now);
    assert_eq!(seqs(&after), [1, 2, 3]);
    assert!(after[0].tag.lease > before[0].tag.lease);
}

#[test]
fn room_is_bounded_by_entries_and_bytes_and_never_stuck() {
    let mut window = ready(1..100);
    assert_eq!(window.room(), (1, 100));
    window.load(entry(100), false);
    assert!(!window.has_room());
    let mut tiny = Window::new(Limits { bytes: 10, ..limits() }, 1);
    assert!(tiny.has_room());
    tiny.load(entry(1), false);
    assert!(!tiny.has_room());
}

#[test]
fn envelopes_beyond_the_resident_bound_are_not_kept_in_memory() {
    let mut window = ready(1..21);
    let taken = claim(&mut window, Instant::now());
    assert_eq!(taken.iter().filter(|entry| entry.bytes.is_some()).count(), 10);
    window.load(entry(21), false);
    let taken = claim(&mut window, Instant::now());
    assert!(taken[0].bytes.is_some(), "what was claimed made room");
}

mod model {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Action {
        Load(bool),
        Claim(usize),
        Ack(usize),
        Nack(usize),
        Forward(usize),
        Missing(u64),
        Ask(usize),
        Answer(usize, bool),
        Wait(u64),
        Rewind,
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            4 => any::<bool>().prop_map(Action::Load),
            3 => (1..5_usize).prop_map(Action::Claim),
            3 => (0..8_usize).prop_map(Action::Ack),
            1 => (0..8_usize).prop_map(Action::Nack),
            3 => (0..8_usize).prop_map(Action::Forward),
            1 => (1..8_u64).prop_map(Action::Missing),
            2 => (1..5_usize).prop_map(Action::Ask),
            3 => (0..8_usize, any::<bool>()).prop_map(|(which, lacking)| Action::Answer(which, lacking)),
            1 => (1..100_u64).prop_map(Action::Wait),
            1 => Just(Action::Rewind),
        ]
    }

    proptest! {
        /// Whatever happens, nothing is confirmed that the store did not confirm, the watermark is the lowest such entry,
        /// and in the end everything can be claimed, acknowledged and confirmed.
        #[test]
        fn no_entry_is_ever_forgotten(actions in proptest::collection::vec(action(), 1..200)) {
            let mut now = Instant::now();
            let mut window = Window::new(limits(), 1);
            let (mut loaded, mut confirmed) = (1_u64, BTreeSet::new());
            let (mut tags, mut asked) = (Vec::<Taken>::new(), Vec::<(Seq, MessageId)>::new());
            for action in actions {
                match action {
                    Action::Load(unknown) if window.has_room() => {
                        window.load(entry(loaded), unknown);
                        loaded += 1;
                    }
                    Action::Load(_) => {}
                    Action::Claim(max) => tags.extend(window.claim(now, max, u64::MAX, OLD)),
                    Action::Ack(which) => if let Some(taken) = tags.get(which) { window.ack(taken.tag) },
                    Action::Nack(which) => if let Some(taken) = tags.get(which) { window.nack(taken.tag) },
                    Action::Forward(which) => if let Some(taken) = tags.get(which) {
                        window.forwarded(now, &[taken.tag]);
                    },
                    Action::Missing(unit) => window.missing(&[unit], Loss::Missing),
                    Action::Ask(max) => asked.extend(window.questions(now, max)),
                    Action::Answer(which, lacking) => if let Some((seq, id)) = asked.get(which).copied() {
                        let before = window.open();
                        window.answer(now, (seq, id), lacking);
                        if window.open() < before {
                            prop_assert!(!lacking);
                            let seq = u64::try_from(u128::from_be_bytes(*id.as_bytes())).expect("small");
                            prop_assert!(confirmed.insert(seq));
                        }
                    },
                    Action::Wait(seconds) => now += Duration::from_secs(seconds),
                    Action::Rewind => {
                        let start = window.watermark();
                        window.rewind(start);
                        confirmed.retain(|seq| *seq < start);
                        loaded = start;
                    }
                }
                let lowest = (1..loaded).find(|seq| !confirmed.contains(seq)).unwrap_or(loaded);
                prop_assert_eq!(window.watermark(), lowest);
                prop_assert_eq!(window.open() + confirmed.len() as u64, loaded - 1);
            }
            for unit in 0..200 {
                window.missing(&[unit], Loss::Missing);
            }
            for _ in 0..3 {
                now += LEASE + REFORWARD;
                answer_all_at(&mut window, now, true);
                for taken in claim(&mut window, now) {
                    window.ack(taken.tag);
                }
                answer_all_at(&mut window, now, false);
            }
            prop_assert_eq!((window.open(), window.watermark()), (0, loaded));
            prop_assert_eq!(window.resident, 0);
            prop_assert_eq!(window.bytes, 0);
        }
    }
}
