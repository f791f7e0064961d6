//! What needs both servers.

mod eviction;
mod flow;
mod forgery;
mod outages;
mod restore;
mod storm;
mod torture;
