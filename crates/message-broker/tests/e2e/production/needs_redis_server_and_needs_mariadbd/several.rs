//! Several of each role: two main servers behind one address, and more proxies, workers and portals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::balancer::Balancer;
use super::super::cluster::Cluster;
use super::super::servers::spare_port;
use super::flow::wait_delivered;
use crate::harness::{Broker, PATIENCE, accepted_id, message};
use crate::http::Connection;

/// What main servers share.
pub(super) const SHARED: [&str; 4] = ["certs/ca.crt", "certs/ca.key", "secrets/encryption.key", "secrets/jwt.key"];
/// A submit that takes longer has waited for somebody.
const PROMPT: Duration = Duration::from_secs(2);

fn eventually(cluster: &Cluster, what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < give_up, "{what}: {}", cluster.logs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_healthy(cluster: &Cluster, port: u16) -> bool {
    let health = Connection::anonymous(&cluster.dir(), port).and_then(|mut connection| connection.get("/health"));
    health.is_ok_and(|response| response.status == 200)
}

/// The limit that the proxy at `port` tells the client.
fn limit_at(cluster: &Cluster, port: u16) -> Option<u64> {
    let mut connection = Connection::client(&cluster.dir(), port, "demo").ok()?;
    let response = connection.post("/api/v1/messages", &message("what is my limit?")).ok()?;
    response.header("x-ratelimit-limit")?.parse().ok()
}

fn leader(cluster: &Cluster) -> String {
    cluster.database.sql("SELECT holder FROM broker.leases WHERE name = 'jobs' AND lease_until > UTC_TIMESTAMP(6)")
}

/// Submits until it is told to stop: every submit is accepted, and at once.
fn submit_until(stop: Arc<AtomicBool>, mut connection: Connection) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut ids = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let response = connection.post("/api/v1/messages", &message("under load")).expect("answered");
            ids.push(accepted_id(&response));
            assert!(begun.elapsed() < PROMPT, "no submit waits for a main server");
        }
        ids
    })
}

#[test]
fn two_main_servers_behind_one_address_are_as_one_and_outlive_each_other() {
    let ports = [spare_port(), spare_port()];
    let balancer = Balancer::before(&ports);
    let address = format!("https://localhost:{}", balancer.port);
    let (first, second) = (ports[0].to_string(), ports[1].to_string());
    let mut cluster = Cluster::start_with(
        &[("MAIN_SERVER_URL", &address), ("MB_SERVER__PORT", &first), ("MB_SERVER__LEASE", "3")],
        &[],
    );
    cluster.start_another("main-server-2", "main-server", &SHARED, &[("MB_SERVER__PORT", second)]);
    eventually(&cluster, "the second main server is there", || is_healthy(&cluster, ports[1]));

    // A change at either reaches the proxy, whichever it asks.
    for (dir, limit) in [(cluster.dir(), 500_000), (cluster.dir_of("main-server-2"), 1_000_000)] {
        cluster.run_ok_in(&dir, &["admin", "clients", "rate-limit", "demo", &limit.to_string()]);
        let changed = Instant::now();
        eventually(&cluster, "the change arrives", || limit_at(&cluster, cluster.ports.proxy) == Some(limit));
        assert!(changed.elapsed() < Duration::from_secs(10), "within seconds");
    }

    let stop = Arc::new(AtomicBool::new(false));
    let lanes: Vec<_> = (0..2).map(|_| submit_until(Arc::clone(&stop), cluster.demo().expect("connected"))).collect();
    eventually(&cluster, "one of them leads", || !leader(&cluster).is_empty());
    let led = leader(&cluster);
    let of_pid = |name: &str| led.trim().ends_with(&format!("-{}", cluster.pid(name)));
    let killed = ["main-server", "main-server-2"].into_iter().find(|name| of_pid(name)).expect("a process leads");
    cluster.kill_role(killed);
    eventually(&cluster, "leadership moves", || !["", led.trim()].contains(&leader(&cluster).trim()));
    stop.store(true, Ordering::Relaxed);
    let ids: Vec<_> = lanes.into_iter().flat_map(|lane| lane.join().expect("every submit was accepted")).collect();
    assert!(!ids.is_empty());
    for chunk in ids.chunks(1000) {
        wait_delivered(&cluster, chunk);
    }
}

#[test]
fn proxies_share_limits_and_any_worker_and_portal_serves() {
    let mut cluster = Cluster::start();
    let ports = [spare_port(), spare_port(), spare_port()];
    let own = |role: &str| ["certs/ca.crt".to_owned(), format!("certs/{role}.crt"), format!("certs/{role}.key")];
    for (role, name, port) in
        [("proxy", "proxy-2", ports[0]), ("worker", "worker-2", ports[1]), ("portal", "portal-2", ports[2])]
    {
        let files = own(role);
        let variable = format!("MB_{}__PORT", role.to_uppercase());
        cluster.start_another(name, role, &files.each_ref().map(String::as_str), &[(&variable, port.to_string())]);
    }
    cluster.run_ok(&["admin", "clients", "rate-limit", "demo", "100"]);
    // Both have the same certificate; each counts.
    for port in [cluster.ports.proxy, ports[0]] {
        eventually(&cluster, "the limit is shared", || limit_at(&cluster, port) == Some(50));
    }
    eventually(&cluster, "the store knows of both", || {
        cluster.database.sql("SELECT COUNT(*) FROM broker.proxies").trim() == "2"
    });
    eventually(&cluster, "the other portal serves", || is_healthy(&cluster, ports[2]));
    let answers = cluster.run_ok(&["config", "reload"]);
    assert_eq!(answers.lines().filter(|line| line.ends_with("took up nothing")).count(), 4, "{answers}");
    cluster.kill_role("worker");
    let mut connection = Connection::client(&cluster.dir(), ports[0], "demo").expect("connected");
    let id = accepted_id(&connection.post("/api/v1/messages", &message("to the other")).expect("answered"));
    // The proxy that accepted it is asked at first, any other as soon as the main server has it.
    wait_delivered(&cluster, &[id]);
}

#[test]
fn a_main_server_with_another_encryption_key_does_not_start() {
    let mut cluster = Cluster::start();
    let stranger = Broker::start();
    let secrets = cluster.dir_of("stranger").join("secrets");
    std::fs::create_dir_all(&secrets).expect("created");
    std::fs::copy(stranger.dir().join("secrets/encryption.key"), secrets.join("encryption.key")).expect("copied");
    let files = ["certs/ca.crt", "certs/ca.key", "secrets/jwt.key"];
    cluster.start_another("stranger", "main-server", &files, &[("MB_SERVER__PORT", spare_port().to_string())]);
    assert!(!cluster.ended("stranger").success());
    assert!(cluster.logs().contains("sealed under encryption key"), "{}", cluster.logs());
}
