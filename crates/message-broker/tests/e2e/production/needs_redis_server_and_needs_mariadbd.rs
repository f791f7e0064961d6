//! What needs both servers.

mod deleting;
mod delivering;
mod eviction;
mod flow;
mod forgery;
mod operating;
mod outages;
mod overseeing;
mod restore;
mod restoring;
mod rolling;
mod secrecy;
mod several;
mod storm;
mod tending;
mod torture;
mod trust;
