//! Ways in: passwords, users, databases, sockets, TLS; and what a server tells about itself.

use std::path::Path;
use std::process::{Command, Stdio};

use mb_core::Secret;
use tempfile::TempDir;

use super::super::server::{Server, spare_port};
use super::world::{World, rig};
use crate::redis::{RedisAddress, RedisConfig, RedisTls, inspect};

async fn carries_messages(config: &RedisConfig) {
    let mut world = World::new(config, &rig(50_000));
    world.work(1);
    world.accept(100).await;
    world.until_all_stored().await;
}

fn at(port: u16) -> RedisConfig {
    RedisConfig::new(RedisAddress::Tcp("127.0.0.1".to_owned(), port))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_and_a_database_number_are_used() {
    let port = spare_port();
    let config = RedisConfig { password: Some(Secret::new("s3cret".to_owned())), db: 5, ..at(port) };
    let server = Server::start_as(&["--requirepass", "s3cret"], config, port).await;
    carries_messages(&server.config).await;
    let keys: String = server.run("INFO keyspace").await;
    assert!(keys.contains("db5:") && !keys.contains("db0:"), "{keys}");
    let wrong = RedisConfig { password: Some(Secret::new("wrong".to_owned())), ..server.config.clone() };
    assert!(inspect(&wrong).await.is_err());
    assert!(!inspect(&server.config).await.expect("asked").open_without_password);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_only_use_the_stream_suffices() {
    let server = Server::start(&[]).await;
    let commands =
        "+xadd +xreadgroup +xack +xdel +xautoclaim +xclaim +xpending +xgroup +xinfo +xlen +xrange +info +multi +exec";
    server.run::<()>(&format!("ACL SETUSER broker on >word resetkeys ~q resetchannels -@all {commands}")).await;
    let (username, password) = (Some("broker".to_owned()), Some(Secret::new("word".to_owned())));
    let config = RedisConfig { username, password, ..server.config.clone() };
    carries_messages(&config).await;
    let report = inspect(&config).await.expect("asked");
    assert_eq!((report.appendfsync, report.bind), (None, None), "what is hidden is not made up");
    assert!(report.open_without_password);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_file_is_a_way_in() {
    let dir = TempDir::new().expect("temporary folder");
    let path = dir.path().join("redis.sock");
    let config = RedisConfig::new(RedisAddress::Unix(path.clone()));
    let args = ["--unixsocket", path.to_str().expect("text")];
    let server = Server::start_as(&args, config, spare_port()).await;
    carries_messages(&server.config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_checks_the_server_by_the_given_authority_needs_openssl() {
    let dir = TempDir::new().expect("temporary folder");
    certificates(dir.path());
    let file = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let (tls_port, read) = (spare_port(), |name: &str| std::fs::read(dir.path().join(name)).expect("made"));
    let identity = Some((read("leaf.crt"), Secret::new(read("leaf.key"))));
    let tls = RedisTls { ca: Some(read("ca.crt")), identity };
    let (port, certificate, key, ca) = (tls_port.to_string(), file("leaf.crt"), file("leaf.key"), file("ca.crt"));
    let args =
        ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let config = RedisConfig { tls: Some(tls.clone()), ..at(tls_port) };
    let server = Server::start_as(&args, config, spare_port()).await;
    carries_messages(&server.config).await;
    let without = RedisConfig { tls: Some(RedisTls { identity: None, ..tls }), ..server.config.clone() };
    assert!(inspect(&without).await.is_err(), "this server wants a certificate");
    let system = RedisConfig { tls: Some(RedisTls::default()), ..server.config.clone() };
    assert!(inspect(&system).await.is_err(), "nobody else vouches for it");
}

/// An authority of a test's own and a certificate of it, by the program that Redis' makers recommend.
fn certificates(dir: &Path) {
    let openssl = |args: &str| {
        let mut command = Command::new("openssl");
        command.current_dir(dir).args(args.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().expect("openssl is installed").success(), "openssl {args}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(&format!("req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.crt"));
    openssl(&format!(
        "req -x509 {key} -subj /CN=redis -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
         -CA ca.crt -CAkey ca.key -keyout leaf.key -out leaf.crt"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_tells_what_makes_it_fit_or_unfit() {
    let safe = Server::start(&["--appendonly", "yes", "--maxmemory", "50mb"]).await;
    let report = inspect(&safe.config).await.expect("asked");
    assert!(report.is_supported() && !report.evicts() && report.aof_enabled && !report.persistence_failing);
    assert_eq!((report.role.as_str(), report.maxmemory), ("master", 50 << 20));
    assert_eq!(report.appendfsync.as_deref(), Some("everysec"));
    assert_eq!(report.bind.as_deref(), Some("127.0.0.1"));
    assert_eq!((report.protected_mode, report.open_without_password), (Some(true), true));
    assert!(report.used_memory > 0 && report.run_id.len() == 40);
    let unsafe_one = Server::start(&["--maxmemory-policy", "allkeys-lru"]).await;
    let report = inspect(&unsafe_one.config).await.expect("asked");
    assert!(report.evicts() && !report.aof_enabled);
}
