//! Getting a port.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::error::RuntimeError;

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: i32 = 4096;

/// A bound port that nobody serves yet: all of a process's ports are bound before it starts to work, so that a port in
/// use is found at once.
#[derive(Debug)]
pub struct Listener {
    pub(super) tcp: TcpListener,
    addr: SocketAddr,
}

impl Listener {
    /// Binds `addr`; port 0 takes a free one. Must run within the runtime.
    ///
    /// # Errors
    /// [`RuntimeError::AddressInUse`], [`RuntimeError::Bind`].
    pub fn bind(addr: SocketAddr) -> Result<Self, RuntimeError> {
        let bound = socket(addr).and_then(|tcp| Ok((tcp.local_addr()?, tcp)));
        match bound {
            Ok((addr, tcp)) => Ok(Self { tcp, addr }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(RuntimeError::AddressInUse(addr)),
            Err(source) => Err(RuntimeError::Bind { addr, source }),
        }
    }

    /// The address that it really has.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }
}

fn socket(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.ip() == Ipv6Addr::UNSPECIFIED {
        // [::] means every address, also on systems where it would mean IPv6 alone.
        socket.set_only_v6(false)?;
    }
    // On Windows the option would let another program take the same port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
