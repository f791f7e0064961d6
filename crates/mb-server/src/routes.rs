//! The main server's routes, one file per resource.

mod audit;
mod auth;
mod backup_file;
mod backups;
mod certificates;
mod clients;
mod confirm;
mod database;
mod dead_letters;
mod deliveries;
mod destinations;
mod domains;
mod enrolment;
mod entrance;
mod installation;
mod keys;
mod message_actions;
mod messages;
mod notices;
mod openapi;
mod overview;
mod pki;
mod policy;
mod profile;
mod proxies;
mod public;
mod pull;
mod queue;
mod register;
mod rejudged;
mod retention;
mod revocations;
mod sessions;
mod signing;
mod stats;
mod status;
mod store;
mod users;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_runtime::Sharing;

use crate::app::App;

pub(crate) use messages::watchers::Watchers;
pub use openapi::text as openapi_text;

/// Whose the requests in work may be.
pub const SHARING: Sharing = Sharing {
    waiting: &[paths::PULL, paths::DELIVERIES_LEASE, paths::POLICY],
    kept: &["/admin/", "/internal/"],
    open: &[
        paths::AUTH_LOGIN,
        paths::AUTH_REFRESH,
        paths::AUTH_LOGOUT,
        paths::AUTH_FORGOT_PASSWORD,
        paths::AUTH_RESET_PASSWORD,
        paths::PKI_ENROLL,
    ],
};

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(public::root))
        .route(paths::CA_CERTIFICATE, get(pki::ca))
        .route(paths::CRL_PEM, get(pki::crl_pem))
        .route(paths::CRL_DER, get(pki::crl_der))
        .route(paths::PKI_RENEW, post(pki::renew))
        .route(paths::REGISTER, post(register::register))
        .route(paths::DELIVERIES_LEASE, post(deliveries::lease))
        .route(paths::DELIVERIES_REPORT, post(deliveries::report))
        .route(paths::CONFIRM, post(confirm::confirm))
        .route(paths::STATUS, post(status::status))
        .route(paths::CANCEL, post(message_actions::cancel_for))
        .route(paths::POLICY, get(policy::policy))
        .route(paths::REVOCATIONS, post(revocations::merge))
        .route(paths::KEY_REPORT, post(keys::report))
        .route(paths::CERTIFICATES_GENERATE, post(certificates::generate))
        .route(paths::CERTIFICATES_REVOKE, post(certificates::revoke))
        .route(paths::CERTIFICATES_SIGN, post(signing::sign))
        .route(paths::CERTIFICATES_RENEW, post(signing::renew))
        .route(paths::PKI_ENROLL, post(enrolment::enrol))
        .route(paths::CERTIFICATES_LIST, get(certificates::list))
        .route(paths::CERTIFICATES_EXPIRING, get(certificates::expiring))
        .merge(administration())
        .merge(delivery())
        .merge(people())
        .merge(openapi::router())
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&app), entrance::check))
        .with_state(app)
}

/// What administrators, and in part users, ask for.
fn administration() -> Router<Arc<App>> {
    Router::new()
        .route(paths::PORTAL_MESSAGES, get(messages::list).post(messages::submitting::submit))
        .route(paths::PORTAL_MESSAGES_STREAM, get(messages::watching::watch))
        .route(paths::PORTAL_OVERVIEW, get(overview::overview))
        .route(paths::MESSAGES_EXPORT, get(messages::exporting::export))
        .route(paths::PORTAL_MESSAGE, get(messages::show))
        .route(paths::CLIENTS, get(clients::list))
        .route(paths::CLIENT, get(clients::show))
        .route(paths::CLIENT_STATUS, put(clients::set_status))
        .route(paths::CLIENT_RATE_LIMIT, put(clients::set_rate_limit))
        .route(paths::CLIENT_ENROLL, post(enrolment::offer))
        .route(paths::DOMAINS, get(domains::list).post(domains::create))
        .route(paths::DOMAIN, get(domains::show).put(domains::set))
        .route(paths::AUDIT, get(audit::list))
        .route(paths::AUDIT_VERIFY, get(audit::verify))
        .route(paths::NOTICES, get(notices::list))
        .route(paths::NOTICE_RESOLVE, post(notices::resolve))
        .route(paths::PROXIES_STATUS, get(proxies::status))
        .route(paths::WORKERS_STATUS, get(workers::status))
        .route(paths::QUEUE, get(queue::show))
        .route(paths::DATABASE, get(database::show))
        .route(paths::RETENTION, get(retention::show).put(retention::set))
        .route(paths::RETENTION_RUN, post(retention::run))
        .route(paths::STATS, get(stats::stats))
        .route(paths::NEW_EPOCH, post(store::new_epoch))
        .route(paths::KEYS, get(keys::list))
        .route(paths::KEYS_PREPARE, post(keys::prepare))
        .route(paths::KEYS_ROTATE, post(keys::rotate))
        .route(paths::KEYS_REWRAP, post(keys::rewrap))
        .route(paths::KEY, delete(keys::delete))
        .route(paths::KEY_PROXY, delete(keys::forget_proxy))
        .route(paths::SETTINGS, get(installation::settings))
        .route(paths::DOCTOR, post(installation::doctor))
        .route(paths::BACKUPS, get(backups::list).post(backups::create))
        .route(paths::BACKUPS_FILE, get(backup_file::read))
        .route(paths::BACKUPS_VERIFY, post(backups::verify))
        .route(paths::BACKUPS_JOB, get(backups::job))
}

/// Destinations, and what became of what they should take.
fn delivery() -> Router<Arc<App>> {
    let one = get(destinations::show).put(destinations::set).delete(destinations::delete);
    Router::new()
        .route(paths::DESTINATIONS, get(destinations::list).post(destinations::create))
        .route(paths::DESTINATION, one)
        .route(paths::DESTINATION_STATE, put(destinations::set_state))
        .route(paths::DESTINATION_SECRET, post(destinations::rotate_secret))
        .route(paths::DESTINATION_TEST, post(destinations::test))
        .route(paths::DESTINATION_REPLAY, post(message_actions::replay))
        .route(paths::DEAD_LETTERS, get(dead_letters::list))
        .route(paths::DEAD_LETTERS_REDRIVE, post(dead_letters::redrive))
        .route(paths::DEAD_LETTERS_PURGE, post(dead_letters::purge))
        .route(paths::MESSAGE_RETRY, post(message_actions::retry))
        .route(paths::MESSAGE_CANCEL, post(message_actions::cancel))
        .route(paths::MESSAGE_EXPUNGE, post(message_actions::expunge))
        .route(paths::PULL, post(pull::pull))
        .route(paths::PULL_ACK, post(pull::ack))
        .route(paths::PULL_NACK, post(pull::nack))
        .route(paths::PULL_PROLONG, post(pull::prolong))
}

/// The number of a row as it stands in a path, written in the one way in which it is shown.
pub(crate) fn row_id(text: &str) -> Result<i64, ApiError> {
    text.parse().ok().filter(|id: &i64| id.to_string() == text).ok_or_else(ApiError::not_found)
}

/// Tells the proxies of a change, and waits for them: what was changed holds from the next request on.
pub(crate) async fn announce(app: &App) -> Result<(), ApiError> {
    app.policy.refresh(&app.store).await.map_err(store_fault)?;
    app.policy.adopted().await;
    Ok(())
}

/// A stored JSON object. What is none any more is shown as text, so that the row that holds it can still be read.
pub(crate) fn object(text: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(text).unwrap_or_else(|_| serde_json::Map::from_iter([("text".to_owned(), text.into())]))
}

/// Signing in, one's own account, other people's accounts.
fn people() -> Router<Arc<App>> {
    use profile::two_factor;
    use users::{access, terms};
    Router::new()
        .route(paths::AUTH_LOGIN, post(auth::login))
        .route(paths::AUTH_REFRESH, post(auth::refresh))
        .route(paths::AUTH_LOGOUT, post(auth::logout))
        .route(paths::AUTH_FORGOT_PASSWORD, post(auth::forgot_password))
        .route(paths::AUTH_RESET_PASSWORD, post(auth::reset_password))
        .route(paths::SESSIONS, get(sessions::show).post(sessions::open).delete(sessions::close))
        .route(paths::SESSIONS_OTP, post(sessions::open_with_otp))
        .route(paths::PROFILE, get(profile::show))
        .route(paths::PROFILE_PASSWORD, put(profile::change_password))
        .route(paths::PROFILE_TIME_ZONE, put(profile::set_time_zone))
        .route(paths::PROFILE_TWO_FACTOR, post(two_factor::offer))
        .route(paths::PROFILE_TWO_FACTOR_CONFIRM, post(two_factor::confirm))
        .route(paths::PROFILE_TWO_FACTOR_DISABLE, post(two_factor::disable))
        .route(paths::PROFILE_RECOVERY_CODES, post(two_factor::replace_codes))
        .route(paths::PROFILE_SESSIONS, get(profile::sessions).delete(profile::end_sessions))
        .route(paths::PROFILE_SESSION, delete(profile::end_session))
        .route(paths::USERS, get(users::list).post(users::create))
        .route(paths::USER, get(users::show).delete(users::delete))
        .route(paths::USER_ROLE, put(terms::set_role))
        .route(paths::USER_CLIENT, put(terms::set_client))
        .route(paths::USER_EXPIRY, put(terms::set_expiry))
        .route(paths::USER_SENDING, put(terms::set_sending))
        .route(paths::USER_STATUS, put(access::set_status))
        .route(paths::USER_PASSWORD, put(access::set_password))
        .route(paths::USER_TWO_FACTOR, delete(access::reset_two_factor))
        .route(paths::USER_SESSIONS, get(access::sessions).delete(access::end_sessions))
}

/// A fault of the store as the caller sees it, the reason stays in the log. A fault that repeating does not cure must not
/// read as one that passes: the worker splits a batch only if the fault may be the batch's.
pub(crate) fn store_fault(error: mb_store::StoreError) -> ApiError {
    if error.is_passing() { ApiError::unavailable(error) } else { ApiError::internal(error) }
}

#[cfg(test)]
mod tests {
    use mb_api::problem::ProblemCode;
    use mb_store::StoreError;

    use super::{row_id, store_fault};

    #[test]
    fn a_row_has_one_path() {
        assert_eq!(row_id("17").expect("a number"), 17);
        for other in ["+17", "017", " 17", "17 ", "1e1", "", "9223372036854775808"] {
            assert_eq!(row_id(other).expect_err("none").code(), ProblemCode::NotFound, "{other}");
        }
    }

    #[test]
    fn only_what_passes_asks_for_a_repeat() {
        assert_eq!(store_fault(StoreError::Closed).code(), ProblemCode::Unavailable);
        for lasting in [StoreError::Damaged("id"), StoreError::Missing("epoch")] {
            assert_eq!(store_fault(lasting).code(), ProblemCode::Internal);
        }
    }
}
