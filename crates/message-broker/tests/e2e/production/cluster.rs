//! Four processes on MariaDB and Redis, each of which can be killed and started again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
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
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("broker")
    }

    pub(crate) fn start_role(&mut self, role: &'static str) {
        self.start_process(role, role, &self.dir(), &[]);
    }

    /// Starts one more of a role, as on a machine of its own: `name` has a data directory of that name, into which these
    /// files come first.
    pub(crate) fn start_another(&mut self, name: &'static str, role: &str, files: &[&str], more: &[(&str, String)]) {
        let dir = self.dir.path().join(name);
        for file in files {
            let to = dir.join(file);
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("created");
            std::fs::copy(self.dir().join(file), to).expect("copied");
        }
        self.start_process(name, role, &dir, more);
    }

    fn start_process(&mut self, name: &'static str, role: &str, dir: &Path, more: &[(&str, String)]) {
        let log = self.dir.path().join(format!("{name}.stderr"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let child = command(dir, &self.environment)
            .envs(more.iter().map(|(name, value)| (name, value)))
            .arg(role)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        self.roles.insert(name, child);
    }

    /// How a process ended that does so by itself.
    pub(crate) fn ended(&mut self, name: &str) -> ExitStatus {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.roles.get_mut(name).expect("it was started").try_wait().expect("can be asked") {
                return status;
            }
            assert!(Instant::now() < give_up, "{name} goes on: {}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn pid(&self, name: &str) -> u32 {
        self.roles[name].id()
    }

    /// The data directory of [`Cluster::start_another`].
    pub(crate) fn dir_of(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
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
        self.run_ok_in(&self.dir(), args)
    }

    /// The same on another data directory.
    pub(crate) fn run_ok_in(&self, dir: &Path, args: &[&str]) -> String {
        let output = command(dir, &self.environment).args(args).output().expect("the binary runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What the roles wrote to standard error, the end of it.
    pub(crate) fn logs(&self) -> String {
        let tail = |role: &&'static str| {
            let text = std::fs::read_to_string(self.dir.path().join(format!("{role}.stderr"))).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            format!("== {role}\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        self.roles.keys().map(tail).collect()
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
