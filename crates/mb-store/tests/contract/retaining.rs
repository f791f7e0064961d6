//! What was kept for long enough goes: contents first, then all that is known, and nothing that is not done with.

use std::time::Duration;

use mb_core::{AttemptClass, DestinationKind, DomainName, DomainRules, MessageState, Retention, Timestamp};
use mb_store::{
    AuditCheckpoint, Begin, DeadLetterFilter, Letters, NewDeadLetter, NewMessage, Registered, Removal,
    RetentionProgress, Retired, Store, Stretch,
};

use crate::delivering::{destination, lease, pass, register_as, report, status, tell};
use crate::fixture::{Fixture, NOW, batch, dead, dead_letter, domain, id, message};

const HOUR: Duration = Duration::from_hours(1);
/// Long ago on every clock.
const THEN: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// A delivered message that was accepted `hours` after [`THEN`].
fn accepted(n: u32, hours: u32) -> NewMessage {
    let mut message = message(n);
    message.header.queued_at = THEN.plus(HOUR * hours);
    NewMessage { registered_at: THEN, delivered_at: Some(THEN), ..message }
}

fn processing(n: u32, hours: u32) -> NewMessage {
    NewMessage { status: MessageState::Processing, delivered_at: None, ..accepted(n, hours) }
}

/// Goes through everything before `hours` after [`THEN`]; how much went.
async fn retire(store: &Store, what: Retired, hours: u32, removal: Removal) -> u64 {
    let (domain, before) = (DomainName::default(), THEN.plus(HOUR * hours));
    let (mut removed, mut after) = (0, None);
    loop {
        let stretch = Stretch { domain: &domain, before, after };
        let step = store.retire(what, &stretch, removal).await.expect("steps");
        removed += step.removed;
        after = step.place.or(after);
        if !step.more {
            return removed;
        }
    }
}

async fn is_empty(store: &Store, n: u32) -> bool {
    store.message(id(n)).await.expect("reads").expect("is there").sealed.is_empty()
}

async fn present(store: &Store, numbers: std::ops::Range<u32>) -> Vec<u32> {
    let mut found = Vec::new();
    for n in numbers {
        if store.message(id(n)).await.expect("reads").is_some() {
            found.push(n);
        }
    }
    found
}

pub(crate) async fn contents_go_before_their_messages(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch((0..4).map(|n| accepted(n, n)).collect())).await.expect("registers");
    assert_eq!(retire(store, Retired::Bodies, 2, Removal::Count).await, 2);
    assert!(!is_empty(store, 0).await, "it was only counted");
    assert_eq!(retire(store, Retired::Bodies, 2, Removal::Remove).await, 2);
    assert_eq!(retire(store, Retired::Bodies, 2, Removal::Remove).await, 0, "a repeat finds nothing");
    let row = store.message(id(1)).await.expect("reads").expect("is there");
    assert_eq!((row.sealed.len(), row.status, row.sender_number_hashed), (0, MessageState::Delivered, Some([7; 32])));
    assert!(!is_empty(store, 2).await, "it is not old enough");
    assert_eq!(retire(store, Retired::Messages, 1, Removal::Count).await, 1);
    assert_eq!(retire(store, Retired::Messages, 1, Removal::Remove).await, 1);
    assert_eq!(present(store, 0..4).await, [1, 2, 3]);
    let counts = store.event_counts(None, Timestamp::default(), Timestamp::from_micros(i64::MAX)).await;
    assert_eq!(counts.expect("reads")[&mb_store::CounterEvent::Registered], 4, "counters only count up");
}

pub(crate) async fn what_is_not_done_with_stays(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await;
    register_as(store, vec![processing(0, 0)], &[hook.route.id], &Begin::Waiting).await;
    let later = fixture.clock.now().plus(Duration::from_hours(24 * 365 * 50));
    let scheduled = NewMessage { delivered_at: Some(later), ..accepted(1, 0) };
    // Taken long ago, and on its way once more.
    let replayed = accepted(2, 0);
    store.register(batch(vec![scheduled, replayed, accepted(3, 0)])).await.expect("registers");
    let replay = mb_store::Replay {
        since: THEN,
        until: THEN.plus(HOUR),
        topics: None,
        message: None,
        dry_run: false,
        after: Some((THEN, id(1))),
    };
    assert_eq!(store.replay(&hook, &replay, &"one".into(), "ann").await.expect("sends").sent, 2);
    for what in Retired::ALL {
        assert_eq!(retire(store, what, 1, Removal::Count).await, 0, "{what:?}");
        assert_eq!(retire(store, what, 1, Removal::Remove).await, 0, "{what:?}");
    }
    assert_eq!(present(store, 0..4).await, [0, 1, 2, 3]);
    let leased = lease(store, 1, 10).await;
    assert_eq!(leased.len(), 3);
    let taken = (1..).zip(&leased).map(|(n, leased)| report(leased, n, AttemptClass::Taken));
    tell(store, &taken.collect::<Vec<_>>()).await;
    assert_eq!(retire(store, Retired::Bodies, 1, Removal::Remove).await, 3);
    assert_eq!(retire(store, Retired::Messages, 1, Removal::Remove).await, 3);
    assert_eq!(present(store, 0..4).await, [1], "its time has not come");
}

pub(crate) async fn everything_about_a_message_goes_with_it(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register_as(store, vec![processing(0, 0), processing(1, 9)], &[hook], &Begin::Waiting).await;
    for (attempt, wait) in [(1, 5), (2, 30), (3, 0)] {
        let attempts = lease(store, attempt, 10).await;
        let attempts = (attempt * 10..).zip(&attempts).map(|(n, leased)| {
            let answer = Some(b"sealed answer".to_vec());
            mb_store::AttemptReport { answer, ..report(leased, n, AttemptClass::ServerError) }
        });
        tell(store, &attempts.collect::<Vec<_>>()).await;
        pass(&fixture, Duration::from_secs(wait + 1)).await;
    }
    assert_eq!(status(store, 0).await, (MessageState::Failed, 3));
    let mut beside = fixture.beside().await;
    let answers = "SELECT COUNT(*) FROM attempts WHERE answer IS NOT NULL";
    assert_eq!(beside.number(answers).await, 6);
    assert_eq!(retire(store, Retired::Bodies, 1, Removal::Remove).await, 1);
    assert_eq!(beside.number(answers).await, 3, "what the receiver answered is content, too");
    assert_eq!(store.open_dead_letters().await.expect("counts"), 2);
    let letters = store.dead_letter_page(&DeadLetterFilter::default(), None, 9).await.expect("reads");
    let numbers = letters.iter().map(|letter| letter.id).collect::<Vec<_>>();
    let redriven = store.redrive_dead_letters(&numbers, &"one".into(), "ann").await.expect("asks");
    assert_eq!(
        (redriven.sent, status(store, 0).await.0),
        (1, MessageState::Failed),
        "there is nothing to send any more"
    );
    assert_eq!(retire(store, Retired::Messages, 10, Removal::Remove).await, 1, "the other one is on its way again");
    for (table, left) in [("messages", 1), ("deliveries", 1), ("attempts", 3), ("dead_letters", 0)] {
        assert_eq!(beside.number(&format!("SELECT COUNT(*) FROM {table}")).await, left, "{table}");
    }
}

pub(crate) async fn an_id_is_free_again_when_its_message_is_gone(fixture: Fixture) {
    let store = &fixture.store;
    let other = NewMessage { sealed: "another content".into(), ..accepted(0, 5) };
    store.register(batch(vec![accepted(0, 0)])).await.expect("registers");
    retire(store, Retired::Bodies, 1, Removal::Remove).await;
    let repeat = store.register(batch(vec![other.clone()])).await.expect("registers");
    assert!(matches!(repeat.messages[0], Registered::Duplicate(_)), "while it is known, it is known");
    assert_eq!(retire(store, Retired::Messages, 1, Removal::Remove).await, 1);
    assert_eq!(store.lacking(&[id(0)]).await.expect("asks").1, [id(0)]);
    assert_eq!(store.register(batch(vec![other])).await.expect("registers").messages, [Registered::Stored]);
    assert!(!is_empty(store, 0).await);
}

pub(crate) async fn a_message_waits_for_a_younger_one_under_its_id(fixture: Fixture) {
    let store = &fixture.store;
    let conflict = |envelope: &'static str, hours| {
        let header = Some(accepted(0, hours).header);
        NewDeadLetter { reason: NewDeadLetter::CONFLICT.into(), header, ..dead_letter(0, envelope) }
    };
    store.register(batch(vec![accepted(0, 0)])).await.expect("registers");
    store.register(dead(vec![conflict("other", 7), conflict("third", 1)])).await.expect("registers");
    assert_eq!(retire(store, Retired::Messages, 5, Removal::Remove).await, 0);
    assert_eq!(retire(store, Retired::Messages, 8, Removal::Remove).await, 1);
    assert!(store.dead_letters(None, 9).await.expect("reads").is_empty(), "no copy counts as the message any more");
}

pub(crate) async fn a_walk_is_broken_off_and_goes_on_anywhere(fixture: Fixture) {
    let store = &fixture.store;
    // One moment for many, so that places are told apart by ids alone.
    store.register(batch((0..450).map(|n| accepted(n, n / 400)).collect())).await.expect("registers");
    let domain = DomainName::default();
    let stretch = |after| Stretch { domain: &domain, before: THEN.plus(HOUR * 9), after };
    let first = store.retire(Retired::Bodies, &stretch(None), Removal::Remove).await.expect("steps");
    assert_eq!((first.removed, first.place, first.more), (200, Some((THEN, id(199))), true));
    let second = store.retire(Retired::Bodies, &stretch(first.place), Removal::Remove).await.expect("steps");
    assert_eq!((second.removed, second.place), (200, Some((THEN, id(399)))));
    // Whoever does not know how far it came begins anew, and does nothing twice.
    assert_eq!(retire(store, Retired::Bodies, 9, Removal::Remove).await, 50);
    let counted = retire(store, Retired::Messages, 9, Removal::Count).await;
    assert_eq!((counted, retire(store, Retired::Messages, 9, Removal::Remove).await), (450, 450));
    assert!(present(store, 0..450).await.is_empty());
    let none = store.retire(Retired::Messages, &stretch(None), Removal::Remove).await.expect("steps");
    assert_eq!((none.removed, none.place, none.more), (0, None, false));
}

pub(crate) async fn dead_letters_go_by_their_own_age(fixture: Fixture) {
    let store = &fixture.store;
    let letter = |n, hours| NewDeadLetter { header: Some(accepted(n, hours).header), ..dead_letter(n, "kept") };
    let nobodys = |n, hours: u32| NewDeadLetter {
        header: None,
        created_at: THEN.plus(HOUR * hours),
        ..dead_letter(n, "unreadable")
    };
    let all = vec![letter(0, 0), letter(1, 5), letter(2, 9), nobodys(3, 0), nobodys(4, 5), nobodys(5, 9)];
    store.register(dead(all)).await.expect("registers");
    let default = DomainName::default();
    assert_eq!(store.domains_of_messages().await.expect("reads"), [DomainName::default()]);
    for domain in [Some(&default), None] {
        let letters = Letters { domain, before: THEN.plus(HOUR * 3), bodies_before: THEN.plus(HOUR * 6), after: None };
        for removal in [Removal::Count, Removal::Remove] {
            let step = store.retire_letters(&letters, removal).await.expect("steps");
            assert_eq!((step.removed, step.more), (2, false), "{domain:?} {removal:?}");
        }
        assert_eq!(store.retire_letters(&letters, Removal::Remove).await.expect("steps").removed, 0);
    }
    let left = store.dead_letters(None, 9).await.expect("reads");
    let left = left.iter().map(|letter| (letter.message_id, letter.envelope.is_empty())).collect::<Vec<_>>();
    assert_eq!(left, [(id(5), false), (id(4), true), (id(2), false), (id(1), true)]);
}

pub(crate) async fn how_long_things_are_kept_is_set_once_for_all_servers(fixture: Fixture) {
    let (store, other) = (&fixture.store, fixture.second().await);
    assert_eq!(store.retention().await.expect("reads"), Retention::default());
    let set = Retention { body_days: 7, ..Retention::default() };
    for _ in 0..2 {
        store.set_retention(&set, "ann").await.expect("sets");
    }
    assert_eq!(other.retention().await.expect("reads"), set);
    let rows = store.audit_log(None, 9).await.expect("reads");
    assert_eq!(rows.iter().filter(|row| row.action == "retention.set").count(), 1, "setting what is set is no change");
    store.ensure_domain(&domain("eu"), "ann").await.expect("creates");
    let rules = DomainRules { body_retention_days: Some(3), retention_days: Some(40), ..DomainRules::default() };
    store.set_domain_rules(&domain("eu"), &rules, "ann").await.expect("sets");
    assert_eq!(other.domain(&domain("eu")).await.expect("reads").expect("is there").rules, rules);
    let progress = |n| RetentionProgress { place: (THEN, id(n)), round_at: NOW };
    for n in 0..2 {
        store.note_retention(&domain("eu"), Retired::Bodies, &progress(n)).await.expect("notes");
    }
    let eu = domain("eu");
    let noted = |what| other.retention_progress(&eu, what);
    assert_eq!(noted(Retired::Bodies).await.expect("reads"), Some(progress(1)));
    assert_eq!(noted(Retired::Messages).await.expect("reads"), None);
    other.close().await;
}

pub(crate) async fn the_audit_log_is_cut_where_it_is_said_to_begin(fixture: Fixture) {
    let store = &fixture.store;
    for n in 0..5 {
        store.audit("ann", "test.record", &n.to_string(), serde_json::json!({})).await.expect("records");
    }
    let rows = store.unchained_audit(9).await.expect("reads");
    let links = rows.iter().zip(1..).map(|(row, n)| (row.id, [n; 32])).collect::<Vec<_>>();
    let head = store.audit_head().await.expect("reads");
    assert!(store.chain_audit(&head, &links).await.expect("chains"));
    for (position, hours) in [(1, 1), (2, 2), (4, 4)] {
        let at = THEN.plus(HOUR * hours);
        let (signature, certificate_pem) = (vec![1], String::new());
        let checkpoint = AuditCheckpoint { at, position, audit_id: 0, hash: [0; 32], signature, certificate_pem };
        store.insert_checkpoint(&checkpoint).await.expect("inserts");
    }
    let old = async |position, hours: u32| {
        let old = store.old_checkpoints(position, THEN.plus(HOUR * hours), 2).await.expect("reads");
        old.into_iter().map(|checkpoint| checkpoint.position).collect::<Vec<_>>()
    };
    assert_eq!((old(0, 9).await, old(0, 2).await, old(1, 9).await), (vec![1, 2], vec![1], vec![2, 4]));
    let none = serde_json::json!({});
    let begin = async |from: Option<&[u8]>, to: &[u8]| {
        store.move_audit_start(from, to, none.clone(), "system").await.expect("asks")
    };
    assert!(begin(None, b"two").await);
    assert!(!begin(None, b"late").await, "another was faster");
    assert_eq!(store.audit_start().await.expect("reads").as_deref(), Some(&b"two"[..]));
    assert_eq!(store.prune_audit(2, 1).await.expect("prunes"), 1);
    assert_eq!(store.prune_audit(2, 9).await.expect("prunes"), 1);
    assert_eq!(store.prune_audit(2, 9).await.expect("prunes"), 0);
    let left = store.audit_chain(0, 9).await.expect("reads");
    assert_eq!(left.iter().map(|row| row.position).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(store.checkpoint_count(0).await.expect("counts"), 2, "the one at the cut stays");
    assert_eq!(store.checkpoint_count(3).await.expect("counts"), 1);
    assert!(begin(Some(b"two"), b"four").await);
    let actions = store.audit_log(None, 9).await.expect("reads");
    assert_eq!(actions.iter().filter(|row| row.action == "audit.prune").count(), 2);
}
