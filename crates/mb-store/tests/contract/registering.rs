//! Registering: once, whole, and counted.

use std::time::Duration;

use bytes::Bytes;
use mb_core::{KeyId, MessageState, Timestamp, Topic};
use mb_store::{CounterEvent, NewDeadLetter, NewMessage, RegisterBatch, Registered};

use crate::fixture::{Fixture, NOW, batch, data_key, dead, dead_letter, domain, id, message};

fn stored(answers: &[Registered]) -> usize {
    answers.iter().filter(|answer| **answer == Registered::Stored).count()
}

pub(crate) async fn what_is_registered_is_read_back_as_it_was(fixture: Fixture) {
    let store = &fixture.store;
    let mut full = message(1);
    full.header.deliver_at = Some(NOW.plus(Duration::from_micros(1)));
    full.header.expires_at = Some(NOW.plus(Duration::from_micros(2)));
    full.header.topic = Topic::parse("orders.eu").expect("valid");
    full.sealed = Bytes::from("\u{1f600} \u{0} nul and emoji".as_bytes().to_vec());
    full.delivered_at = Some(NOW.plus(Duration::from_micros(3)));
    let mut bare = message(2);
    bare.sender_number_hashed = None;
    bare.status = MessageState::Processing;
    bare.delivered_at = None;
    bare.sealed = (0..=255_u8).collect();
    let answers = store.register(batch(vec![full.clone(), bare.clone()])).await.expect("registers").messages;
    assert_eq!(answers, [Registered::Stored, Registered::Stored]);
    for given in [full, bare] {
        let row = store.message(given.header.message_id).await.expect("reads").expect("is there");
        let read = NewMessage {
            header: row.header,
            sender_number_hashed: row.sender_number_hashed,
            sealed: row.sealed,
            status: row.status,
            registered_at: row.registered_at,
            delivered_at: row.delivered_at,
        };
        assert_eq!(read, given);
        assert_eq!((row.attempt_count, row.failed_at, row.last_error), (0, None, None));
    }
    assert_eq!(store.message(id(3)).await.expect("reads"), None);
}

pub(crate) async fn a_repeat_is_told_what_is_stored(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch(vec![message(1)])).await.expect("registers");
    let mut other = message(1);
    other.sealed = Bytes::from_static(b"another content");
    other.header.key_id = KeyId::from_bytes([8; 16]);
    let answers = store.register(batch(vec![other, message(2), message(1)])).await.expect("registers").messages;
    assert_eq!(answers[1], Registered::Stored);
    for at in [0, 2] {
        let Registered::Duplicate(existing) = &answers[at] else { panic!("{at} is a duplicate") };
        assert_eq!((&existing.header, &existing.sealed), (&message(1).header, &message(1).sealed));
    }
}

pub(crate) async fn of_two_under_one_id_in_a_call_the_first_wins(fixture: Fixture) {
    let mut second = message(1);
    second.sealed = Bytes::from_static(b"second");
    let answers = fixture.store.register(batch(vec![message(1), second])).await.expect("registers").messages;
    assert_eq!(answers[0], Registered::Stored);
    let Registered::Duplicate(existing) = &answers[1] else { panic!("the second is a duplicate") };
    assert_eq!(existing.sealed, message(1).sealed);
}

pub(crate) async fn known_ones_among_many_do_not_hinder_the_others(fixture: Fixture) {
    let store = &fixture.store;
    let known = (0..2000).filter(|n| n % 7 == 0).map(message).collect::<Vec<_>>();
    store.register(batch(known)).await.expect("registers");
    let answers = store.register(batch((0..2000).map(message).collect())).await.expect("registers").messages;
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Registered::Stored => assert_ne!(n % 7, 0, "{n}"),
            Registered::Duplicate(existing) => {
                assert_eq!(n % 7, 0, "{n}");
                assert_eq!(existing.header.message_id, id(u32::try_from(n).expect("small")));
            }
            Registered::Expunged => panic!("{n} was never expunged"),
        }
    }
}

pub(crate) async fn overlapping_calls_at_once_store_each_message_once(fixture: Fixture) {
    let calls = (0..16_u32).map(|call| {
        let store = fixture.store.clone();
        let messages = (call * 20..call * 20 + 200).map(message).collect();
        async move { store.register(batch(messages)).await.expect("registers").messages }
    });
    let mut running = tokio::task::JoinSet::new();
    calls.for_each(|call| drop(running.spawn(call)));
    let counted = running.join_all().await.iter().map(|answers| stored(answers)).sum::<usize>();
    let ids = (0..600).map(id).collect::<Vec<_>>();
    let there = fixture.store.statuses(None, &ids).await.expect("reads").len();
    assert_eq!((counted, there), (500, 500));
}

pub(crate) async fn the_same_envelope_is_one_dead_letter(fixture: Fixture) {
    let store = &fixture.store;
    for _ in 0..2 {
        store.register(dead(vec![dead_letter(1, "raw"), dead_letter(1, "raw")])).await.expect("registers");
    }
    store.register(dead(vec![dead_letter(1, "other"), dead_letter(2, "raw")])).await.expect("registers");
    let letters = store.dead_letters(None, 10).await.expect("reads");
    let found = letters.iter().map(|letter| (letter.message_id, letter.envelope.as_ref())).collect::<Vec<_>>();
    assert_eq!(found, [(id(2), b"raw".as_ref()), (id(1), b"other"), (id(1), b"raw")]);
    assert_eq!(letters[0].reason, "stale");
    let older = store.dead_letters(Some(letters[0].id), 1).await.expect("reads");
    assert_eq!(older, letters[1..2]);
}

pub(crate) async fn a_dead_letter_yields_to_the_stored_message(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch(vec![message(1)])).await.expect("registers");
    let conflict = NewDeadLetter { reason: NewDeadLetter::CONFLICT.into(), ..dead_letter(1, "other") };
    let call = RegisterBatch {
        dead_letters: vec![dead_letter(1, "raw"), dead_letter(2, "raw"), dead_letter(3, "raw"), conflict],
        ..batch(vec![message(3)])
    };
    let answers = store.register(call).await.expect("registers").dead_letters;
    let known = answers.iter().map(|answer| match answer {
        Registered::Duplicate(existing) => Some(existing.header.message_id),
        Registered::Stored | Registered::Expunged => None,
    });
    assert_eq!(known.collect::<Vec<_>>(), [Some(id(1)), None, Some(id(3)), None]);
    let letters = store.dead_letters(None, 10).await.expect("reads");
    let found = letters.iter().map(|letter| (letter.message_id, letter.reason.as_str()));
    assert_eq!(found.collect::<Vec<_>>(), [(id(1), NewDeadLetter::CONFLICT), (id(2), "stale")]);
    let counts = store.event_counts(None, NOW, NOW.plus(Duration::from_hours(1))).await.expect("reads");
    assert_eq!(counts[&CounterEvent::DeadLettered], 2);
}

pub(crate) async fn an_answer_names_the_epoch_that_took_it(fixture: Fixture) {
    let store = &fixture.store;
    let first = store.register(batch(vec![message(1)])).await.expect("registers").epoch;
    assert_eq!(first, store.epoch().await.expect("reads"));
    let second = store.new_epoch("test").await.expect("changes");
    assert_eq!(store.register(batch(vec![message(1)])).await.expect("registers").epoch, second);
    assert_ne!(first, second);
}

pub(crate) async fn data_keys_come_with_their_messages_and_stay_as_they_were(fixture: Fixture) {
    let store = &fixture.store;
    let first = RegisterBatch { keys: vec![data_key(9, "first")], ..batch(vec![message(1)]) };
    store.register(first).await.expect("registers");
    let again = RegisterBatch { keys: vec![data_key(9, "forged"), data_key(8, "new")], ..batch(vec![message(2)]) };
    store.register(again).await.expect("registers");
    let key = store.data_key(KeyId::from_bytes([9; 16])).await.expect("reads");
    assert_eq!(key, Some(data_key(9, "first")));
    assert_eq!(store.newest_data_keys(10).await.expect("reads").len(), 2);
    assert_eq!(store.data_key(KeyId::from_bytes([7; 16])).await.expect("reads"), None);
}

pub(crate) async fn counters_count_the_rows_that_went_in(fixture: Fixture) {
    let store = &fixture.store;
    let mut open = message(4);
    open.status = MessageState::Processing;
    open.header.domain = domain("other");
    for _ in 0..3 {
        let call = RegisterBatch {
            dead_letters: vec![dead_letter(9, "raw")],
            ..batch(vec![message(1), message(2), message(3), open.clone()])
        };
        store.register(call).await.expect("registers");
    }
    let other = RegisterBatch { instance: "two".into(), ..batch(vec![message(5)]) };
    store.register(other).await.expect("registers");
    let mut later = message(6);
    later.registered_at = NOW.plus(Duration::from_hours(1));
    store.register(batch(vec![later])).await.expect("registers");

    let hour_ahead = NOW.plus(Duration::from_hours(1));
    let counts = store.event_counts(None, NOW, hour_ahead).await.expect("reads");
    assert_eq!(counts[&CounterEvent::Registered], 5);
    assert_eq!(counts[&CounterEvent::Delivered], 4);
    assert_eq!(counts[&CounterEvent::DeadLettered], 1);
    let of_other = store.event_counts(Some(&domain("other")), NOW, hour_ahead).await.expect("reads");
    assert_eq!(of_other.into_iter().collect::<Vec<_>>(), [(CounterEvent::Registered, 1)]);
    assert!(store.event_counts(None, Timestamp::default(), NOW).await.expect("reads").is_empty());
    let by_status = store.messages_by_status(None).await.expect("reads");
    assert!(by_status.contains(&(MessageState::Delivered, 5)));
    assert!(by_status.contains(&(MessageState::Processing, 1)));
}

pub(crate) async fn large_bodies_are_stored(fixture: Fixture) {
    let large = |n| NewMessage { sealed: Bytes::from(vec![0xfe; 300_000]), ..message(n) };
    let answers = fixture.store.register(batch((0..70).map(large).collect())).await.expect("registers").messages;
    assert_eq!(stored(&answers), 70);
    let row = fixture.store.message(id(69)).await.expect("reads").expect("is there");
    assert_eq!(row.sealed.len(), 300_000);
}

pub(crate) async fn an_empty_call_changes_nothing(fixture: Fixture) {
    let answer = fixture.store.register(batch(Vec::new())).await.expect("registers");
    assert_eq!((answer.messages, answer.dead_letters), (Vec::new(), Vec::new()));
    assert!(fixture.store.event_counts(None, NOW, NOW).await.expect("reads").is_empty());
}
