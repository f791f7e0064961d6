//! A Redis of a test's own: on a spare port, in a folder that goes with it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, cmd};
use tempfile::TempDir;

use crate::redis::config::{RedisAddress, RedisConfig};
use crate::redis::link;

/// How long a server has to come up.
const START: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    dir: TempDir,
    pub(crate) port: u16,
    args: Vec<String>,
    /// How the test itself connects.
    pub(crate) config: RedisConfig,
    process: Child,
}

impl Server {
    /// Starts one that answers; `args` as on its command line, and they come last.
    pub(crate) async fn start(args: &[&str]) -> Self {
        let port = spare_port();
        Self::start_as(args, RedisConfig::new(RedisAddress::Tcp("127.0.0.1".to_owned(), port)), port).await
    }

    /// As [`Server::start`], for one that is reached in a way of its own.
    pub(crate) async fn start_as(args: &[&str], config: RedisConfig, port: u16) -> Self {
        let dir = TempDir::new().expect("temporary folder");
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        let process = spawn(dir.path(), port, &args);
        let config = RedisConfig {
            claim_idle: Duration::from_secs(1),
            check_every: Duration::from_millis(50),
            stream: "q".to_owned(),
            ..config
        };
        let server = Self { dir, port, args, config, process };
        server.until_up().await;
        server
    }

    async fn until_up(&self) {
        let up = async {
            while self.is_loading().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(START, up).await.expect("redis-server starts");
    }

    async fn is_loading(&self) -> bool {
        let Ok(mut connection) = link::connect(&self.config, link::ANSWER).await else { return true };
        cmd("PING").exec_async(&mut connection).await.is_err()
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Starts it again where it was.
    pub(crate) async fn revive(&mut self) {
        self.process = spawn(self.dir.path(), self.port, &self.args);
        self.until_up().await;
    }

    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        link::connect(&self.config, link::ANSWER).await.expect("it answers")
    }

    /// Sends a command, words apart by spaces.
    pub(crate) async fn run<T: FromRedisValue>(&self, words: &str) -> T {
        let mut words = words.split(' ');
        let mut command = cmd(words.next().expect("a command"));
        words.for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut self.connection().await).await.expect("it takes the command")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

pub(crate) fn spare_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a spare port");
    listener.local_addr().expect("bound").port()
}

fn spawn(dir: &Path, port: u16, args: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    // Sentinel takes its settings from a file, which it rewrites.
    if let Some(file) = args.first().filter(|arg| !arg.starts_with("--")) {
        command.arg(file);
    }
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]).arg("--dir").arg(dir);
    command.args(args.iter().filter(|arg| Some(*arg) != args.first() || arg.starts_with("--")));
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.spawn().expect("redis-server is installed")
}
