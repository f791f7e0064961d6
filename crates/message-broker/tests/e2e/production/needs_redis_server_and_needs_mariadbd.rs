//! What needs both servers.

mod delivering;
mod eviction;
mod flow;
mod forgery;
mod operating;
mod outages;
mod restore;
mod several;
mod storm;
mod torture;
mod trust;
