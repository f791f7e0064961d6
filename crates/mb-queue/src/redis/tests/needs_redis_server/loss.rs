//! Redis loses what it was given, in every way it can; nothing accepted is lost.

use std::time::Duration;

use super::super::server::Server;
use super::world::World;

/// A world with entries in the stream that nobody registered yet.
async fn with_waiting(server: &Server, count: u32) -> World {
    let mut world = World::of(server);
    world.accept(count).await;
    world.until("everything is in the stream", async || world.forwarded(server).await == u64::from(count)).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_mid_work_is_survived() {
    let mut server = Server::start(&["--appendonly", "yes"]).await;
    let mut world = World::of(&server);
    world.work(2);
    for _ in 0..4 {
        world.accept(1_000).await;
        server.kill();
        world.accept(1_000).await;
        server.revive().await;
    }
    world.until_all_stored().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restart_kept_is_not_forwarded_again() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let mut world = with_waiting(&server, 2_000).await;
    server.kill();
    server.revive().await;
    world.accept(1).await;
    world.work(1);
    world.until_all_stored().await;
    assert_eq!(world.store.registrations(), 2_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restart_lost_is_forwarded_again() {
    let mut server = Server::start(&["--save", "", "--appendonly", "no"]).await;
    let mut world = with_waiting(&server, 2_000).await;
    server.kill();
    server.revive().await;
    world.work(1);
    world.until_all_stored().await;
    assert_eq!(world.store.count(), 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_flushed_is_forwarded_again_even_if_others_made_the_stream_anew() {
    let server = Server::start(&[]).await;
    let mut quiet = with_waiting(&server, 500).await;
    server.run::<()>("FLUSHALL").await;
    let mut other = World::of(&server);
    other.accept(10).await;
    other.until("the other proxy made the stream", async || server.run::<u64>("XLEN q").await > 0).await;
    quiet.work(1);
    quiet.until_all_stored().await;
    assert!(quiet.store.registrations() <= 510, "{}", quiet.store.registrations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_wait_go_on_after_a_flush() {
    let server = Server::start(&[]).await;
    let mut world = World::of(&server);
    world.work(2);
    for command in ["FLUSHALL", "DEL q", "XGROUP DESTROY q workers", "FLUSHDB"] {
        world.accept(300).await;
        server.run::<redis::Value>(command).await;
        world.accept(300).await;
        world.until_all_stored().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroyed_group_is_made_again_from_the_streams_start() {
    let server = Server::start(&[]).await;
    let mut world = with_waiting(&server, 1_000).await;
    server.run::<u64>("XGROUP DESTROY q workers").await;
    world.work(1);
    world.until_all_stored().await;
    assert_eq!(world.store.registrations(), 1_000, "the units were still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_that_somebody_removed_by_hand_are_forwarded_again_once_they_are_overtaken() {
    let server = Server::start(&[]).await;
    let mut world = with_waiting(&server, 100).await;
    server.run::<u64>("XTRIM q MAXLEN 0").await;
    world.work(1);
    world.accept(100).await;
    world.until_all_stored().await;
    assert_eq!(world.store.registrations(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_that_somebody_removed_by_hand_are_forwarded_again_though_nothing_comes_after_them() {
    let server = Server::start(&[]).await;
    let mut world = with_waiting(&server, 100).await;
    server.run::<u64>("XTRIM q MAXLEN 0").await;
    world.work(1);
    world.until_all_stored().await;
    assert_eq!(world.store.registrations(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evicting_redis_at_its_memory_limit_loses_nothing_for_good() {
    let limits = ["--maxmemory-policy", "allkeys-lru", "--maxmemory", "4mb", "--save", ""];
    let mut server = Server::start(&limits).await;
    server.config.allow_eviction = true;
    let mut world = World::of(&server);
    world.work(2);
    world.set_up(false);
    world.accept(20_000).await;
    world.until("something was evicted", async || evicted(&server).await > 0).await;
    // The operator gives it memory; until then it may be evicted again and again.
    server.run::<()>("CONFIG SET maxmemory 100mb").await;
    world.set_up(true);
    world.until_all_stored().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_without_memory_is_waited_for() {
    let server = Server::start(&["--maxmemory-policy", "noeviction", "--maxmemory", "3mb", "--save", ""]).await;
    let mut world = World::of(&server);
    world.work(1);
    world.set_up(false);
    world.accept(20_000).await;
    world.until("it refuses more", async || info(&server, "errorstat_OOM").await.is_some()).await;
    assert!(world.journal.status().depth >= 20_000);
    let refusals = async || {
        let refused = info(&server, "errorstat_OOM").await.expect("it refused");
        refused.trim_start_matches("count=").parse::<u64>().expect("a number")
    };
    let before = refusals().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let tries = refusals().await - before;
    assert!(tries < 200, "{tries} commands refused in a second");
    world.set_up(true);
    world.until_all_stored().await;
    assert_eq!(evicted(&server).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_cannot_carry_the_queue_is_used_as_soon_as_it_can() {
    for (unfit, fit) in [
        ("CONFIG SET maxmemory-policy allkeys-lru", "CONFIG SET maxmemory-policy noeviction"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        let server = Server::start(&[]).await;
        let _: String = server.run(unfit).await;
        let mut world = World::of(&server);
        world.accept(10).await;
        world.until("it was looked at", async || info(&server, "cmdstat_info").await.is_some()).await;
        assert_eq!(server.run::<u64>("EXISTS q").await, 0, "{unfit}");
        let _: String = server.run(fit).await;
        world.work(1);
        world.until_all_stored().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_idle_connections_are_opened_again() {
    let server = Server::start(&["--timeout", "1"]).await;
    let mut world = World::of(&server);
    let clients = async || server.run::<String>("CLIENT LIST TYPE normal").await.lines().count();
    world.until("the forwarder is connected", async || clients().await == 2).await;
    world.until("its idle connection was closed", async || clients().await == 1).await;
    world.work(1);
    world.accept(10).await;
    world.until_all_stored().await;
    assert_eq!(world.store.registrations(), 10);
}

async fn info(server: &Server, name: &str) -> Option<String> {
    let all: String = server.run("INFO everything").await;
    all.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned()))
}

async fn evicted(server: &Server) -> u64 {
    info(server, "evicted_keys").await.and_then(|count| count.parse().ok()).expect("it is told")
}
