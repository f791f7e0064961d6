//! The queue on Redis Streams (6.2 or later; Valkey and Memurai speak the same): many proxies put units of entries into one
//! stream, many workers share it as one consumer group.
//!
//! Redis only distributes. Whatever it loses - a restart without its log, FLUSHALL, an eviction, a failover - the proxies
//! notice and forward again from their journals, and the store sorts out what it has already. So nothing here waits for
//! Redis to be durable, and a Redis that is away delays no submit: entries wait in the journal.
//!
//! - [`Forwarder`] is the proxy's half: journal to stream, within the journal's window.
//! - [`RedisQueue`] is the worker's half, behind [`crate::Queue`]; [`QueueKeeper`] does its work on the network.
//! - [`inspect`] tells what an operator has to know about a Redis before it is trusted with a queue.

mod config;
mod forward;
mod group;
mod held;
mod inspect;
mod keeper;
mod link;
mod progress;
mod queue;
#[cfg(test)]
pub(crate) mod tests;
mod unit;

pub use config::{RedisAddress, RedisConfig, RedisConfigError, RedisTls, Sentinel};
pub use forward::Forwarder;
pub use inspect::{RedisReport, RedisUnreachable, inspect};
pub use keeper::QueueKeeper;
pub use link::RedisHealth;
pub use queue::RedisQueue;
