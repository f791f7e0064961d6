//! One HTTP/1.1 connection over mutual TLS, written for the least work per request.
//!
//! A request is one buffer and one write, an answer usually one read, parsed in place (RFC 9112). No task of its own, no
//! channel, no allocation per request. Every wait ends: a timer of the connection is re-armed only when it fires.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::target::{CONNECT_TIMEOUT, Target};

/// The most bytes of an answer: twice what the largest batch's answer needs.
const MAX_ANSWER: usize = 16 << 20;
const READ: usize = 16 << 10;
const MAX_HEADERS: usize = 32;

/// Why there is no answer; `code` is what the report counts.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    detail: String,
}

impl Fault {
    pub(super) fn new(code: &'static str, detail: impl fmt::Display) -> Self {
        Self { code, detail: detail.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Fault {}

/// Opens a TCP connection and shakes hands.
pub(crate) async fn open(target: &Target, tls: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Fault> {
    let work = async {
        let tcp = TcpStream::connect(target.address).await.map_err(|error| Fault::new("connect", error))?;
        tcp.set_nodelay(true).map_err(|error| Fault::new("connect", error))?;
        let connector = TlsConnector::from(Arc::clone(tls));
        connector.connect(target.name.clone(), tcp).await.map_err(|error| Fault::new("handshake", error))
    };
    tokio::time::timeout(CONNECT_TIMEOUT, work).await.unwrap_or_else(|_| Err(Fault::new("connect", "no answer in 5 s")))
}

/// An answer; its body stays in the connection's buffer.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// Whether the connection may be used again.
    pub(crate) keep_open: bool,
}

/// A keep-alive connection.
#[derive(Debug)]
pub(crate) struct Http1 {
    stream: TlsStream<TcpStream>,
    incoming: Incoming,
    alarm: Pin<Box<Sleep>>,
    timeout: Duration,
}

impl Http1 {
    /// Connects; each answer may take `timeout`.
    pub(crate) async fn connect(target: &Target, tls: &Arc<ClientConfig>, timeout: Duration) -> Result<Self, Fault> {
        let stream = open(target, tls).await?;
        let alarm = Box::pin(tokio::time::sleep(timeout));
        Ok(Self { stream, incoming: Incoming::default(), alarm, timeout })
    }

    /// Sends one request, head and body, and reads its answer. After a fault the connection is of no more use.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, Fault> {
        let Self { stream, incoming, alarm, timeout } = self;
        let started = Instant::now();
        let head = {
            let work = async {
                stream.write_all(request).await.map_err(|error| Fault::new("io", error))?;
                stream.flush().await.map_err(|error| Fault::new("io", error))?;
                incoming.read(stream).await
            };
            tokio::pin!(work);
            loop {
                tokio::select! {
                    biased;
                    result = &mut work => break result?,
                    () = alarm.as_mut() => {
                        if started.elapsed() >= *timeout {
                            return Err(Fault::new("timeout", format_args!("no answer in {timeout:?}")));
                        }
                        alarm.as_mut().reset(started + *timeout);
                    }
                }
            }
        };
        Ok(Answer { status: head.status, body: self.incoming.body(&head), keep_open: head.keep_open })
    }
}

/// How the end of a body is known (RFC 9112, section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Known(usize),
    Chunked,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    status: u16,
    /// Where the body begins.
    end: usize,
    length: Length,
    keep_open: bool,
}

/// What has been read of the present answer.
#[derive(Default, Debug)]
struct Incoming {
    buffer: Vec<u8>,
    joined: Vec<u8>,
}

impl Incoming {
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Head, Fault> {
        self.buffer.clear();
        let head = loop {
            match parse_head(&self.buffer)? {
                Some(head) if head.status >= 200 => break head,
                Some(interim) => drop(self.buffer.drain(..interim.end)),
                None => self.fill(stream).await?,
            }
        };
        match head.length {
            Length::Known(length) => {
                while self.buffer.len() < head.end + length {
                    self.fill(stream).await?;
                }
            }
            Length::Chunked => {
                while !join_chunks(&self.buffer[head.end..], &mut self.joined)? {
                    self.fill(stream).await?;
                }
            }
        }
        Ok(head)
    }

    async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<(), Fault> {
        if self.buffer.len() > MAX_ANSWER {
            return Err(Fault::new("bad_answer", "answer is too long"));
        }
        if self.buffer.capacity() - self.buffer.len() < READ / 2 {
            self.buffer.reserve(READ);
        }
        match stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(Fault::new("closed", "connection closed before the answer")),
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::new("io", error)),
        }
    }

    fn body(&self, head: &Head) -> &[u8] {
        match head.length {
            Length::Known(length) => &self.buffer[head.end..head.end + length],
            Length::Chunked => &self.joined,
        }
    }
}

/// The head of an answer, once it is complete.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let end = match response.parse(bytes) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Fault::new("bad_answer", error)),
    };
    let status = response.code.unwrap_or(0);
    let (mut length, mut keep_open) = (None, response.version == Some(1));
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let known = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            let known = known.filter(|known| *known <= MAX_ANSWER);
            length = Some(Length::Known(known.ok_or_else(|| Fault::new("bad_answer", "bad content-length"))?));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            length = Some(Length::Chunked);
        } else if header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close") {
            keep_open = false;
        }
    }
    let bodyless = status < 200 || status == 204 || status == 304;
    match if bodyless { Some(Length::Known(0)) } else { length } {
        Some(length) => Ok(Some(Head { status, end, length, keep_open })),
        None => Err(Fault::new("bad_answer", "answer without a length")),
    }
}

/// Joins the chunks of a body (RFC 9112, section 7.1); false while the last one is missing. Trailers are not used.
fn join_chunks(bytes: &[u8], joined: &mut Vec<u8>) -> Result<bool, Fault> {
    joined.clear();
    let mut rest = bytes;
    loop {
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((start, size))) => (start, usize::try_from(size).unwrap_or(usize::MAX)),
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(_) => return Err(Fault::new("bad_answer", "bad chunk size")),
        };
        if size > MAX_ANSWER {
            return Err(Fault::new("bad_answer", "answer is too long"));
        }
        let Some(chunk) = rest.get(start..start + size) else { return Ok(false) };
        let Some(end) = rest.get(start + size..start + size + 2) else { return Ok(false) };
        if end != b"\r\n" {
            return Err(Fault::new("bad_answer", "bad end of chunk"));
        }
        if size == 0 {
            return Ok(true);
        }
        joined.extend_from_slice(chunk);
        rest = &rest[start + size + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads answers that arrive in pieces of every size.
    async fn read_in_pieces(answer: &str) -> Vec<(u16, String, bool)> {
        let mut seen = Vec::new();
        for piece in 1..=answer.len() {
            let mut builder = tokio_test_stream(answer.as_bytes(), piece);
            let mut incoming = Incoming::default();
            let head = incoming.read(&mut builder).await.unwrap();
            let body = String::from_utf8(incoming.body(&head).to_vec()).unwrap();
            seen.push((head.status, body, head.keep_open));
        }
        seen.dedup();
        seen
    }

    struct Pieces {
        bytes: Vec<u8>,
        piece: usize,
    }

    fn tokio_test_stream(bytes: &[u8], piece: usize) -> Pieces {
        Pieces { bytes: bytes.to_vec(), piece }
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buf: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            let count = self.piece.min(self.bytes.len()).min(buf.remaining());
            buf.put_slice(&self.bytes[..count]);
            self.bytes.drain(..count);
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn an_answer_is_the_same_however_it_is_cut() {
        let answer = "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(read_in_pieces(answer).await, [(202, "hello".to_owned(), true)]);
        let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(read_in_pieces(answer).await, [(503, String::new(), false)]);
        let answer =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(read_in_pieces(answer).await, [(200, "abc0123456789".to_owned(), true)]);
    }

    #[tokio::test]
    async fn broken_answers_are_faults() {
        let cases = [
            ("", "closed"),
            ("HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\n\r\nhell", "closed"),
            ("HTTP/1.1 202 Accepted\r\n\r\nhello", "bad_answer"),
            ("HTTP/1.1 202 Accepted\r\ncontent-length: -5\r\n\r\n", "bad_answer"),
            ("HTTP/1.1 202 Accepted\r\ncontent-length: 99999999999\r\n\r\n", "bad_answer"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "bad_answer"),
            ("SSH-2.0-OpenSSH\r\n", "bad_answer"),
        ];
        for (answer, code) in cases {
            let fault = Incoming::default().read(&mut tokio_test_stream(answer.as_bytes(), 7)).await.unwrap_err();
            assert_eq!(fault.code, code, "{answer:?}");
        }
    }
}
