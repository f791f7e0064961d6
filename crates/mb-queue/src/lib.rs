//! The journal, and the queue that hands its entries to workers.
//!
//! The journal is the durability point of the whole product: an entry whose [`Journal::append`] returned is on this
//! machine's disk, and stays there until the store said that it has it, and some time longer. The [`Queue`] only
//! distributes; it is never the truth. Nothing here can open an envelope: this crate moves sealed bytes.

mod disk;
mod error;
mod journal;
mod queue;
mod redis;

pub use disk::Disk;
pub use disk::sim::SimDisk;
pub use error::{AppendError, AppendFailed, JournalError};
pub use journal::aside::Aside;
pub use journal::config::JournalConfig;
pub use journal::fsync::{FSYNC_BOUNDS_MICROS, FsyncTimes};
pub use journal::status::{AsideEntry, Degraded, Found, JournalStatus, Recovery};
pub use journal::window::{Seq, Tag};
pub use journal::{Append, Appended, Journal};
pub use queue::{Claim, Claimed, Entry, Queue, QueueFigures};
pub use redis::{
    Forwarder, QueueKeeper, RedisAddress, RedisConfig, RedisConfigError, RedisHealth, RedisQueue, RedisReport,
    RedisTls, RedisUnreachable, Sentinel, inspect as inspect_redis,
};
