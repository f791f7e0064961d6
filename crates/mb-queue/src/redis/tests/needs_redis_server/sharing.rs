//! Workers that share a stream.

use std::time::Duration;

use mb_core::Clock;
use tokio::task::JoinSet;

use super::super::server::Server;
use super::world::World;
use crate::journal::tests::support::{ALL, ids, ids_of};
use crate::redis::RedisQueue;
use crate::{Claim, Claimed, Queue, Tag};

struct Worker {
    queue: Queue,
    keeper: JoinSet<()>,
}

fn worker(server: &Server, name: &str) -> Worker {
    let (queue, keeper) = RedisQueue::new(server.config.clone(), name, Clock::System);
    let mut tasks = JoinSet::new();
    tasks.spawn(keeper.run(std::future::pending()));
    Worker { queue: Queue::Redis(queue), keeper: tasks }
}

fn tags(claimed: &Claimed) -> Vec<Tag> {
    claimed.entries.iter().map(|entry| entry.tag).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_worker_holds_goes_to_another_and_nothing_is_lost() {
    let server = Server::start(&[]).await;
    let mut world = World::of(&server);
    let mut frozen = worker(&server, "frozen");
    world.accept(3).await;
    let held = frozen.queue.claim("w", ALL).await;
    assert!(!held.entries.is_empty());
    frozen.keeper.abort_all();
    world.work(1);
    world.until_all_stored().await;
    frozen.queue.ack(&tags(&held)).await;
    assert_eq!(server.run::<u64>("XLEN q").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_worker_held_is_taken_over_without_pauses() {
    let mut server = Server::start(&[]).await;
    server.config.check_every = Duration::from_secs(1);
    let mut world = World::of(&server);
    let mut dead = worker(&server, "dead");
    let mut held = 0;
    for _ in 0..200 {
        world.accept(1).await;
        while held < world.accepted() {
            held += dead.queue.claim("w", ALL).await.entries.len();
        }
    }
    assert_eq!(server.run::<u64>("XLEN q").await, 200, "a unit each");
    dead.keeper.abort_all();
    let died = tokio::time::Instant::now();
    world.work(1);
    world.until_all_stored().await;
    assert!(died.elapsed() < Duration::from_secs(6), "{:?}", died.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stops_gives_back_what_it_did_not_begin() {
    let mut server = Server::start(&[]).await;
    server.config.claim_idle = Duration::from_mins(10);
    let mut world = World::of(&server);
    let (queue, keeper) = RedisQueue::new(server.config.clone(), "leaving", Clock::System);
    let queue = Queue::Redis(queue);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(keeper.run(async { drop(stopped.await) }));
    world.accept(10).await;
    let begun = queue.claim("w", crate::Claim { entries: 1, bytes: 1 }).await;
    drop(stop);
    world.store.register(ids_of(&begun).into_iter());
    queue.ack(&tags(&begun)).await;
    tokio::time::timeout(Duration::from_secs(4), tasks.join_all()).await.expect("ends soon");
    assert!(queue.claim("w", ALL).await.entries.is_empty(), "closed");
    world.work(1);
    world.until_all_stored().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_share_the_stream_and_each_message_is_registered_once() {
    let server = Server::start(&[]).await;
    let mut world = World::of(&server);
    world.work(3);
    world.accept(5_000).await;
    world.until_all_stored().await;
    assert_eq!((world.store.count(), world.store.registrations()), (5_000, 5_000));
    assert_eq!(server.run::<u64>("XLEN q").await, 0, "what is done is deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_in_the_stream_is_removed_and_stops_nobody() {
    let server = Server::start(&[]).await;
    let mut world = World::of(&server);
    world.work(1);
    world.accept(1).await;
    world.until_all_stored().await;
    server.run::<String>("XADD q * b rubbish").await;
    server.run::<String>("XADD q * other field").await;
    world.accept(10).await;
    world.until_all_stored().await;
    world.until("the stream is empty", async || server.run::<u64>("XLEN q").await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_that_were_lost_on_the_way_to_a_worker_are_fetched_again() {
    let mut server = Server::start(&[]).await;
    server.config.claim_idle = Duration::from_mins(10);
    let mut world = World::of(&server);
    let reader = worker(&server, "reader");
    world.accept(1).await;
    let first = reader.queue.claim("w", ALL).await;
    assert_eq!(ids_of(&first), ids(0..1));
    world.accept(1).await;
    world.until("the second unit is there", async || server.run::<u64>("XLEN q").await == 2).await;
    // As if Redis had handed the unit to this consumer and the answer had been lost with the connection.
    let consumers: Vec<std::collections::HashMap<String, redis::Value>> = server.run("XINFO CONSUMERS q workers").await;
    let names = consumers.into_iter().filter_map(|mut row| redis::from_redis_value::<String>(row.remove("name")?).ok());
    let name = names.into_iter().find(|name| name.starts_with("reader")).expect("it reads");
    let _: redis::Value = server.run(&format!("XREADGROUP GROUP workers {name} STREAMS q >")).await;
    server.run::<u64>("CLIENT KILL TYPE normal SKIPME yes").await;
    let second = tokio::time::timeout(Duration::from_secs(10), reader.queue.claim("w", ALL)).await.expect("it comes");
    assert_eq!((ids_of(&second), second.entries[0].deliveries), (ids(1..2), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_back_comes_again_before_anything_new() {
    let server = Server::start(&[]).await;
    let mut world = World::of(&server);
    for _ in 0..5 {
        world.accept(1).await;
        world.until("it is in the stream", async || world.forwarded(&server).await == world.accepted() as u64).await;
    }
    let worker = worker(&server, "patient");
    let one = Claim { entries: 1, ..ALL };
    let first = worker.queue.claim("w", one).await;
    worker.queue.nack(&tags(&first)).await;
    for _ in 0..5 {
        let again = worker.queue.claim("w", one).await;
        assert_eq!(ids_of(&again), ids_of(&first));
        worker.queue.nack(&tags(&again)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_is_dealt_with_in_part_goes_on_without_memory_in_redis() {
    let server = Server::start(&["--maxmemory-policy", "noeviction", "--save", ""]).await;
    let mut world = World::of(&server);
    world.accept(3).await;
    world.until("one unit", async || world.forwarded(&server).await == 3).await;
    let worker = worker(&server, "interrupted");
    let all = worker.queue.claim("w", ALL).await;
    let _: String = server.run("CONFIG SET maxmemory 1").await;
    worker.queue.ack(&tags(&all)[..1]).await;
    worker.queue.nack(&tags(&all)[1..]).await;
    let rest = tokio::time::timeout(Duration::from_secs(10), worker.queue.claim("w", ALL)).await.expect("it goes on");
    assert_eq!(ids_of(&rest), ids(1..3));
    worker.queue.ack(&tags(&rest)).await;
    world.until("it is gone", async || server.run::<u64>("XLEN q").await == 0).await;
}
