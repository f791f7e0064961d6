//! A Redis and a MariaDB of one's own: in a folder, on a spare port, ended with the test.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::PATIENCE;

/// A server program and how to start it again on the same data.
pub(crate) struct Server {
    pub(crate) port: u16,
    program: &'static str,
    arguments: Vec<String>,
    dir: PathBuf,
    child: Child,
}

impl Server {
    /// Redis with its data in `dir`, written through on every command.
    pub(crate) fn redis(dir: &Path, extra: &[&str]) -> Self {
        std::fs::create_dir_all(dir).expect("a folder");
        let port = spare_port();
        let own = ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""];
        let mut arguments = own.map(str::to_owned).to_vec();
        arguments.extend(["--port".to_owned(), port.to_string(), "--dir".to_owned(), dir.display().to_string()]);
        arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
        Self::start("redis-server", arguments, dir, port)
    }

    /// MariaDB with an empty database `broker` and its user `broker`, whose password is [`PASSWORD`].
    pub(crate) fn mariadb(dir: &Path) -> Self {
        let data = dir.join("data");
        install(&data);
        let at = |path: &Path| path.display().to_string();
        let port = spare_port();
        let arguments = vec![
            "--no-defaults".to_owned(),
            "--user=root".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            "--innodb-flush-log-at-trx-commit=1".to_owned(),
            format!("--datadir={}", at(&data)),
            // As it starts it removes what it takes for leftovers there, which may be another one's.
            format!("--tmpdir={}", at(&data)),
            format!("--socket={}", at(&dir.join("s.sock"))),
            format!("--port={port}"),
        ];
        let server = Self::start("mariadbd", arguments, dir, port);
        server.make_database();
        server
    }

    fn make_database(&self) {
        self.sql(&format!(
            "CREATE DATABASE broker CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci; \
             CREATE USER 'broker'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON broker.* TO 'broker'@'%';"
        ));
    }

    /// The database, as an administrator's nightly job writes it down.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let output = Command::new("mariadb-dump")
            .args(["--no-defaults", "--user=root", "--single-transaction", "--hex-blob", "broker"])
            .arg(self.socket())
            .output()
            .expect("mariadb-dump runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Loses the disk of the database, and puts another server with this dump in its place.
    pub(crate) fn lose_and_restore(&mut self, dump: &[u8]) {
        self.kill();
        let data = self.dir.join("data");
        std::fs::remove_dir_all(&data).expect("removed");
        install(&data);
        self.restart();
        self.make_database();
        let file = self.dir.join("dump.sql");
        std::fs::write(&file, dump).expect("written");
        let loaded = Command::new("mariadb")
            .args(["--no-defaults", "--user=root", "broker"])
            .arg(self.socket())
            .stdin(std::fs::File::open(&file).expect("readable"))
            .status();
        assert!(loaded.expect("mariadb runs").success());
    }

    fn socket(&self) -> String {
        format!("--socket={}", self.dir.join("s.sock").display())
    }

    fn start(program: &'static str, arguments: Vec<String>, dir: &Path, port: u16) -> Self {
        let child = spawn(program, &arguments, dir);
        let server = Self { port, program, arguments, dir: dir.to_owned(), child };
        server.wait();
        server
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Starts again on the same data and port.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.program, &self.arguments, &self.dir);
        self.wait();
    }

    /// Runs statements as the database's root; what they print.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"])
            .arg(self.socket())
            .args(["--execute", statements])
            .output()
            .expect("mariadb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Sends Redis a command; what it prints.
    pub(crate) fn redis_cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(arguments).output();
        String::from_utf8(output.expect("redis-cli runs").stdout).expect("text").trim().to_owned()
    }

    fn wait(&self) {
        let give_up = Instant::now() + PATIENCE;
        // Redis listens before it has read its log, MariaDB at the port before it does at the socket.
        let is_up = || match self.program {
            "redis-server" => self.redis_cli(&["PING"]) == "PONG",
            _ => {
                TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                    && UnixStream::connect(self.dir.join("s.sock")).is_ok()
            }
        };
        while !is_up() {
            assert!(Instant::now() < give_up, "{} does not answer", self.program);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Has characters that a URL must encode.
pub(crate) const PASSWORD: &str = "Str0ng/p@ss word%";

fn install(data: &Path) {
    std::fs::create_dir_all(data).expect("a folder");
    let installed = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .arg(format!("--datadir={}", data.display()))
        // Another server that starts meanwhile removes what it takes for leftovers in a folder that both use.
        .env("TMPDIR", data)
        .output()
        .expect("mariadb-install-db runs");
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stdout));
}

fn spawn(program: &str, arguments: &[String], dir: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("server.log")).expect("a log");
    let errors = log.try_clone().expect("a log");
    Command::new(program).args(arguments).stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("it starts")
}

pub(crate) fn spare_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr()).expect("a spare port").port()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
