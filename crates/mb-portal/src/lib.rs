//! The portal: pages for the people who use and run the broker.
//!
//! A client of the main server's API and nothing else: it holds no session, no message, and no key or secret. Pages are
//! rendered here, work without scripts, and show only what the person signed in may do; what the person really may do the
//! main server decides on every call. One page is one file under `pages` with its template of the same name.

mod assets;
mod certificate_files;
mod chart;
mod cookies;
mod csrf;
mod door;
mod error_page;
mod errors;
mod field;
mod flash;
mod form;
mod form_page;
mod live;
mod next;
mod pages;
mod paging;
mod person;
mod qr;
mod respond;
mod shell;
mod stop;
mod view;
mod visit;
mod work;
mod zip;
mod zone;

use axum::Router;
use mb_api::Client;
use mb_core::Clock;
use tokio_util::sync::CancellationToken;

pub use error_page::error_page;
pub use pages::ROUTES;

/// What every page is made with.
#[derive(Clone, Debug)]
pub struct Portal {
    client: Client,
    clock: Clock,
    /// Cancelled when the process stops: streams end then.
    stopping: CancellationToken,
}

impl Portal {
    /// A portal that asks the main server through `client`, which speaks as a component of role `portal`.
    pub fn new(client: Client, clock: Clock, stopping: CancellationToken) -> Self {
        Self { client, clock, stopping }
    }

    /// The pages. Serve them with [`error_page`], so that refusals are pages too.
    pub fn router(self) -> Router {
        pages::router(self)
    }
}

#[cfg(test)]
mod tests;
