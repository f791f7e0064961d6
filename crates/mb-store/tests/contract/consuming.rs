//! Consumers of pull destinations: they settle what they hold.

use mb_core::{AttemptClass, DestinationKind, DestinationState, MessageState};
use mb_store::{DestinationChange, LeaseAsk, Reporter, Reports, Whose};

use crate::delivering::{attempt_of, destination, lease_id, register, status};
use crate::fixture::{Fixture, id};

pub(crate) async fn a_consumer_is_believed_of_what_it_holds_alone(fixture: Fixture) {
    let store = &fixture.store;
    let inbox = destination(store, "inbox", DestinationKind::Pull).await.route.id;
    register(store, 0..1, &[inbox]).await;
    let say = async |lease: u8, attempt: u8, worker: &str, class: AttemptClass| {
        let leased = (id(0), inbox, lease_id(lease));
        let attempts = [attempt_of(leased, attempt, class)];
        let (by, instance) = (Reporter::Consumer, "one".into());
        let reports =
            Reports { by, attempts: &attempts, released: &[], expired: &[], worker, instance: &instance, jitter: &[] };
        store.report_attempts(&reports).await.expect("reports").refused
    };
    assert_eq!(say(9, 1, "ann", AttemptClass::Taken).await, [id(0)], "nobody fetched it");
    let ask = LeaseAsk { lease: lease_id(1), holder: "ann", limit: 9, whose: Whose::Pull(inbox) };
    assert_eq!(store.lease_deliveries(&ask).await.expect("leases").deliveries.len(), 1);
    let held = [(inbox, lease_id(1), id(0))];
    let paused = DestinationChange::State(DestinationState::Paused, None);
    store.change_destination(inbox, &paused, "admin").await.expect("changes");
    assert!(store.prolong_leases(&held, Some("ann")).await.expect("asks").is_empty(), "also while it is paused");
    assert_eq!(store.prolong_leases(&held, Some("ben")).await.expect("asks"), held, "it is not this one's");
    for (lease, worker) in [(9, "ann"), (1, "ben")] {
        assert_eq!(say(lease, 2, worker, AttemptClass::Taken).await, [id(0)], "{lease} {worker}");
    }
    assert_eq!(status(store, 0).await, (MessageState::Processing, 0), "and nothing is kept of it");
    assert!(say(1, 3, "ann", AttemptClass::Taken).await.is_empty());
    assert!(say(1, 3, "ann", AttemptClass::Taken).await.is_empty(), "a repeat");
    assert_eq!(say(1, 4, "ann", AttemptClass::Nacked).await, [id(0)], "the lease is used up");
    assert_eq!(status(store, 0).await, (MessageState::Delivered, 1));
    assert_eq!(store.attempts(id(0), 9).await.expect("reads").len(), 1);
}
