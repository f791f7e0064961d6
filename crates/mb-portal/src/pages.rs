//! Every page with its address.

mod audit;
mod audit_verify;
mod backup_file;
mod backups;
mod certificate_issue;
mod certificate_issued;
mod certificate_renew;
mod certificate_revoke;
mod certificates;
mod client;
mod client_status;
mod clients;
mod database;
mod dead_letters;
mod dead_letters_chosen;
mod dead_letters_purge;
mod dead_letters_redrive;
mod destination;
mod destination_delete;
mod destination_edit;
mod destination_form;
mod destination_new;
mod destination_replay;
mod destination_secret;
mod destination_state;
mod destination_test;
mod destinations;
mod doctor;
mod domain;
mod domain_new;
mod domains;
mod enrolment;
mod enrolment_new;
mod forgot_password;
mod login;
mod login_code;
mod logout;
mod message;
mod message_actions;
mod messages;
mod messages_export;
mod messages_stream;
mod notices;
mod overview;
mod profile;
mod profile_codes;
mod profile_password;
mod profile_sessions;
mod profile_time_zone;
mod profile_two_factor;
mod proxies;
mod queue;
mod reset_password;
mod retention;
mod retention_run;
mod send;
mod settings;
mod user;
mod user_change;
mod user_delete;
mod user_new;
mod users;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware;
use axum::routing::{get, post};
use mb_api::paths;
use mb_api::problem::{ApiError, ProblemCode};

use crate::person::Person;
use crate::visit::visit;
use crate::{Portal, assets};

macro_rules! routes {
    ($($path:literal => $methods:expr,)*) => {
        /// The routes' templates, the busiest first.
        pub const ROUTES: &[&str] = &[
            assets::ROUTE, $($path,)* paths::HEALTH, paths::HEALTH_LIVE, paths::HEALTH_READY, paths::METRICS,
        ];

        fn pages() -> Router<Portal> {
            Router::new()$(.route($path, $methods))*
        }
    };
}

routes! {
    "/" => get(overview::get),
    "/overview/stream" => get(overview::stream),
    "/messages" => get(messages::get),
    "/messages/stream" => get(messages_stream::get),
    "/messages/export" => post(messages_export::post),
    "/messages/{id}" => get(message::get).post(message::post),
    "/messages/{id}/retry" => post(message_actions::retry),
    "/messages/{id}/cancel" => get(message_actions::ask_cancel).post(message_actions::cancel),
    "/messages/{id}/replay" => get(message_actions::ask_replay).post(message_actions::replay),
    "/send" => get(send::get).post(send::post),
    "/login" => get(login::get).post(login::post),
    "/login/code" => get(login_code::get).post(login_code::post),
    "/logout" => post(logout::post),
    "/forgot-password" => get(forgot_password::get).post(forgot_password::post),
    "/reset-password" => get(reset_password::get).post(reset_password::post),
    "/profile" => get(profile::get),
    "/profile/password" => get(profile_password::get).post(profile_password::post),
    "/profile/time-zone" => get(profile_time_zone::get).post(profile_time_zone::post),
    "/profile/two-factor" => get(profile_two_factor::get).post(profile_two_factor::post),
    "/profile/two-factor/confirm" => post(profile_two_factor::confirm),
    "/profile/two-factor/disable" => post(profile_two_factor::disable),
    "/profile/recovery-codes" => get(profile_codes::get).post(profile_codes::post),
    "/profile/sessions/end" => post(profile_sessions::end_all),
    "/profile/sessions/{id}/end" => post(profile_sessions::end_one),
    "/admin/users" => get(users::get),
    "/admin/users/new" => get(user_new::get).post(user_new::post),
    "/admin/users/{id}" => get(user::get),
    "/admin/users/{id}/role" => post(user_change::role),
    "/admin/users/{id}/client" => post(user_change::client),
    "/admin/users/{id}/expiry" => post(user_change::expiry),
    "/admin/users/{id}/sending" => post(user_change::sending),
    "/admin/users/{id}/status" => post(user_change::status),
    "/admin/users/{id}/password" => post(user_change::password),
    "/admin/users/{id}/two-factor" => post(user_change::two_factor),
    "/admin/users/{id}/sessions" => post(user_change::sessions),
    "/admin/users/{id}/delete" => get(user_delete::get).post(user_delete::post),
    "/admin/clients" => get(clients::get),
    "/admin/clients/{id}" => get(client::get),
    "/admin/clients/{id}/rate-limit" => post(client::post),
    "/admin/clients/{id}/{change}" => get(client_status::get).post(client_status::post),
    "/admin/enrolments/new" => get(enrolment_new::get).post(enrolment_new::post),
    "/admin/certificates" => get(certificates::get),
    "/admin/certificates/new" => get(certificate_issue::get).post(certificate_issue::post),
    "/admin/certificates/renew" => get(certificate_renew::get).post(certificate_renew::post),
    "/admin/certificates/{serial}/revoke" => get(certificate_revoke::get).post(certificate_revoke::post),
    "/admin/domains" => get(domains::get),
    "/admin/domains/new" => get(domain_new::get).post(domain_new::post),
    "/admin/domains/{id}" => get(domain::get).post(domain::post),
    "/admin/destinations" => get(destinations::get),
    "/admin/destinations/new" => get(destination_new::get).post(destination_new::post),
    "/admin/destinations/{id}" => get(destination::get),
    "/admin/destinations/{id}/edit" => get(destination_edit::get).post(destination_edit::post),
    "/admin/destinations/{id}/test" => post(destination_test::post),
    "/admin/destinations/{id}/enable" => post(destination_state::enable),
    "/admin/destinations/{id}/pause" => post(destination_state::pause),
    "/admin/destinations/{id}/disable" => get(destination_state::get).post(destination_state::post),
    "/admin/destinations/{id}/rotate" => get(destination_secret::get).post(destination_secret::post),
    "/admin/destinations/{id}/replay" => get(destination_replay::get).post(destination_replay::post),
    "/admin/destinations/{id}/delete" => get(destination_delete::get).post(destination_delete::post),
    "/admin/dead-letters" => get(dead_letters::get),
    "/admin/dead-letters/redrive" => get(dead_letters_redrive::get).post(dead_letters_redrive::post),
    "/admin/dead-letters/purge" => get(dead_letters_purge::get).post(dead_letters_purge::post),
    "/admin/proxies" => get(proxies::get),
    "/admin/queue" => get(queue::get),
    "/admin/database" => get(database::get),
    "/admin/retention" => get(retention::get).post(retention::post),
    "/admin/retention/run" => post(retention_run::post),
    "/admin/backups" => get(backups::get).post(backups::create),
    "/admin/backups/jobs/{id}" => get(backups::job),
    "/admin/backups/{name}/verify" => post(backups::verify),
    "/admin/backups/{name}/{file}" => get(backup_file::get),
    "/admin/settings" => get(settings::get),
    "/admin/doctor" => get(doctor::get).post(doctor::post),
    "/admin/audit" => get(audit::get),
    "/admin/audit/verify" => post(audit_verify::post),
    "/admin/notices" => get(notices::get),
    "/admin/notices/{id}/resolve" => post(notices::post),
}

/// Nothing is here, and somebody signed in is told so in his frame.
async fn missing(State(portal): State<Portal>, request: Request) -> ApiError {
    let (mut parts, _) = request.into_parts();
    // Asked for the frame alone: without one the page is plain, and 404 all the same. A file's is seen by nobody.
    if !assets::is_place(parts.uri.path()) {
        let _ = Person::from_request_parts(&mut parts, &portal).await;
    }
    ApiError::not_found()
}

/// The pages with what is around each of them.
pub(crate) fn router(portal: Portal) -> Router {
    pages()
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                ProblemCode::MethodNotAllowed,
                "this address shows nothing by itself; go back to where you came from",
            )
        })
        .fallback(missing)
        .layer(middleware::from_fn(visit))
        .route(assets::ROUTE, get(assets::get))
        .with_state(portal)
}
