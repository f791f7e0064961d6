//! The journal through its public way in, on the simulated disk.

mod append;
mod aside;
mod bounds;
mod crash;
mod damage;
mod golden;
mod handover;
mod idempotency;
mod mutations;
pub(crate) mod support;
