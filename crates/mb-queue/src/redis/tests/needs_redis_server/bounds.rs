//! How far the stream gets ahead of the store, and what that costs.

use std::time::Duration;

use super::super::server::Server;
use super::world::{World, rig};
use crate::journal::tests::support::ids;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_never_holds_more_than_the_window_while_nothing_is_confirmed() {
    let server = Server::start(&[]).await;
    let mut world = World::new(&server.config, &rig(300));
    world.set_up(false);
    world.work(2);
    world.accept(5_000).await;
    world.until("the window is full", async || world.forwarded(&server).await == 300).await;
    // Long enough for units to be given back and taken over several times.
    for _ in 0..100 {
        assert!(world.forwarded(&server).await <= 300);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_not_registered_over_and_over() {
    let server = Server::start(&[]).await;
    let mut world = World::new(&server.config, &rig(1_000));
    world.work(3);
    world.accept(2_000).await;
    world.until_all_stored().await;
    world.set_up(false);
    world.accept(18_000).await;
    world.until("the window is full", async || world.forwarded(&server).await >= 900).await;
    // The main server is away for longer than leases and the time until entries go again.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(server.run::<u64>("XLEN q").await <= 1_000);
    world.set_up(true);
    world.until_all_stored().await;
    let (stored, registrations) = (world.store.count(), world.store.registrations());
    assert_eq!(stored, 20_000);
    assert!(registrations <= 21_000, "{registrations} registrations of {stored} messages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_accepts_without_redis_and_catches_up_by_itself() {
    let mut server = Server::start(&[]).await;
    server.kill();
    let mut world = World::of(&server);
    world.work(1);
    world.accept(3_000).await;
    assert_eq!(world.journal.status().depth, 3_000);
    server.revive().await;
    world.until_all_stored().await;
    assert_eq!(world.store.registrations(), 3_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restored_store_lacks_is_forwarded_again_and_nothing_else() {
    let server = Server::start(&[]).await;
    let mut world = World::of(&server);
    world.work(1);
    world.accept(2_000).await;
    world.until_all_stored().await;
    world.store.restore_without(&ids(500..900));
    // The next question shows the new epoch.
    world.accept(1).await;
    world.until_all_stored().await;
    assert_eq!(world.store.registrations(), 2_001);
}
