//! Reading: what is lacking and how messages stand.

use std::time::Duration;

use bytes::Bytes;
use mb_core::spread::Band;
use mb_core::{ClientName, ClientStatus, MessageState, Topic};
use mb_store::{CounterEvent, HourCount, MessageFilter, NewDeadLetter};

use crate::fixture::{Fixture, NOW, batch, client, dead, dead_letter, domain, id, message};

pub(crate) async fn what_is_neither_message_nor_dead_letter_is_lacking(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch(vec![message(1), message(3)])).await.expect("registers");
    store.register(dead(vec![dead_letter(4, "raw")])).await.expect("registers");
    let (epoch, lacking) = store.lacking(&[id(1), id(2), id(3), id(4), id(5)]).await.expect("reads");
    assert_eq!(lacking, [id(2), id(5)]);
    assert_eq!(epoch, store.epoch().await.expect("reads"));
    assert_eq!(store.lacking(&[]).await.expect("reads"), (epoch, Vec::new()));
}

pub(crate) async fn a_new_epoch_is_another_one(fixture: Fixture) {
    let store = &fixture.store;
    let first = store.epoch().await.expect("reads");
    assert_ne!(first, [0; 16]);
    let second = store.new_epoch("admin").await.expect("changes");
    assert_ne!(first, second);
    assert_eq!(store.lacking(&[id(1)]).await.expect("reads").0, second);
}

pub(crate) async fn a_client_sees_its_own_messages_alone(fixture: Fixture) {
    let store = &fixture.store;
    let mut foreign = message(2);
    foreign.header.client = client("other");
    foreign.header.topic = Topic::parse("a.b").expect("valid");
    store.register(batch(vec![message(1), foreign])).await.expect("registers");
    let ids = [id(1), id(2), id(3)];
    let of = async |name: &str| {
        let found = store.statuses(Some(&client(name)), &ids).await.expect("reads");
        found.into_iter().map(|status| status.message_id).collect::<Vec<_>>()
    };
    assert_eq!(of("demo").await, [id(1)]);
    assert_eq!(of("other").await, [id(2)]);
    assert!(of("nobody").await.is_empty());
    let all = store.statuses(None, &ids).await.expect("reads");
    let foreign = all.iter().find(|status| status.message_id == id(2)).expect("is there");
    assert_eq!((foreign.client.as_str(), foreign.topic.as_str()), ("other", "a.b"));
    assert_eq!(foreign.status, MessageState::Delivered);
    assert_eq!((foreign.queued_at, foreign.registered_at, foreign.delivered_at), (NOW, NOW, Some(NOW)));
    assert_eq!((foreign.failed_at, foreign.attempt_count, &foreign.last_error), (None, 0, &None));
}

/// What a pattern, a number or a collation would take for the same.
const LOOK_ALIKE: [&str; 12] =
    ["bar", "bar_", "bar-", "bar_a", "bar-a", "bar.a", "b_r", "100", "1e2", "0100", "strasse", "stra.sse"];

pub(crate) async fn names_that_look_alike_stay_apart(fixture: Fixture) {
    let store = &fixture.store;
    let names = LOOK_ALIKE.into_iter().filter(|name| ClientName::parse(name).is_some()).collect::<Vec<_>>();
    assert!(names.len() >= 10, "{names:?}");
    let mut messages = Vec::new();
    for (name, n) in names.iter().zip(1..) {
        let mut row = message(n);
        (row.header.client, row.header.domain) = (client(name), domain(name));
        row.header.topic = Topic::parse(name).unwrap_or_default();
        messages.push(row);
        store.ensure_client(&client(name), &domain(name), "ca").await.expect("creates");
    }
    let ids = messages.iter().map(|row| row.header.message_id).collect::<Vec<_>>();
    store.register(batch(messages.clone())).await.expect("registers");
    for row in &messages {
        let own = [row.header.message_id];
        let told = store.statuses(Some(&row.header.client), &ids).await.expect("reads");
        assert_eq!(told.iter().map(|status| status.message_id).collect::<Vec<_>>(), own);
        let same_topic = messages.iter().filter(|other| other.header.topic == row.header.topic).count();
        for (filter, count) in [
            (MessageFilter { client: Some(row.header.client.clone()), ..MessageFilter::default() }, 1),
            (MessageFilter { domain: Some(row.header.domain.clone()), ..MessageFilter::default() }, 1),
            (MessageFilter { topic: Some(row.header.topic.clone()), ..MessageFilter::default() }, same_topic),
        ] {
            let page = store.message_page(&filter, None, 100).await.expect("reads");
            assert_eq!(page.messages.len(), count, "{filter:?}");
        }
        store.set_client_status(&row.header.client, ClientStatus::Suspended, "root").await.expect("sets");
        let suspended = store.policy_parts().await.expect("reads").suspended;
        assert_eq!(suspended.iter().collect::<Vec<_>>(), [&row.header.client]);
        store.set_client_status(&row.header.client, ClientStatus::Active, "root").await.expect("sets");
    }
}

pub(crate) async fn what_is_only_a_dead_letter_has_failed(fixture: Fixture) {
    let store = &fixture.store;
    let later = NewDeadLetter { reason: "proxy_revoked".into(), ..dead_letter(2, "later") };
    let unreadable = NewDeadLetter { header: None, envelope: Bytes::from_static(b"\xff"), ..dead_letter(3, "") };
    store
        .register(dead(vec![dead_letter(1, "raw"), dead_letter(2, "raw"), later, unreadable]))
        .await
        .expect("registers");
    store.register(batch(vec![message(1)])).await.expect("registers");
    let found = store.statuses(Some(&client("demo")), &[id(1), id(2), id(3)]).await.expect("reads");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((found[0].message_id, found[0].status), (id(1), MessageState::Delivered));
    assert_eq!((found[1].message_id, found[1].status), (id(2), MessageState::Failed));
    assert_eq!((found[1].last_error.as_deref(), found[1].failed_at), (Some("stale"), Some(NOW)));
    assert!(store.statuses(Some(&client("other")), &[id(2)]).await.expect("reads").is_empty());
}

pub(crate) async fn thousands_of_ids_are_answered(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch((0..2500).filter(|n| n % 2 == 0).map(message).collect())).await.expect("registers");
    let ids = (0..2500).map(id).collect::<Vec<_>>();
    let (_, lacking) = store.lacking(&ids).await.expect("reads");
    assert_eq!(lacking, (0..2500).filter(|n| n % 2 == 1).map(id).collect::<Vec<_>>());
    assert_eq!(store.statuses(None, &ids).await.expect("reads").len(), 1250);
}

pub(crate) async fn figures_tell_hours_reasons_and_times(fixture: Fixture) {
    let store = &fixture.store;
    let hour = Duration::from_hours(1);
    let mut slow = message(2);
    slow.registered_at = NOW.plus(hour);
    slow.delivered_at = Some(NOW.plus(hour));
    let mut scheduled = message(3);
    scheduled.header.deliver_at = Some(NOW.plus(hour));
    scheduled.delivered_at = scheduled.header.deliver_at;
    (scheduled.header.domain, scheduled.header.client) = (domain("eu"), client("other"));
    store.register(batch(vec![message(1), slow, scheduled])).await.expect("registers");
    store.register(dead(vec![dead_letter(4, "raw"), dead_letter(5, "raw")])).await.expect("registers");
    let (from, to) = (NOW, NOW.plus(2 * hour));
    let delivered = |counts: Vec<HourCount>| {
        let mut counts: Vec<_> = counts.into_iter().filter(|count| count.event == CounterEvent::Delivered).collect();
        counts.sort_by_key(|count| count.at);
        counts.into_iter().map(|count| count.count).collect::<Vec<_>>()
    };
    assert_eq!(delivered(store.hour_counts(None, from, to).await.expect("reads")), [2, 1]);
    assert_eq!(delivered(store.hour_counts(Some(&domain("eu")), from, to).await.expect("reads")), [1]);
    let mut times = store.times_to_deliver(None, from, to).await.expect("reads");
    times.sort_unstable();
    let at_once = Band::of(Duration::ZERO);
    assert_eq!(times, [(at_once, 2), (Band::of(hour), 1)], "what was scheduled did not wait");
    assert_eq!(store.times_to_deliver(Some(&domain("eu")), from, to).await.expect("reads"), [(at_once, 1)]);
    assert_eq!(store.failures(None, from, to).await.expect("reads"), [("stale".to_owned(), 2)]);
    assert!(store.failures(Some(&domain("eu")), from, to).await.expect("reads").is_empty());
    let newest = store.newest_messages(&client("demo"), NOW, 1).await.expect("reads");
    assert_eq!((newest.len(), newest[0].status), (1, MessageState::Delivered));
    assert_eq!(store.sweep_tallies(Duration::from_hours(24), 100).await.expect("sweeps"), 0);
}
