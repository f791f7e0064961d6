//! The vocabulary of the one seam between roles: an HTTP request.
//!
//! Paths, bodies, errors and the typed client stand here once, so that proxy, worker, portal and command line speak to
//! the main server, and the main server answers, in the same words. Which transport carries them, mutual TLS or a call
//! within the process, is the client's business alone.

pub mod client;
pub mod credentials;
pub mod cursor;
pub mod dto;
pub mod page;
pub mod paths;
pub mod peer;
pub mod problem;
pub mod query;
pub mod request_id;
pub mod schema;

pub use client::{Client, ClientError};
pub use credentials::Credentials;
pub use cursor::{Cursor, List, NameCursor};
pub use page::{Page, PageQuery};
pub use peer::Peer;
pub use problem::{ApiError, Problem, ProblemCode};
pub use query::Query;
pub use request_id::RequestId;
