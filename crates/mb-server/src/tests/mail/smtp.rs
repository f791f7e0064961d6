//! A small SMTP server (RFC 5321, with STARTTLS and AUTH PLAIN) that keeps what it takes.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// A mail that was taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) text: String,
    /// What came with AUTH PLAIN.
    pub(super) login: Option<String>,
    /// Whether it came over TLS.
    pub(super) secure: bool,
}

/// How it treats mails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    Take,
    /// Answers every sender so.
    Refuse(&'static str),
    /// Answers every recipient so.
    RefuseRecipients(&'static str),
    /// Answers no sender.
    Hang,
    /// Answers one recipient so.
    RefuseRecipient(&'static str, &'static str),
}

pub(super) struct Smtp {
    pub(super) port: u16,
    shared: Arc<Shared>,
    _serving: AbortOnDropHandle<()>,
}

struct Shared {
    hung: Notify,
    manner: Mutex<Manner>,
    taken: Mutex<Vec<Taken>>,
    tls: Option<Arc<ServerConfig>>,
}

impl Smtp {
    #[expect(clippy::disallowed_methods, reason = "the server ends with the handle that the test holds")]
    pub(super) async fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let shared =
            Arc::new(Shared { manner: Mutex::new(Manner::Take), taken: Mutex::default(), hung: Notify::new(), tls });
        let own = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.connection(stream).await;
            }
        });
        Self { port, shared, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(super) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().expect("not poisoned") = manner;
    }

    /// Ends once a sender waits for its answer in vain.
    pub(super) async fn hung(&self) {
        self.shared.hung.notified().await;
    }

    pub(super) fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().expect("not poisoned").clone()
    }
}

impl Shared {
    async fn connection(&self, mut stream: TcpStream) {
        if stream.write_all(b"220 test ESMTP\r\n").await.is_err() || !self.talk(&mut stream, false).await {
            return;
        }
        let Some(tls) = self.tls.clone() else { return };
        if let Ok(mut secured) = TlsAcceptor::from(tls).accept(stream).await {
            self.talk(&mut secured, true).await;
        }
    }

    /// Whether the client now wants TLS.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S, secure: bool) -> bool {
        let mut stream = BufReader::new(stream);
        let mut mail = Taken { secure, ..Taken::default() };
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return false;
            }
            let line = line.trim_end();
            let upper = line.to_ascii_uppercase();
            let answer = match upper.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" if self.tls.is_some() && !secure => "250-test\r\n250 STARTTLS".to_owned(),
                "EHLO" => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN".to_owned(),
                "STARTTLS" => {
                    let _ = stream.get_mut().write_all(b"220 go on\r\n").await;
                    return true;
                }
                "AUTH" => {
                    let coded = line.rsplit(' ').next().unwrap_or_default();
                    mail.login = STANDARD.decode(coded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    "235 welcome".to_owned()
                }
                "MAIL" => {
                    mail.from = address(line);
                    if matches!(*self.manner.lock().expect("not poisoned"), Manner::Hang) {
                        self.hung.notify_one();
                        continue;
                    }
                    self.about_sender()
                }
                "RCPT" => {
                    mail.to = address(line);
                    self.about_recipient(&mail.to)
                }
                "DATA" => {
                    let _ = stream.get_mut().write_all(b"354 go on\r\n").await;
                    mail.text = text(&mut stream).await;
                    self.taken.lock().expect("not poisoned").push(mail.clone());
                    "250 taken".to_owned()
                }
                "QUIT" => "221 bye".to_owned(),
                _ => "250 fine".to_owned(),
            };
            if stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                return false;
            }
        }
    }

    fn about_sender(&self) -> String {
        match *self.manner.lock().expect("not poisoned") {
            Manner::Refuse(answer) => answer.to_owned(),
            _ => "250 fine".to_owned(),
        }
    }

    fn about_recipient(&self, to: &str) -> String {
        match *self.manner.lock().expect("not poisoned") {
            Manner::RefuseRecipients(answer) => answer.to_owned(),
            Manner::RefuseRecipient(whom, answer) if whom == to => answer.to_owned(),
            _ => "250 fine".to_owned(),
        }
    }
}

fn address(line: &str) -> String {
    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or_else(String::new, |(one, _)| one.to_owned())
}

/// Up to the line with a single dot.
async fn text<S: AsyncBufReadExt + Unpin>(stream: &mut S) -> String {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 || line == ".\r\n" {
            return text;
        }
        text.push_str(&line);
    }
}
