//! Messages as people list them: each filter finds exactly what it names, page by page, whatever lies between.

use std::time::Duration;

use mb_core::{Header, MessageIdPrefix, MessageState, Timestamp, Topic};
use mb_store::{MessageFilter, NewDeadLetter, NewMessage, Store};

use crate::fixture::{Fixture, NOW, batch, client, dead, dead_letter, domain, id, message};

/// A message that came `seconds` after [`NOW`].
fn at(n: u32, seconds: u64) -> NewMessage {
    let mut new = message(n);
    new.header.queued_at = NOW.plus(Duration::from_secs(seconds));
    new
}

/// Every page of the list, the messages by the number they were made of.
async fn pages(store: &Store, filter: &MessageFilter, limit: u32) -> Vec<Vec<u32>> {
    let (mut after, mut pages) = (None, Vec::new());
    loop {
        let page = store.message_page(filter, after, limit).await.expect("reads");
        let numbers = page.messages.iter().map(|message| {
            let bytes = message.status.message_id.as_bytes();
            u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        });
        pages.push(numbers.collect());
        match page.next {
            Some(next) => after = Some(next),
            None => return pages,
        }
        assert!(pages.len() < 1000, "the list has an end");
    }
}

async fn all(store: &Store, filter: &MessageFilter) -> Vec<u32> {
    pages(store, filter, 3).await.concat()
}

pub(crate) async fn the_newest_come_first_and_equal_times_go_by_id(fixture: Fixture) {
    let store = &fixture.store;
    let mut rows = vec![at(1, 5), at(2, 5), at(3, 9), at(4, 1), at(5, 5), at(6, 7)];
    rows[2].header.domain = domain("eu");
    rows[3].header.domain = domain("us");
    store.register(batch(rows)).await.expect("registers");
    let everything = MessageFilter::default();
    assert_eq!(pages(store, &everything, 2).await, [vec![3, 6], vec![5, 2], vec![1, 4]]);
    assert_eq!(pages(store, &everything, 6).await, [vec![3, 6, 5, 2, 1, 4]]);
    let page = store.message_page(&everything, None, 1).await.expect("reads");
    let first = &page.messages[0];
    assert_eq!((first.domain.as_str(), first.dead_letter), ("eu", None));
    let content = first.content.as_ref().expect("is a message");
    assert_eq!((content.header.message_id, &content.sealed[..]), (id(3), b"sealed 3".as_slice()));
    assert_eq!(content.header, Header { queued_at: first.status.queued_at, domain: domain("eu"), ..message(3).header });
}

pub(crate) async fn each_filter_finds_what_it_names(fixture: Fixture) {
    let store = &fixture.store;
    let mut rows = (1..=6).map(|n| at(n, n.into())).collect::<Vec<_>>();
    rows[0].header.client = client("other");
    rows[1].header.domain = domain("eu");
    rows[2].status = MessageState::Processing;
    rows[3].header.topic = Topic::parse("orders").expect("valid");
    rows[4].sender_number_hashed = Some([8; 32]);
    rows[5].sender_number_hashed = None;
    store.register(batch(rows)).await.expect("registers");
    let second = |n| Some(NOW.plus(Duration::from_secs(n)));
    let prefix = |text: &str| MessageIdPrefix::parse(text);
    let none = MessageFilter::default();
    let cases = [
        (MessageFilter { client: Some(client("other")), ..none.clone() }, vec![1]),
        (MessageFilter { domain: Some(domain("eu")), ..none.clone() }, vec![2]),
        (MessageFilter { client: Some(client("other")), domain: Some(domain("eu")), ..none.clone() }, vec![]),
        (MessageFilter { status: Some(MessageState::Processing), ..none.clone() }, vec![3]),
        (MessageFilter { topic: Topic::parse("orders"), ..none.clone() }, vec![4]),
        (MessageFilter { sender: Some([8; 32]), ..none.clone() }, vec![5]),
        (MessageFilter { sender: Some([7; 32]), client: Some(client("demo")), ..none.clone() }, vec![4, 3, 2]),
        (MessageFilter { sender: Some([9; 32]), ..none.clone() }, vec![]),
        (MessageFilter { from: second(3), to: second(5), ..none.clone() }, vec![4, 3]),
        (MessageFilter { sender: Some([7; 32]), from: second(2), to: second(4), ..none.clone() }, vec![3, 2]),
        (MessageFilter { from: second(5), to: second(3), ..none.clone() }, vec![]),
        (MessageFilter { id: prefix(&id(6).to_string()), ..none.clone() }, vec![6]),
        (MessageFilter { id: prefix("0000000"), to: second(3), ..none.clone() }, vec![2, 1]),
        (MessageFilter { id: prefix("1"), ..none.clone() }, vec![]),
        (none, vec![6, 5, 4, 3, 2, 1]),
    ];
    for (filter, expected) in cases {
        assert_eq!(all(store, &filter).await, expected, "{filter:?}");
    }
}

pub(crate) async fn what_is_only_a_dead_letter_stands_in_its_place(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch(vec![at(1, 1), at(3, 3)])).await.expect("registers");
    let letter = |n: u32, envelope| {
        let mut header = at(n, n.into()).header;
        header.client = client(if n == 5 { "other" } else { "demo" });
        NewDeadLetter { header: Some(header), ..dead_letter(n, envelope) }
    };
    let conflict = NewDeadLetter { reason: NewDeadLetter::CONFLICT.into(), ..letter(3, "another") };
    let unreadable = NewDeadLetter { header: None, ..dead_letter(7, "noise") };
    let letters = vec![letter(2, "raw"), letter(2, "again"), conflict, letter(5, "raw"), unreadable];
    store.register(dead(letters)).await.expect("registers");
    assert_eq!(all(store, &MessageFilter::default()).await, [5, 3, 2, 1]);
    let of = |name| MessageFilter { client: Some(client(name)), ..MessageFilter::default() };
    assert_eq!(all(store, &of("demo")).await, [3, 2, 1]);
    assert_eq!(all(store, &of("other")).await, [5]);
    let failed = MessageFilter { status: Some(MessageState::Failed), ..MessageFilter::default() };
    assert_eq!(all(store, &failed).await, [5, 2]);
    let delivered = MessageFilter { status: Some(MessageState::Delivered), ..MessageFilter::default() };
    assert_eq!(all(store, &delivered).await, [3, 1]);
    let by_id = MessageFilter { id: MessageIdPrefix::parse(&id(2).to_string()), ..MessageFilter::default() };
    assert_eq!(all(store, &by_id).await, [2]);
    let row = store.listed_message(id(2)).await.expect("reads").expect("is there");
    assert_eq!((row.status.status, row.status.last_error.as_deref()), (MessageState::Failed, Some("stale")));
    assert!(row.dead_letter.is_some() && row.content.is_none(), "{row:?}");
    assert_eq!(store.listed_message(id(3)).await.expect("reads").expect("is there").dead_letter, None);
    assert_eq!(store.listed_message(id(7)).await.expect("reads"), None, "nobody knows whose it is");
}

pub(crate) async fn a_filter_that_finds_little_looks_at_a_bounded_part(fixture: Fixture) {
    let store = &fixture.store;
    for part in 0..5_u32 {
        let mut rows = (0..5000).map(|n| at(part * 5000 + n + 1, (part * 5000 + n).into())).collect::<Vec<_>>();
        if part == 0 {
            rows[0].header.topic = Topic::parse("rare").expect("valid");
        }
        store.register(batch(rows)).await.expect("registers");
    }
    let rare = MessageFilter { topic: Topic::parse("rare"), ..MessageFilter::default() };
    let pages = pages(store, &rare, 50).await;
    assert_eq!(pages.concat(), [1]);
    assert!(pages.len() >= 3, "25,000 rows are not looked at in one go");
    let first = store.message_page(&rare, None, 50).await.expect("reads");
    assert!(first.messages.is_empty());
    assert_eq!(first.next.map(|next| next.message_id), Some(id(23_001)), "it goes on where it stopped looking");
    // More of one sender than are sorted in memory: the same list, found by time.
    let sender = MessageFilter { sender: Some([7; 32]), ..MessageFilter::default() };
    let page = store.message_page(&sender, None, 3).await.expect("reads");
    let newest = page.messages.iter().map(|message| message.status.message_id).collect::<Vec<_>>();
    assert_eq!(newest, [id(25_000), id(24_999), id(24_998)]);
}

pub(crate) async fn heavy_bodies_make_shorter_pages(fixture: Fixture) {
    let store = &fixture.store;
    let mut rows = (1..=5).map(|n| at(n, n.into())).collect::<Vec<_>>();
    for row in &mut rows {
        row.sealed = vec![0; 3 * 1024 * 1024].into();
    }
    for row in rows {
        store.register(batch(vec![row])).await.expect("registers");
    }
    assert_eq!(pages(store, &MessageFilter::default(), 50).await, [vec![5, 4], vec![3, 2], vec![1]]);
}

pub(crate) async fn a_page_holds_while_messages_come_in(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch(vec![at(1, 1), at(2, 2), at(3, 3)])).await.expect("registers");
    let everything = MessageFilter::default();
    let first = store.message_page(&everything, None, 2).await.expect("reads");
    store.register(batch(vec![at(4, 4)])).await.expect("registers");
    let second = store.message_page(&everything, first.next, 2).await.expect("reads");
    let rest = second.messages.iter().map(|message| message.status.message_id).collect::<Vec<_>>();
    assert_eq!(rest, [id(1)]);
    assert_eq!(second.next, None);
    let none = MessageFilter { to: Some(Timestamp::from_micros(0)), ..everything };
    assert_eq!(store.message_page(&none, None, 2).await.expect("reads").next, None);
}

pub(crate) async fn what_is_scheduled_is_queued_whether_or_not_a_destination_waits_for_it(fixture: Fixture) {
    let store = &fixture.store;
    let later = NOW.plus(Duration::from_hours(1));
    let mut rows = (1..=4).map(|n| at(n, n.into())).collect::<Vec<_>>();
    (rows[0].status, rows[0].delivered_at) = (MessageState::Queued, None);
    rows[1].delivered_at = Some(later);
    (rows[2].status, rows[2].delivered_at) = (MessageState::Processing, None);
    store.register(batch(rows)).await.expect("registers");
    let of = |status, or_delivered_after, delivered_by| MessageFilter {
        status: Some(status),
        or_delivered_after,
        delivered_by,
        ..MessageFilter::default()
    };
    assert_eq!(all(store, &of(MessageState::Queued, Some(NOW), None)).await, [2, 1]);
    assert_eq!(all(store, &of(MessageState::Queued, Some(later), None)).await, [1], "its time has come");
    assert_eq!(all(store, &of(MessageState::Delivered, None, Some(NOW))).await, [4]);
}
