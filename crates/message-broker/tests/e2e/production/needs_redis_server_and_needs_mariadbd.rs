//! What needs both servers.

mod eviction;
mod flow;
mod forgery;
mod operating;
mod outages;
mod restore;
mod several;
mod storm;
mod tending;
mod torture;
mod trust;
