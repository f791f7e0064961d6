//! What every role needs around its own work: a lifecycle, listeners, middleware, health, metrics, logs.
//!
//! Nothing here knows a message. A role hands over its router and its checks and gets a server that bounds everything a
//! stranger can send, says who is calling, names every request and stops in an orderly way.

pub mod app;
pub mod body;
mod error;
pub mod health;
pub mod lifecycle;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod nofile;
mod policy_follower;
mod policy_watch;

pub use app::{App, AppConfig, ErrorPage, Sharing};
pub use error::RuntimeError;
pub use health::{Check, Health};
pub use lifecycle::{Criticality, Lifecycle};
pub use listener::{Limits, Listener, PlainServer, PlainText, Slots, TlsServer};
pub use metrics::Metrics;
pub use policy_follower::{News, PolicyFollower};
pub use policy_watch::PolicyWatch;
