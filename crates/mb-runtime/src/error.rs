//! Why a process cannot start, or had to stop.

use std::net::SocketAddr;

/// A fault that ends the process.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Another program has the port.
    #[error("{0} is in use by another program (is message-broker running already?)")]
    AddressInUse(SocketAddr),
    /// The port cannot be had for another reason.
    #[error("listen on {addr}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Something without which the process cannot work ended by itself.
    #[error("{0} ended unexpectedly; the log says why")]
    CriticalTask(&'static str),
    /// Signals cannot be received.
    #[error("listen for signals")]
    Signal(#[source] std::io::Error),
    /// The log cannot be set up.
    #[error("set up the log: {0}")]
    Log(String),
}
