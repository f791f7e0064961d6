//! The vocabulary and the pure rules of message-broker.
//!
//! Everything here is a value or a decision: no I/O, no async, no global state. Every other crate imports this one and
//! this one imports none of them, so a rule stated here (who may move to which state, what a valid number is, how an
//! envelope is laid out) is stated once for proxy, worker, main server, portal and command line.

pub mod account;
pub mod audit;
pub mod client;
pub mod clock;
pub mod content;
pub mod delivery;
pub mod destination;
pub mod domain;
pub mod egress;
pub mod envelope;
pub mod field;
pub mod handover;
pub mod hex;
pub mod id;
pub mod id_prefix;
pub mod journal;
pub mod mask;
pub mod name;
pub mod notice;
pub mod policy;
pub mod rate;
pub mod recent;
pub mod retention;
pub mod role;
pub mod secret;
pub mod session;
pub mod spread;
pub mod state;
pub mod submission;
pub mod throttle;
mod wire;

pub use account::{Email, UserId, UserRole};
pub use client::{ClientStatus, Identity};
pub use clock::{Clock, Timestamp};
pub use content::Content;
pub use delivery::{AttemptClass, AttemptId, Breaker, DeliveryState, LeaseId, RetrySchedule};
pub use destination::{Destination, DestinationId, DestinationKind, DestinationState, TopicGlob};
pub use domain::{DomainRules, SenderRule};
pub use egress::{Cidr, Egress};
pub use envelope::{Envelope, Header};
pub use field::FieldError;
pub use id::{IdSource, KeyId, MessageId};
pub use id_prefix::MessageIdPrefix;
pub use journal::{JournalBacklog, JournalFaults};
pub use name::{ClientName, DestinationName, DomainName, Topic, ZoneName};
pub use notice::{NoticeId, NoticeKind, NoticeLevel};
pub use policy::Policy;
pub use retention::Retention;
pub use role::Role;
pub use secret::Secret;
pub use session::{SessionId, SessionKind};
pub use state::MessageState;
pub use submission::Submission;
