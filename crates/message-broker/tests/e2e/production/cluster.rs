//! Four processes on MariaDB and Redis, each of which can be killed and started again.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::servers::{PASSWORD, Server};
use crate::harness::{PATIENCE, Ports, command};
use crate::http::Connection;

pub(crate) const ROLES: [&str; 4] = ["main-server", "proxy", "worker", "portal"];

/// The guide's deployment on one machine.
pub(crate) struct Cluster {
    pub(crate) ports: Ports,
    pub(crate) redis: Server,
    pub(crate) database: Server,
    dir: TempDir,
    roles: BTreeMap<&'static str, Child>,
    environment: Vec<(String, String)>,
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
        let environment = ports.environment().into_iter().chain(own).chain(more).collect();
        let mut cluster = Self { ports, redis, database, dir, roles: BTreeMap::new(), environment };
        for role in ROLES {
            cluster.start_role(role);
        }
        cluster.wait_ready();
        cluster.run_ok(&["ca", "issue", "demo"]);
        cluster
    }

    /// The data directory that the roles share.
    pub(crate) fn dir(&self) -> std::path::PathBuf {
        self.dir.path().join("broker")
    }

    pub(crate) fn start_role(&mut self, role: &'static str) {
        let log = self.dir.path().join(format!("{role}.stderr"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let child = command(&self.dir(), &self.environment)
            .arg(role)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        self.roles.insert(role, child);
    }

    /// SIGKILL.
    pub(crate) fn kill_role(&mut self, role: &'static str) {
        let mut child = self.roles.remove(role).expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, role: &'static str, signal: &str) {
        let pid = self.roles[role].id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    /// Waits until the proxy accepts.
    pub(crate) fn wait_ready(&self) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let ready = Connection::anonymous(&self.dir(), self.ports.proxy)
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

    /// Runs another command on the same data directory, which must succeed; its stdout.
    pub(crate) fn run_ok(&self, args: &[&str]) -> String {
        let output = command(&self.dir(), &self.environment).args(args).output().expect("the binary runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What the roles wrote to standard error, the end of it.
    pub(crate) fn logs(&self) -> String {
        let tail = |role: &&str| {
            let text = std::fs::read_to_string(self.dir.path().join(format!("{role}.stderr"))).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            format!("== {role}\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        ROLES.iter().map(tail).collect()
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
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.roles.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
