//! A client of Redis that shares no code with the product's: RESP2 by hand, safe for any bytes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use super::cluster::STREAM;

/// What Redis answers.
#[derive(Debug)]
pub(crate) enum Reply {
    Nil,
    Number(i64),
    Bytes(Vec<u8>),
    List(Vec<Reply>),
    Refused(String),
}

impl Reply {
    pub(crate) fn number(&self) -> u64 {
        let Self::Number(number) = self else { panic!("no number: {self:?}") };
        u64::try_from(*number).expect("not negative")
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let Self::Bytes(bytes) = self else { panic!("no bytes: {self:?}") };
        bytes
    }

    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Nil => &[],
            other => panic!("no list: {other:?}"),
        }
    }
}

/// One connection.
pub(crate) struct Redis {
    stream: BufReader<TcpStream>,
}

impl Redis {
    pub(crate) fn connect(port: u16) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(("127.0.0.1", port)).expect("connected")) }
    }

    /// Sends a command; what Redis answers.
    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Reply {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&request).expect("sent");
        self.reply()
    }

    fn reply(&mut self) -> Reply {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("answered");
        let (kind, rest) = line.trim_end().split_at(1);
        let number = || rest.parse::<i64>().expect("a number");
        match kind {
            "+" => Reply::Bytes(rest.as_bytes().to_vec()),
            ":" => Reply::Number(number()),
            "$" | "*" if number() < 0 => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; usize::try_from(number()).expect("fits") + 2];
                self.stream.read_exact(&mut bytes).expect("answered");
                bytes.truncate(bytes.len() - 2);
                Reply::Bytes(bytes)
            }
            "*" => Reply::List((0..number()).map(|_| self.reply()).collect()),
            _ => Reply::Refused(rest.to_owned()),
        }
    }

    /// Entries of the queue.
    pub(crate) fn length(&mut self) -> u64 {
        self.call(&[b"XLEN", STREAM.as_bytes()]).number()
    }

    /// The queue's entries: id and unit.
    pub(crate) fn entries(&mut self) -> Vec<(String, Vec<u8>)> {
        let entries = self.call(&[b"XRANGE", STREAM.as_bytes(), b"-", b"+"]);
        let entry = |entry: &Reply| {
            let [id, fields] = entry.list() else { panic!("no entry: {entry:?}") };
            (String::from_utf8(id.bytes().to_vec()).expect("text"), fields.list()[1].bytes().to_vec())
        };
        entries.list().iter().map(entry).collect()
    }

    /// Adds a unit, as whoever can write to Redis may.
    pub(crate) fn add(&mut self, unit: &[u8]) {
        let id = self.call(&[b"XADD", STREAM.as_bytes(), b"*", b"b", unit]);
        assert!(!id.bytes().is_empty());
    }

    pub(crate) fn delete(&mut self, id: &str) {
        assert_eq!(self.call(&[b"XDEL", STREAM.as_bytes(), id.as_bytes()]).number(), 1);
    }

    /// How many entries are with the worker of this process, whose number is in its name.
    pub(crate) fn pending(&mut self, pid: u32) -> u64 {
        let rows = match self.call(&[b"XINFO", b"CONSUMERS", STREAM.as_bytes(), b"workers"]) {
            // The queue was thrown away and not made again yet.
            Reply::Refused(error) if error.contains("no such key") || error.starts_with("NOGROUP") => Reply::Nil,
            rows => rows,
        };
        let field = |row: &Reply, name: &str| {
            let at = row.list().iter().position(|part| matches!(part, Reply::Bytes(text) if text == name.as_bytes()));
            row.list()[at.expect("a field") + 1].number()
        };
        let number = format!("-{pid}-");
        let is_its = |row: &&Reply| String::from_utf8_lossy(row.list()[1].bytes()).contains(&number);
        rows.list().iter().filter(is_its).map(|row| field(row, "pending")).sum()
    }
}
