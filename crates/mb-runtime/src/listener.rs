//! Ports: bound with clear errors, and everything a stranger can do to them has a limit.
//!
//! [`TlsServer`] serves a role's [`crate::App`] over mutual TLS, [`PlainServer`] serves the worker's metrics and health.
//! Both end intake at the soft stop and let requests in work finish.

mod accept;
mod bare;
mod bind;
mod connection;
mod judged;
mod leftover;
mod live;
mod plain;
mod strict;
mod tls;
mod watched;

use std::time::Duration;

pub use accept::Slots;
pub use bind::Listener;
pub use plain::{PlainServer, PlainText};
pub use tls::TlsServer;

/// What a port allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; more are closed at once.
    pub connections: usize,
    /// From the accepted connection to the end of the handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Requests in work at once on one HTTP/2 connection.
    pub streams: u32,
    /// Bytes of bodies that one HTTP/2 connection may send ahead of their being read.
    pub window: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            head_bytes: 16 * 1024,
            streams: 256,
            window: 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests;
