//! A master that dies and a replica that takes over.

use super::super::server::{Server, spare_port};
use super::world::{World, rig};
use crate::redis::{RedisAddress, RedisConfig, Sentinel, inspect};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_followed_and_nothing_is_lost() {
    let mut master = Server::start(&[]).await;
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", master.port)]).await;
    let sentinel = start_sentinel(master.port).await;
    let address = RedisAddress::Sentinel(Sentinel {
        master: "broker".to_owned(),
        addresses: vec![("127.0.0.1".to_owned(), spare_port()), ("127.0.0.1".to_owned(), sentinel.server.port)],
        password: None,
    });
    let config = RedisConfig { address, ..master.config.clone() };
    let mut world = World::new(&config, &rig(50_000));
    world.work(2);
    world.accept(1_000).await;
    world.until_all_stored().await;
    let has_replica = async || sentinel.server.run::<Vec<redis::Value>>("SENTINEL REPLICAS broker").await.len() == 1;
    world.until("sentinel knows the replica", has_replica).await;
    world.until("the replica follows", async || role(&replica).await.contains("master_link_status:up")).await;
    world.accept(1_000).await;
    master.kill();
    world.accept(1_000).await;
    world.until_all_stored().await;
    assert!(role(&replica).await.contains("role:master"));
    let report = inspect(&config).await.expect("the new master");
    assert_eq!(report.role, "master");
}

async fn role(server: &Server) -> String {
    server.run("INFO replication").await
}

struct Watcher {
    server: Server,
    _dir: tempfile::TempDir,
}

async fn start_sentinel(master: u16) -> Watcher {
    let dir = tempfile::TempDir::new().expect("temporary folder");
    let file = dir.path().join("sentinel.conf");
    let settings = format!(
        "sentinel monitor broker 127.0.0.1 {master} 1\nsentinel down-after-milliseconds broker 500\n\
         sentinel failover-timeout broker 2000\n"
    );
    std::fs::write(&file, settings).expect("the folder takes it");
    let server = Server::start(&[file.to_str().expect("text"), "--sentinel"]).await;
    Watcher { server, _dir: dir }
}
