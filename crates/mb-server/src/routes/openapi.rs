//! The OpenAPI 3.1 document, and a page to read it.
//!
//! What handlers of this crate say about themselves is put together here; routes that others serve - the proxy, the
//! runtime - are described in `others.json`. What every operation may answer is added to each by rule, so that no handler
//! has to say it and none can forget it.

mod answers;
mod page;
mod sample;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use mb_api::dto::{HealthReport, MessageStatus, StatusAnswer};
use mb_api::paths;
use mb_api::problem::Problem;
use serde_json::Value;
use utoipa::OpenApi;

use crate::app::App;

#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "message-broker",
        description = "Takes in messages over mutual TLS, loses none, and hands them on. Every error is a problem (RFC \
                       9457) with a stable `code`. Lists are pages: `next` is the cursor of the page that follows.",
        license(name = "MIT OR Apache-2.0"),
    ),
    servers((url = "https://localhost:8000", description = "The main server")),
    paths(
        super::register::register,
        super::deliveries::lease,
        super::deliveries::report,
        super::confirm::confirm,
        super::status::status,
        super::policy::policy,
        super::auth::login,
        super::auth::refresh,
        super::auth::logout,
        super::auth::forgot_password,
        super::auth::reset_password,
        super::sessions::open,
        super::sessions::open_with_otp,
        super::sessions::show,
        super::sessions::close,
        super::profile::show,
        super::profile::change_password,
        super::profile::set_time_zone,
        super::profile::sessions,
        super::profile::end_sessions,
        super::profile::end_session,
        super::profile::two_factor::offer,
        super::profile::two_factor::confirm,
        super::profile::two_factor::disable,
        super::profile::two_factor::replace_codes,
        super::users::list,
        super::users::create,
        super::users::show,
        super::users::delete,
        super::users::access::set_status,
        super::users::access::set_password,
        super::users::access::reset_two_factor,
        super::users::access::sessions,
        super::users::access::end_sessions,
        super::users::terms::set_role,
        super::users::terms::set_client,
        super::users::terms::set_expiry,
        super::users::terms::set_sending,
        super::messages::list,
        super::messages::show,
        super::messages::submitting::submit,
        super::messages::watching::watch,
        super::messages::exporting::export,
        super::overview::overview,
        super::clients::list,
        super::clients::show,
        super::clients::set_status,
        super::clients::set_rate_limit,
        super::domains::list,
        super::domains::create,
        super::domains::show,
        super::domains::set,
        super::destinations::list,
        super::destinations::create,
        super::destinations::show,
        super::destinations::settings::set,
        super::destinations::delete,
        super::destinations::state::set_state,
        super::destinations::state::rotate_secret,
        super::destinations::state::test,
        super::message_actions::replay,
        super::message_actions::retry,
        super::message_actions::cancel,
        super::message_actions::cancel_for,
        super::message_actions::expunge,
        super::dead_letters::list,
        super::dead_letters::redrive,
        super::dead_letters::purge,
        super::pull::pull,
        super::pull::ack,
        super::pull::nack,
        super::pull::prolong,
        super::certificates::generate,
        super::certificates::revoke,
        super::certificates::list,
        super::certificates::expiring,
        super::signing::sign,
        super::signing::renew,
        super::enrolment::offer,
        super::enrolment::enrol,
        super::audit::list,
        super::audit::verify,
        super::notices::list,
        super::notices::resolve,
        super::proxies::status,
        super::workers::status,
        super::queue::show,
        super::database::show,
        super::retention::show,
        super::retention::set,
        super::retention::run,
        super::stats::stats,
        super::store::new_epoch,
        super::keys::list,
        super::keys::prepare,
        super::keys::rotate,
        super::keys::rewrap,
        super::keys::delete,
        super::keys::forget_proxy,
        super::installation::settings,
        super::installation::doctor,
        super::backups::list,
        super::backups::create,
        super::backups::verify,
        super::backups::job,
        super::backup_file::read,
        super::keys::report,
        super::revocations::merge,
        super::public::root,
        super::pki::ca,
        super::pki::crl_pem,
        super::pki::crl_der,
        super::pki::renew,
    ),
    components(schemas(Problem, HealthReport, MessageStatus, StatusAnswer)),
    tags(
        (name = "submitting", description = "What clients send to a proxy, with their certificate."),
        (name = "auth", description = "Signing in for tokens, and a lost password."),
        (name = "profile", description = "One's own account."),
        (name = "users", description = "Who has an account."),
        (name = "messages", description = "Messages as people see them."),
        (name = "clients", description = "Who may submit."),
        (name = "domains", description = "The tenants and their rules."),
        (name = "destinations", description = "Where messages go."),
        (name = "dead letters", description = "What could not be delivered, or never became a message."),
        (name = "consuming", description = "What consumers ask, with their certificate."),
        (name = "certificates", description = "Certificates of clients and components."),
        (name = "audit", description = "Who did what, and whether the log is whole."),
        (name = "proxies", description = "Where messages come in."),
        (name = "notices", description = "What a person should know and nobody asked for."),
        (name = "workers", description = "Who registers and delivers."),
        (name = "queue", description = "What is on its way."),
        (name = "database", description = "The database behind the store."),
        (name = "retention", description = "For how long things are kept."),
        (name = "stats", description = "Figures."),
        (name = "keys", description = "The master keys."),
        (name = "store", description = "The store as a whole."),
        (name = "installation", description = "The settings and the machine of a main server."),
        (name = "backups", description = "Sealed copies of the store, the keys and the certificates."),
        (name = "public", description = "What anyone may ask."),
        (name = "operation", description = "Health and metrics of every component."),
        (name = "internal", description = "What components ask each other; no contract with anyone else."),
    ),
)]
struct Described;

const OTHERS: &str = include_str!("openapi/others.json");
const STYLE: &str = include_str!("openapi/style.css");

/// Nothing is run, framed, sent or fetched; the page's own style is all that it loads.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The document as it is served and committed.
fn document() -> Value {
    let mut document = serde_json::to_value(Described::openapi()).unwrap_or_default();
    let others: Value = serde_json::from_str(OTHERS).unwrap_or_default();
    merge(&mut document, others);
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    answers::complete(&mut document);
    document
}

/// The document's text.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

/// Members of objects are put together, of anything else the new one stands.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Made once in a process, when first asked for.
static SERVED: LazyLock<(Bytes, Bytes)> = LazyLock::new(|| {
    let document = document();
    (text().into(), page::render(&document).into())
});

pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route(paths::OPENAPI, get(async || serve("application/json", SERVED.0.clone())))
        .route(paths::DOCS, get(async || serve("text/html; charset=utf-8", SERVED.1.clone())))
        .route(paths::DOCS_STYLE, get(async || serve("text/css; charset=utf-8", Bytes::from_static(STYLE.as_bytes()))))
}

fn serve(media_type: &'static str, body: Bytes) -> impl IntoResponse {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, body)
}

#[cfg(test)]
mod tests;
