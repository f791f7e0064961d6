//! A broker of one's own: a temporary data directory, spare ports, the real binary.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::http::{Connection, Response};

/// How long anything may take before the test gives up; generous, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_message-broker");

/// The program under test: this build's, or the one that `MB_TEST_BINARY` names (a release build, for the long runs).
#[expect(clippy::disallowed_methods, reason = "a setting of the tests alone")]
pub(crate) fn binary() -> String {
    std::env::var("MB_TEST_BINARY").unwrap_or_else(|_| BINARY.to_owned())
}

/// A running `up`.
pub(crate) struct Broker {
    pub(crate) ports: Ports,
    dir: Arc<TempDir>,
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    environment: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) proxy: u16,
    pub(crate) server: u16,
    pub(crate) worker: u16,
    pub(crate) portal: u16,
}

impl Ports {
    /// Four ports that nobody listens on at the moment.
    pub(crate) fn spare() -> Self {
        let sockets: Vec<_> = (0..4).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a spare port")).collect();
        let port = |at: usize| sockets[at].local_addr().expect("bound").port();
        Self { proxy: port(0), server: port(1), worker: port(2), portal: port(3) }
    }

    pub(crate) fn environment(self) -> Vec<(String, String)> {
        let pair = |name: &str, port: u16| (format!("MB_{name}__PORT"), port.to_string());
        vec![
            pair("PROXY", self.proxy),
            pair("SERVER", self.server),
            pair("WORKER", self.worker),
            pair("PORTAL", self.portal),
            ("MB_JOURNAL__SEGMENT_BYTES".into(), (4 << 20).to_string()),
        ]
    }
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts with more environment variables.
    pub(crate) fn start_with(environment: &[(&str, &str)]) -> Self {
        let dir = Arc::new(TempDir::new().expect("temporary folder"));
        let extra = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let ports = Ports::spare();
        let environment = ports.environment().into_iter().chain(extra).collect();
        Self::launch(dir, ports, environment)
    }

    /// Starts with a proxy that shows a certificate of the authority `ca_pem`, which the directory `public` trusts.
    pub(crate) fn start_public(environment: &[(&str, &str)], ca_pem: &str) -> Self {
        let dir = Arc::new(TempDir::new().expect("temporary folder"));
        std::fs::create_dir_all(dir.path().join("public/certs")).expect("created");
        std::fs::write(dir.path().join("public/certs/ca.crt"), ca_pem).expect("written");
        let extra = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let ports = Ports::spare();
        let environment = ports.environment().into_iter().chain(extra).collect();
        Self::launch(dir, ports, environment)
    }

    fn launch(dir: Arc<TempDir>, ports: Ports, environment: Vec<(String, String)>) -> Self {
        let mut child = command(dir.path(), &environment)
            .arg("up")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = collect(child.stdout.take().expect("piped"));
        let stderr = collect(child.stderr.take().expect("piped"));
        let mut broker = Self { ports, dir, child, stdout, stderr, environment };
        broker.wait_ready();
        broker
    }

    fn wait_ready(&mut self) {
        let give_up = Instant::now() + PATIENCE;
        let public = self.dir.path().join("public");
        let trusts = if public.exists() { public } else { self.dir.path().to_owned() };
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                panic!("up ended with {status}: {}{}", self.stdout(), self.stderr());
            }
            let ready = Connection::anonymous(&trusts, self.ports.proxy)
                .and_then(|mut connection| connection.get("/health/ready"))
                .is_ok_and(|response| response.status == 200);
            if ready {
                return;
            }
            assert!(Instant::now() < give_up, "not ready: {}{}", self.stdout(), self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the process at once and starts it again on the same data.
    pub(crate) fn crash_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// SIGKILL, or what the platform has.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Starts again on the same data after an end.
    pub(crate) fn restart(&mut self) {
        let environment = self.environment.clone();
        let next = Self::launch(Arc::clone(&self.dir), self.ports, environment);
        drop(std::mem::replace(self, next));
    }

    /// Another value of a variable, from the next start or command on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// SIGTERM; the exit code and how long it took.
    pub(crate) fn terminate(&mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        let status = self.child.wait().expect("ended");
        (status.code(), begun.elapsed())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().expect("no panic while held").clone()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().expect("no panic while held").clone()
    }

    /// A connection to the proxy as `client`, whose certificate lies in the data directory.
    pub(crate) fn client(&self, client: &str) -> Connection {
        Connection::client(self.dir(), self.ports.proxy, client).expect("connected")
    }

    /// A connection as the client `demo`.
    pub(crate) fn demo(&self) -> Connection {
        self.client("demo")
    }

    /// A connection to `port` as a component.
    pub(crate) fn component(&self, name: &str, port: u16) -> Connection {
        Connection::component(self.dir(), port, name).expect("connected")
    }

    /// Runs another command on the same data directory.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        command(self.dir(), &self.environment).args(args).output().expect("the binary runs")
    }

    /// Runs a command that must succeed; its stdout.
    pub(crate) fn run_ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Waits until each id has the state `delivered`.
    pub(crate) fn wait_delivered(&self, ids: &[String]) {
        let mut connection = self.demo();
        let give_up = Instant::now() + PATIENCE;
        for chunk in ids.chunks(1000) {
            loop {
                let answer = status_of(&mut connection, chunk);
                let done = answer.iter().filter(|row| row["status"] == "delivered").count();
                if done == chunk.len() {
                    break;
                }
                assert!(Instant::now() < give_up, "{done} of {} delivered: {}", chunk.len(), self.stderr());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bulk status of ids.
pub(crate) fn status_of(connection: &mut Connection, ids: &[String]) -> Vec<serde_json::Value> {
    let body = serde_json::json!({ "ids": ids }).to_string();
    let response = connection.post("/api/v1/messages/status", &body).expect("answered");
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["data"].as_array().expect("a list").clone()
}

/// A message that breaks no rule.
pub(crate) fn message(body: &str) -> String {
    message_json(body).to_string()
}

/// The same as a value.
pub(crate) fn message_json(body: &str) -> serde_json::Value {
    serde_json::json!({ "sender_number": "+4915112345678", "message_body": body })
}

/// Submits one message that must be accepted; its id.
pub(crate) fn submit(connection: &mut Connection, body: &str) -> String {
    let response = connection.post("/api/v1/messages", &message(body)).expect("answered");
    accepted_id(&response)
}

pub(crate) fn accepted_id(response: &Response) -> String {
    assert_eq!(response.status, 202, "{}", response.text());
    response.json()["message_id"].as_str().expect("an id").to_owned()
}

/// The binary on a data directory, with nothing inherited that could configure it.
pub(crate) fn command(dir: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MB_") {
            command.env_remove(name);
        }
    }
    command.env("MB_DATA_DIR", dir).envs(environment.iter().map(|(k, v)| (k, v)));
    command
}

/// Every regular file below `dir`.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

fn collect(mut stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            sink.lock().expect("no panic while held").push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    });
    text
}
