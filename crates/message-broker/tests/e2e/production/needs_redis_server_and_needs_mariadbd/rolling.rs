//! A rolling restart, as an upgrade does it: every process in turn is told to stop, ends by itself and is started again
//! under load. Of each role but the portal there are two.

use std::collections::{BTreeSet, HashSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::balancer::Balancer;
use super::super::cluster::{Cluster, wait_until};
use super::super::load::patience;
use super::super::servers::spare_port;
use super::several::SHARED;
use crate::harness::{accepted_id, message};
use crate::http::{Connection, Response};
use crate::receiver::Receiver;

const ROUNDS: usize = 2;
const LANES: usize = 2;
/// Between two submits of a lane.
const PAUSE: Duration = Duration::from_millis(20);
/// A submit that takes longer has found no proxy.
const PROMPT: Duration = Duration::from_secs(10);

/// Submits to whichever proxy answers.
struct Lane {
    dir: PathBuf,
    ports: [u16; 2],
    number: usize,
    connection: Option<Connection>,
    turn: usize,
}

impl Lane {
    /// Until it is told to stop; the ids, one for each submit.
    fn start(self, stop: Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
        let mut lane = self;
        std::thread::spawn(move || {
            let mut ids = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                ids.push(lane.submit(ids.len()));
                std::thread::sleep(PAUSE);
            }
            ids
        })
    }

    /// What one proxy does not answer, the other one is asked under the same key. An answer must be 202.
    fn submit(&mut self, count: usize) -> String {
        let (text, begun) = (format!("{}-{count}", self.number), Instant::now());
        loop {
            if let Some(response) = self.ask(&text) {
                return accepted_id(&response);
            }
            assert!(begun.elapsed() < PROMPT, "no proxy takes {text}");
            self.turn += 1;
        }
    }

    fn ask(&mut self, text: &str) -> Option<Response> {
        let port = self.ports[(self.number + self.turn) % 2];
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::client(&self.dir, port, "demo").ok()?,
        };
        let headers = [("content-type", "application/json"), ("idempotency-key", text)];
        let response = connection.post_with("/api/v1/messages", &headers, message(text).as_bytes()).ok()?;
        let closes = response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.connection = (!closes).then_some(connection);
        Some(response)
    }
}

/// A process and where it is asked how it is.
type Node = (&'static str, u16);

fn is_ready(cluster: &Cluster, (name, port): Node) -> bool {
    if !name.starts_with("worker") {
        let answer = Connection::anonymous(&cluster.dir(), port).and_then(|mut role| role.get("/health/ready"));
        return answer.is_ok_and(|response| response.status == 200);
    }
    let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut worker| {
        worker.write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        worker.read_to_string(&mut answer).map(|_| answer)
    });
    asked.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Stops a process as a service manager does and starts it again; returns when it is ready.
fn restart(cluster: &mut Cluster, node: Node) {
    let (name, _) = node;
    cluster.signal(name, "-TERM");
    assert_eq!(cluster.ended(name).code(), Some(0), "{name} was drained: {}", cluster.log(name));
    cluster.start_role(name);
    wait_until(cluster, name, || is_ready(cluster, node));
}

#[test]
fn a_rolling_restart_of_every_process_refuses_no_submit_and_loses_nothing() {
    let servers = [spare_port(), spare_port()];
    let address = format!("https://localhost:{}", Balancer::before(&servers).port);
    let settings = [
        ("MAIN_SERVER_URL", address.as_str()),
        ("MB_SERVER__PORT", &servers[0].to_string()),
        ("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8"),
    ];
    let mut cluster = Cluster::start_with(&settings, &[]);
    cluster.start_another("main-server-2", "main-server", &SHARED, &[("MB_SERVER__PORT", servers[1].to_string())]);
    let proxies = [cluster.ports.proxy, cluster.add("proxy-2", "proxy")];
    let workers = [cluster.ports.worker, cluster.add("worker-2", "worker")];
    // In the order that docs/operating.md tells.
    let nodes = [
        ("main-server", servers[0]),
        ("main-server-2", servers[1]),
        ("worker", workers[0]),
        ("worker-2", workers[1]),
        ("proxy", proxies[0]),
        ("proxy-2", proxies[1]),
        ("portal", cluster.ports.portal),
    ];
    for node in nodes {
        wait_until(&cluster, node.0, || is_ready(&cluster, node));
    }
    let receiver = Receiver::start(Duration::ZERO);
    cluster.run_ok(&["admin", "destinations", "create", "hook", "--url", &receiver.url]);

    let stop = Arc::new(AtomicBool::new(false));
    let lane = |number| Lane { dir: cluster.dir(), ports: proxies, number, connection: None, turn: 0 };
    let lanes: Vec<_> = (0..LANES).map(|number| lane(number).start(Arc::clone(&stop))).collect();
    for round in 0..ROUNDS {
        for node in nodes {
            restart(&mut cluster, node);
        }
        // The audit log goes on with whoever leads by now.
        cluster.run_ok(&["ca", "issue", &format!("till-{round}")]);
    }
    stop.store(true, Ordering::Relaxed);
    let ids: Vec<_> = lanes.into_iter().flat_map(|lane| lane.join().expect("no submit was refused")).collect();
    let accepted: HashSet<_> = ids.iter().cloned().collect();
    assert_eq!(accepted.len(), ids.len(), "no id was given twice");
    assert!(ids.len() > 200, "the load was real: {}", ids.len());
    cluster.wait_stored(&accepted, patience(ids.len()));
    assert_eq!(cluster.stored(), (ids.len() as u64, ids.len() as u64), "and nothing else");
    assert_eq!(receiver.ids(), ids.into_iter().collect::<BTreeSet<_>>(), "all of it was delivered");
    receiver.assert_repeats_are_the_same();
    cluster.run_ok(&["admin", "audit", "verify"]);
    let report = cluster.run_ok(&["doctor", "--report", "--json"]);
    assert!(report.contains(&format!("\"registered\": {}", accepted.len())), "{report}");
}
