//! A client of the browser's driver (W3C `WebDriver`, level 1): JSON over plain HTTP on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::PATIENCE;

/// The member that an element's reference stands in (section 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser. It ends before its driver, and both with this.
pub(super) struct Session {
    driver: Driver,
    id: String,
}

/// How to look for an element.
#[derive(Clone, Copy, Debug)]
pub(super) enum By<'a> {
    Css(&'a str),
    XPath(&'a str),
}

/// A reference to an element of the page.
#[derive(Clone, Debug)]
pub(super) struct Element(String);

struct Driver {
    child: Child,
    port: u16,
    /// Both leave files behind; they go with this.
    _dir: TempDir,
}

impl Driver {
    /// Starts the driver on a port of its choice, which it prints.
    fn start() -> Self {
        let dir = TempDir::new().expect("temporary folder");
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let port =
            lines.find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        // What it prints later goes nowhere, and must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port: port.expect("chromedriver says its port"), _dir: dir }
    }

    /// Sends a command; its value, or the error's word and text.
    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let (status, answer) = self.exchange(method, path, body).map_err(|error| format!("{path}: {error}"))?;
        let mut answer: Value = serde_json::from_slice(&answer).map_err(|error| format!("{path}: {error}"))?;
        let value = answer["value"].take();
        if status == 200 { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Vec<u8>)> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")?;
        let mut reader = BufReader::new(stream);
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest.get(..3).and_then(|status| status.parse().ok()).unwrap_or(0);
            } else if let Some((_, value)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                length = value.trim().parse().unwrap_or(0);
            } else if line.trim().is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer)?;
        Ok((status, answer))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Session {
    /// Starts a browser with these capabilities.
    pub(super) fn start(capabilities: &Value) -> Self {
        let driver = Driver::start();
        let ask = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let session = driver.call("POST", "/session", &ask).expect("a browser starts");
        let id = session["sessionId"].as_str().expect("a session has an id").to_owned();
        Self { driver, id }
    }

    /// A command with a body.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.driver.call("POST", &format!("/session/{}/{path}", self.id), body)
    }

    /// A command of the browser's own tools (an extension of Chromium's driver).
    pub(super) fn devtools(&self, command: &str, with: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": with })).expect("the tools answer")
    }

    /// A command that only asks.
    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        self.driver.call("GET", &format!("/session/{}/{path}", self.id), &Value::Null)
    }

    /// What a command that only asks says.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
        self.get(path).map(|value| value.as_str().map(str::to_owned).unwrap_or_default())
    }

    /// Every element that is found.
    pub(super) fn find_all(&self, by: By<'_>) -> Vec<Element> {
        let (using, value) = match by {
            By::Css(value) => ("css selector", value),
            By::XPath(value) => ("xpath", value),
        };
        let found = self.post("elements", &json!({ "using": using, "value": value })).expect("looked for");
        let found = found.as_array().cloned().unwrap_or_default();
        found.iter().filter_map(|element| element[ELEMENT].as_str().map(|id| Element(id.to_owned()))).collect()
    }

    /// The first one that is found.
    pub(super) fn find(&self, by: By<'_>) -> Element {
        self.find_all(by).into_iter().next().unwrap_or_else(|| {
            panic!("{by:?} is not in {}", self.text("source").unwrap_or_default());
        })
    }

    /// A command to an element that only asks.
    pub(super) fn ask(&self, element: &Element, what: &str) -> Result<String, String> {
        self.text(&format!("element/{}/{what}", element.0))
    }

    /// A command to an element.
    pub(super) fn tell(&self, element: &Element, what: &str, body: &Value) {
        self.post(&format!("element/{}/{what}", element.0), body).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.driver.call("DELETE", &format!("/session/{}", self.id), &Value::Null);
    }
}
