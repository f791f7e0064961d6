//! A load balancer for a test: takes TCP connections and hands each to the next backend that answers.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The address that several servers share; ends with the test's process.
pub(crate) struct Balancer {
    pub(crate) port: u16,
}

impl Balancer {
    /// In front of the ports of these backends, which need not answer yet.
    pub(crate) fn before(backends: &[u16]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a spare port");
        let port = listener.local_addr().expect("bound").port();
        let (backends, turn) = (backends.to_vec(), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let (backends, turn) = (backends.clone(), Arc::clone(&turn));
                std::thread::spawn(move || {
                    let first = turn.fetch_add(1, Ordering::Relaxed);
                    let mut ports = (0..backends.len()).map(|at| backends[(first + at) % backends.len()]);
                    if let Some(server) = ports.find_map(|port| TcpStream::connect(("127.0.0.1", port)).ok()) {
                        join(client, server);
                    }
                });
            }
        });
        Self { port }
    }
}

/// Hands over both ways until both are at their end.
fn join(client: TcpStream, server: TcpStream) {
    let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { return };
    let up = std::thread::spawn(move || pass(from_client, server));
    pass(from_server, client);
    let _ = up.join();
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
