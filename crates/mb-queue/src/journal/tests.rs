//! The journal through its public way in, on the simulated disk.

mod append;
mod bounds;
mod crash;
mod damage;
mod golden;
mod handover;
mod idempotency;
mod stale;
pub(crate) mod support;
