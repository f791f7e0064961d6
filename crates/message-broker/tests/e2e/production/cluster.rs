//! Four processes on MariaDB and Redis, each of which can be killed and started again; more of a role where a test wants
//! them.

use std::collections::{BTreeMap, HashSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::resp::Redis;
use super::servers::{PASSWORD, Server};
use crate::harness::{PATIENCE, Ports, command};
use crate::http::Connection;

pub(crate) const ROLES: [&str; 4] = ["main-server", "proxy", "worker", "portal"];

/// The key of the queue.
pub(crate) const STREAM: &str = "message-broker:queue";

/// The guide's deployment on one machine.
pub(crate) struct Cluster {
    pub(crate) ports: Ports,
    pub(crate) redis: Server,
    pub(crate) database: Server,
    dir: TempDir,
    nodes: BTreeMap<&'static str, Node>,
    environment: Vec<(String, String)>,
}

/// A process of the deployment, known by a name that is its role for the first of each.
struct Node {
    role: String,
    dir: PathBuf,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Cluster {
    /// Starts everything; returns when the proxy accepts.
    pub(crate) fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// With more settings for the roles and for Redis.
    pub(crate) fn start_with(settings: &[(&str, &str)], redis: &[&str]) -> Self {
        let dir = TempDir::new().expect("temporary folder");
        let redis = Server::redis(&dir.path().join("redis"), redis);
        let database = Server::mariadb(&dir.path().join("mariadb"));
        let ports = Ports::spare();
        let url = format!("mysql+pymysql://broker:{}@127.0.0.1:{}/broker", encoded(PASSWORD), database.port);
        let own = [
            ("DATABASE_URL", url),
            ("REDIS_HOST", "127.0.0.1".to_owned()),
            ("REDIS_PORT", redis.port.to_string()),
            ("MB_QUEUE__BACKEND", "redis".to_owned()),
            ("MAIN_SERVER_URL", format!("https://localhost:{}", ports.server)),
            ("MB_PORTAL__URL", format!("https://localhost:{}", ports.portal)),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        let more = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment: Vec<_> = ports.environment().into_iter().chain(own).chain(more).collect();
        let node = |role: &'static str| {
            let (dir, environment) = (dir.path().join("broker"), environment.clone());
            (role, Node { role: role.to_owned(), dir, environment, child: None })
        };
        let nodes = ROLES.map(node).into();
        let mut cluster = Self { ports, redis, database, dir, nodes, environment };
        for role in ROLES {
            cluster.start_role(role);
        }
        cluster.wait_ready();
        cluster.run_ok(&["ca", "issue", "demo"]);
        cluster
    }

    /// The data directory that the roles share.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("broker")
    }

    /// What everything of this deployment lies below, the servers' own files too.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Starts one more of a role, as on a machine of its own: all it has is a certificate of its own and that of the
    /// authority. Its port.
    pub(crate) fn add(&mut self, name: &'static str, role: &str) -> u16 {
        self.run_ok(&["ca", "issue", name, "--role", role]);
        let (from, to) = (self.dir().join("certs"), self.dir_of(name).join("certs"));
        std::fs::create_dir_all(&to).expect("a folder");
        for end in ["crt", "key"] {
            // Copies keep who may read them.
            std::fs::copy(from.join(format!("{name}.{end}")), to.join(format!("{role}.{end}"))).expect("copied");
        }
        let ports = Ports::spare();
        let more: Vec<_> = ports.environment();
        let more: Vec<_> = more.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        self.start_another(name, role, &["certs/ca.crt"], &more);
        if role == "proxy" {
            self.wait_ready_at(ports.proxy);
            return ports.proxy;
        }
        ports.worker
    }

    /// Starts one more of a role, as on a machine of its own: `name` has a data directory of that name, into which these
    /// files come first.
    pub(crate) fn start_another(&mut self, name: &'static str, role: &str, files: &[&str], more: &[(&str, String)]) {
        let dir = self.dir_of(name);
        for file in files {
            let to = dir.join(file);
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("created");
            std::fs::copy(self.dir().join(file), to).expect("copied");
        }
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let environment = self.environment.iter().cloned().chain(more).collect();
        self.nodes.insert(name, Node { role: role.to_owned(), dir, environment, child: None });
        self.start_role(name);
    }

    /// The data directory of [`Cluster::start_another`].
    pub(crate) fn dir_of(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn start_role(&mut self, name: &'static str) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.stderr(name)).expect("a log");
        let node = self.nodes.get_mut(name).expect("a node");
        let child = command(&node.dir, &node.environment)
            .arg(&node.role)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        node.child = Some(child);
    }

    /// How a process ended that does so by itself.
    pub(crate) fn ended(&mut self, name: &str) -> ExitStatus {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let child = self.nodes.get_mut(name).and_then(|node| node.child.as_mut()).expect("it was started");
            if let Some(status) = child.try_wait().expect("can be asked") {
                return status;
            }
            assert!(Instant::now() < give_up, "{name} goes on: {}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stderr(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.stderr"))
    }

    /// SIGKILL.
    pub(crate) fn kill_role(&mut self, name: &'static str) {
        let mut child = self.nodes.get_mut(name).and_then(|node| node.child.take()).expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, name: &'static str, signal: &str) {
        let pid = self.pid(name).to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    pub(crate) fn pid(&self, name: &str) -> u32 {
        self.nodes[name].child.as_ref().expect("it runs").id()
    }

    /// Waits until the proxy accepts.
    pub(crate) fn wait_ready(&self) {
        self.wait_ready_at(self.ports.proxy);
    }

    fn wait_ready_at(&self, port: u16) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let ready = Connection::anonymous(&self.dir(), port)
                .and_then(|mut connection| connection.get("/health/ready"))
                .is_ok_and(|response| response.status == 200);
            if ready {
                return;
            }
            assert!(Instant::now() < give_up, "not ready: {}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn demo(&self) -> std::io::Result<Connection> {
        Connection::client(&self.dir(), self.ports.proxy, "demo")
    }

    /// Another client's own connection to Redis.
    pub(crate) fn queue(&self) -> Redis {
        Redis::connect(self.redis.port)
    }

    /// Runs another command on the same data directory.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        command(&self.dir(), &self.environment).args(args).output().expect("the binary runs")
    }

    /// Runs another command on the same data directory, which must succeed; its stdout.
    pub(crate) fn run_ok(&self, args: &[&str]) -> String {
        self.run_ok_in(&self.dir(), args)
    }

    /// Runs a command that must be refused; what it says.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let output = command(&self.dir(), &self.environment).args(args).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The same on another data directory.
    pub(crate) fn run_ok_in(&self, dir: &Path, args: &[&str]) -> String {
        let output = command(dir, &self.environment).args(args).output().expect("the binary runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What the roles wrote to standard error, the end of it.
    pub(crate) fn logs(&self) -> String {
        let tail = |name: &&str| {
            let text = std::fs::read_to_string(self.stderr(name)).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            format!("== {name}\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        self.nodes.keys().map(tail).collect()
    }

    /// Everything that a role wrote to standard error.
    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.stderr(name)).unwrap_or_default()
    }

    /// The value of a metric at a TLS port; 0 if it is not there yet.
    pub(crate) fn metric(&self, port: u16, name: &str) -> u64 {
        let shown = Connection::anonymous(&self.dir(), port).and_then(|mut role| role.get("/metrics"));
        value(&shown.expect("answered").text(), name)
    }

    /// The same of the worker.
    pub(crate) fn worker_metric(&self, name: &str) -> u64 {
        let mut shown = String::new();
        let mut worker = TcpStream::connect(("127.0.0.1", self.ports.worker)).expect("connected");
        worker.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("sent");
        worker.read_to_string(&mut shown).expect("answered");
        value(&shown, name)
    }

    /// How many rows there are of these ids, and how many of them are final.
    pub(crate) fn stored(&self) -> (u64, u64) {
        let text = self.database.sql(
            "SELECT COUNT(*), COUNT(DISTINCT message_id) FROM broker.messages; \
             SELECT COUNT(*), 0 FROM broker.messages WHERE status = 'delivered'",
        );
        let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        assert_eq!(numbers[0], numbers[1], "one row per id");
        (numbers[0], numbers[2])
    }

    /// Waits until all of these are final, each exactly once.
    pub(crate) fn wait_stored(&self, ids: &HashSet<String>, patience: Duration) {
        let give_up = Instant::now() + patience;
        loop {
            // Only when there are enough it can be worth to read them all.
            let registered = self.registered();
            let lost = if registered < ids.len() as u64 { None } else { Some(self.lacking(ids)) };
            if lost.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
            let of = ids.len();
            assert!(Instant::now() < give_up, "{registered} of {of} registered, lost {lost:?}: {}", self.logs());
            std::thread::sleep(Duration::from_millis(500));
        }
        assert_eq!(self.registered(), self.stored().0, "each was counted once");
    }

    /// How many messages the store has counted: in the same transactions in which it stored them.
    pub(crate) fn registered(&self) -> u64 {
        let sum = "SELECT CAST(COALESCE(SUM(count), 0) AS UNSIGNED) FROM broker.counters WHERE event = 'registered'";
        self.database.sql(sum).trim().parse().expect("a number")
    }

    /// Those of the ids that are not in the store as delivered; the first few.
    fn lacking(&self, ids: &HashSet<String>) -> Vec<String> {
        let text = self.database.sql("SELECT LOWER(HEX(message_id)) FROM broker.messages WHERE status = 'delivered'");
        let rows: Vec<&str> = text.lines().collect();
        let stored: HashSet<&str> = rows.iter().copied().collect();
        assert_eq!(stored.len(), rows.len(), "one row per id");
        let is_lacking = |id: &&String| !stored.contains(id.replace('-', "").as_str());
        ids.iter().filter(is_lacking).take(5).cloned().collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.values_mut().filter_map(|node| node.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until something is so.
pub(crate) fn wait_until(cluster: &Cluster, what: &str, is_so: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "{what} did not happen: {}", cluster.logs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn value(shown: &str, name: &str) -> u64 {
    let value = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let whole = |value: &str| value.trim_end_matches(".0").parse().expect("a whole number");
    value.map_or(0, whole)
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
