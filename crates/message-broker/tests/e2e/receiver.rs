//! A receiver of webhooks that this test is: what it got, and what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A webhook as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hook {
    pub(crate) path: String,
    head: String,
    pub(crate) body: String,
}

impl Hook {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let start = format!("{name}:");
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&start))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    }

    pub(crate) fn id(&self) -> String {
        self.header("webhook-id").expect("an id")
    }
}

/// What it got, by `webhook-id`.
type Got = Arc<Mutex<BTreeMap<String, Vec<Hook>>>>;

/// A running receiver.
pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) got: Got,
}

impl Receiver {
    /// Takes everything, after a pause.
    pub(crate) fn start(pause: Duration) -> Self {
        Self::answering(move |_| {
            std::thread::sleep(pause);
            TAKEN.to_owned()
        })
    }

    /// Answers as it is told, after it has noted what came.
    pub(crate) fn answering(answer: impl Fn(&Hook) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let got = Got::default();
        let (all, answer) = (Arc::clone(&got), Arc::new(answer));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                std::thread::spawn(move || {
                    while let Some(hook) = read(&mut stream) {
                        assert!(hook.header("webhook-signature").is_some_and(|text| text.starts_with("v1,")));
                        all.lock().expect("no panic while held").entry(hook.id()).or_default().push(hook.clone());
                        if stream.write_all(answer(&hook).as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, got }
    }

    /// The messages that came; trials are none.
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        let got = self.got.lock().expect("no panic while held");
        got.keys().filter(|id| !id.starts_with("test-")).cloned().collect()
    }

    /// How many came, repeats among them.
    pub(crate) fn count(&self) -> usize {
        self.got.lock().expect("no panic while held").values().map(Vec::len).sum()
    }

    /// Everything that came under one id.
    pub(crate) fn of(&self, id: &str) -> Vec<Hook> {
        self.got.lock().expect("no panic while held").get(id).cloned().unwrap_or_default()
    }

    /// Whatever came more than once came as the same each time.
    pub(crate) fn assert_repeats_are_the_same(&self) {
        for hooks in self.got.lock().expect("no panic while held").values() {
            assert!(hooks.iter().all(|hook| hook.body == hooks[0].body), "{hooks:?}");
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Hook> {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let path = head.split(' ').nth(1)?.to_owned();
            let hook = Hook { path, head: head.to_owned(), body: body.to_owned() };
            if body.len() >= hook.header("content-length")?.parse::<usize>().ok()? {
                return Some(hook);
            }
        }
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}
