//! What needs both servers.

mod flow;
mod operating;
mod several;
mod torture;
