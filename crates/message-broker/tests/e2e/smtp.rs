//! A mail server on loopback (RFC 5321) that takes every mail and keeps it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::harness::PATIENCE;

/// Takes mails until the process ends.
pub(crate) struct Smtp {
    port: u16,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Smtp {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a spare port");
        let port = listener.local_addr().expect("bound").port();
        let taken = Arc::default();
        let sink = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A connection that breaks off is the other side's to try again.
                let _ = talk(&stream, &sink);
            }
        });
        Self { port, taken }
    }

    /// What makes a broker send its mails here.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("SMTP_HOST", "127.0.0.1".to_owned()),
            ("SMTP_PORT", self.port.to_string()),
            ("SMTP_FROM", "broker@example.org".to_owned()),
            ("MB_MAIL__TLS", "none".to_owned()),
        ]
    }

    /// Waits for a mail that says `words`, as it was sent: who it is for, then its text.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let taken = self.taken.lock().expect("no panic while held").clone();
            if let Some(mail) = taken.iter().find(|mail| mail.contains(words)) {
                return mail.clone();
            }
            assert!(Instant::now() < give_up, "{words} in none of {taken:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn talk(stream: &TcpStream, taken: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut mail = String::new();
    writer.write_all(b"220 test\r\n")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.get(..4).map(str::to_ascii_uppercase).as_deref() {
            Some("RCPT") => mail.push_str(&line),
            Some("DATA") => {
                writer.write_all(b"354 go on\r\n")?;
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") && reader.read_line(&mut text)? > 0 {}
                mail.push_str(&text);
                taken.lock().expect("no panic while held").push(std::mem::take(&mut mail));
            }
            Some("QUIT") => return writer.write_all(b"221 bye\r\n"),
            _ => {}
        }
        writer.write_all(b"250 fine\r\n")?;
    }
}
