//! What needs both servers.

mod flow;
mod forgery;
mod outages;
mod restore;
mod storm;
mod torture;
