//! What needs both servers.

mod flow;
mod torture;
mod trust;
