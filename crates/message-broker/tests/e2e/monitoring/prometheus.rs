//! A Prometheus of one's own on the shipped configuration, with the ports and certificates of a running system.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Broker, PATIENCE};

/// The folder of the shipped files.
pub(super) fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitoring").join(path)
}

/// A running Prometheus, which ends with its value.
pub(super) struct Prometheus {
    pub(super) dir: TempDir,
    port: u16,
    child: Child,
}

/// The files as an operator lays them out: the configuration, `rules/` beside it, and the three certificate files.
pub(super) fn lay_out(dir: &Path, broker: &Broker) {
    let copy = |from: &Path, to: &str| {
        let to = dir.join(to);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("created");
        std::fs::copy(from, &to).unwrap_or_else(|error| panic!("copy {}: {error}", from.display()));
    };
    for folder in ["rules", "tests"] {
        for entry in std::fs::read_dir(shipped("prometheus").join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            copy(&path, &format!("{folder}/{}", path.file_name().expect("a name").to_string_lossy()));
        }
    }
    for name in ["ca.crt", "monitoring.crt", "monitoring.key"] {
        copy(&broker.dir().join("certs").join(name), &format!("certs/{name}"));
    }
    let ports = broker.ports;
    for name in ["prometheus.yml", "prometheus-up.yml"] {
        let mut text = std::fs::read_to_string(shipped("prometheus").join(name)).expect("a configuration");
        for (usual, here) in [(8000, ports.server), (8001, ports.proxy), (9100, ports.worker), (5000, ports.portal)] {
            text = text.replace(&format!("'localhost:{usual}'"), &format!("'localhost:{here}'"));
        }
        std::fs::write(dir.join(name), text.replace("_interval: 15s", "_interval: 1s")).expect("written");
    }
}

impl Prometheus {
    /// Starts on one of the shipped configurations.
    pub(super) fn start(broker: &Broker, configuration: &str) -> Self {
        let dir = TempDir::new().expect("a folder");
        lay_out(dir.path(), broker);
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", dir.path().join(configuration).display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus starts");
        Self { dir, port, child }
    }

    /// Asks its API until what it says holds; the last answer otherwise ends the test.
    pub(super) fn wait(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(path);
            if answer.as_ref().is_ok_and(&holds) {
                return answer.expect("just looked at");
            }
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < give_up, "{path}: {answer:#?}\n{}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Evaluates an expression now; the result's series, or what is wrong with it.
    pub(super) fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let escaped = expression.bytes().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
            text
        });
        let answer = self.ask(&format!("/api/v1/query?query={escaped}")).map_err(|error| error.to_string())?;
        if answer["status"] != "success" {
            return Err(answer.to_string());
        }
        answer["data"]["result"].as_array().cloned().ok_or_else(|| answer.to_string())
    }

    /// HTTP/1.0, so that the answer comes in one piece.
    fn ask(&self, path: &str) -> std::io::Result<Value> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes())?;
        let mut text = String::new();
        socket.read_to_string(&mut text)?;
        let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
