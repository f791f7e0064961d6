//! What needs both servers.

mod flow;
mod several;
mod torture;
