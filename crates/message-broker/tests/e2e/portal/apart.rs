//! Main server and portal in a process each, on one data directory; a second portal has one of its own.

use std::process::{Child, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::harness::{PATIENCE, Ports, command};
use crate::http::Connection;

/// The two processes.
pub(super) struct Apart {
    dir: TempDir,
    ports: Ports,
    server: Option<Child>,
    portal: Option<Child>,
    second: Option<(TempDir, Child)>,
}

impl Apart {
    /// Starts both, with one admin.
    pub(super) fn start(email: &str, password: &str) -> Self {
        let dir = TempDir::new().expect("temporary folder");
        let mut apart = Self { dir, ports: Ports::spare(), server: None, portal: None, second: None };
        let person = ["admin", "users", "create", "--email", email, "--password", password, "--role", "admin"];
        for words in [&["ca", "init"][..], &person] {
            let output = command(apart.dir.path(), &apart.environment()).args(words).output().expect("the binary runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        apart.start_server();
        apart.portal = Some(apart.spawn("portal"));
        apart.wait_ready(apart.ports.portal);
        apart
    }

    pub(super) const fn portal_port(&self) -> u16 {
        self.ports.portal
    }

    /// Starts another portal of the same main server; its port.
    pub(super) fn start_second_portal(&mut self) -> u16 {
        let dir = TempDir::new().expect("temporary folder");
        std::fs::create_dir_all(dir.path().join("certs")).expect("created");
        for file in ["certs/ca.crt", "certs/portal.crt", "certs/portal.key"] {
            std::fs::copy(self.dir.path().join(file), dir.path().join(file)).expect("copied");
        }
        let port = Ports::spare().portal;
        let mut environment = self.environment();
        environment.push(("MB_PORTAL__PORT".to_owned(), port.to_string()));
        let mut command = command(dir.path(), &environment);
        command.arg("portal").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.second = Some((dir, command.spawn().expect("the binary starts")));
        self.wait_ready(port);
        port
    }

    pub(super) fn start_server(&mut self) {
        self.server = Some(self.spawn("main-server"));
        self.wait_ready(self.ports.server);
    }

    pub(super) fn stop_server(&mut self) {
        end(self.server.take());
    }

    fn environment(&self) -> Vec<(String, String)> {
        let url = format!("https://localhost:{}", self.ports.server);
        self.ports.environment().into_iter().chain([("MB_SERVER__URL".to_owned(), url)]).collect()
    }

    fn spawn(&self, role: &str) -> Child {
        let mut command = command(self.dir.path(), &self.environment());
        command.arg(role).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the binary starts")
    }

    fn wait_ready(&self, port: u16) {
        let give_up = Instant::now() + PATIENCE;
        let ready = || {
            let answer = Connection::anonymous(self.dir.path(), port).and_then(|mut to| to.get("/health/ready"));
            answer.is_ok_and(|answer| answer.status == 200)
        };
        while !ready() {
            assert!(Instant::now() < give_up, "port {port} is not ready");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        end(self.server.take());
        end(self.portal.take());
        end(self.second.take().map(|(_, child)| child));
    }
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}
