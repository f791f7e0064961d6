//! What every queue has to do, whatever carries it. A backend runs the suite with a way to make an empty queue and to put
//! entries into it.

use std::time::Duration;

use mb_core::Clock;

use crate::journal::tests::support::{Rig, id, ids, ids_of, message};
use crate::redis::tests::server::Server;
use crate::{Append, Claim, Forwarder, Journal, Queue, RedisQueue};

/// A queue under test, and the journal whose entries it distributes.
pub(crate) struct Subject {
    queue: Queue,
    journal: Journal,
    lease: Duration,
    time: Time,
}

/// How time passes: a queue in another process cannot be told what time it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Paused,
    Real,
}

impl Subject {
    async fn put(&self, entries: Vec<Append>) {
        self.journal.append(entries).await.expect("stored");
    }

    /// Claims until `count` entries are there.
    async fn claim(&self, count: usize) -> crate::Claimed {
        let mut all = crate::Claimed::default();
        while all.entries.len() < count {
            let max = Claim { entries: count - all.entries.len(), bytes: u64::MAX };
            let claimed = self.queue.claim("w", max).await;
            all.entries.extend(claimed.entries);
            all.keys.extend(claimed.keys);
        }
        all
    }

    async fn is_empty(&self) -> bool {
        let claim = self.queue.claim("w", Claim { entries: 1, bytes: 1 });
        let enough = if self.time == Time::Paused { 1 } else { 250 };
        tokio::time::timeout(Duration::from_millis(enough), claim).await.is_err()
    }

    async fn pass(&self, time: Duration) {
        match self.time {
            Time::Paused => tokio::time::advance(time).await,
            Time::Real => tokio::time::sleep(time).await,
        }
    }
}

fn tags(claimed: &crate::Claimed) -> Vec<crate::Tag> {
    claimed.entries.iter().map(|entry| entry.tag).collect()
}

async fn what_was_put_is_claimed_once_with_its_keys(subject: &Subject) {
    subject.put((0..5).map(message).collect()).await;
    let claimed = subject.claim(5).await;
    assert_eq!(ids_of(&claimed), ids(0..5));
    assert_eq!(claimed.keys.first(), Some(&message(0).key));
    assert!(claimed.entries.iter().all(|entry| entry.deliveries == 1));
    assert!(subject.is_empty().await);
    subject.queue.ack(&tags(&claimed)).await;
    subject.pass(subject.lease * 2).await;
    assert!(subject.is_empty().await, "what was acknowledged does not come back");
}

async fn a_claim_waits_for_the_first_entry(subject: &Subject) {
    let (claimed, ()) = tokio::join!(subject.claim(1), subject.put(vec![message(10)]));
    assert_eq!(ids_of(&claimed), [id(10)]);
    subject.queue.ack(&tags(&claimed)).await;
}

async fn what_is_given_back_or_not_acknowledged_in_time_comes_back(subject: &Subject) {
    let mut first = crate::Claimed::default();
    for n in [20, 21] {
        subject.put(vec![message(n)]).await;
        first.entries.extend(subject.claim(1).await.entries);
    }
    subject.queue.nack(&tags(&first)[..1]).await;
    let second = subject.claim(1).await;
    assert_eq!((ids_of(&second), second.entries[0].deliveries), (vec![id(20)], 2));
    subject.pass(subject.lease).await;
    let third = subject.claim(2).await;
    let mut again = ids_of(&third);
    again.sort_unstable();
    assert_eq!(again, [id(20), id(21)]);
    subject.queue.ack(&tags(&first)).await;
    subject.queue.nack(&tags(&second)).await;
    assert!(subject.is_empty().await, "leases that are over change nothing");
    subject.queue.ack(&tags(&third)).await;
}

async fn claims_keep_their_bounds(subject: &Subject) {
    subject.put((30..40).map(message).collect()).await;
    let max = Claim { entries: 3, bytes: u64::MAX };
    let few = subject.queue.claim("w", max).await;
    assert!((1..=3).contains(&few.entries.len()));
    let one = subject.queue.claim("w", Claim { entries: 100, bytes: 1 }).await;
    assert_eq!(one.entries.len(), 1);
    let rest = subject.claim(10 - few.entries.len() - 1).await;
    for claimed in [few, one, rest] {
        subject.queue.ack(&tags(&claimed)).await;
    }
}

/// All of it, on one queue.
async fn suite(subject: Subject) {
    what_was_put_is_claimed_once_with_its_keys(&subject).await;
    a_claim_waits_for_the_first_entry(&subject).await;
    what_is_given_back_or_not_acknowledged_in_time_comes_back(&subject).await;
    claims_keep_their_bounds(&subject).await;
}

#[tokio::test(start_paused = true)]
async fn the_embedded_queue_keeps_the_contract() {
    let rig = Rig::new();
    let journal = rig.open();
    let queue = Queue::Embedded(journal.clone());
    suite(Subject { queue, journal, lease: rig.config.lease, time: Time::Paused }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_on_redis_keeps_the_contract_needs_redis_server() {
    let server = Server::start(&[]).await;
    let journal = Rig::new().open();
    let forwarder = Forwarder::new(journal.clone(), server.config.clone(), Clock::System);
    let (queue, keeper) = RedisQueue::new(server.config.clone(), "w", Clock::System);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(forwarder.run(std::future::pending()));
    tasks.spawn(keeper.run(std::future::pending()));
    let lease = server.config.claim_idle;
    suite(Subject { queue: Queue::Redis(queue), journal, lease, time: Time::Real }).await;
}
