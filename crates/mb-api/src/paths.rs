//! Every route's path, once. Handlers mount them, the client calls them, and the lists per role are the closed set of
//! values of the metric label `route`.

use std::fmt;

/// Submit one message.
pub const MESSAGES: &str = "/api/v1/messages";
/// Submit many messages.
pub const MESSAGES_BATCH: &str = "/api/v1/messages/batch";
/// Ask for the status of many messages.
pub const MESSAGES_STATUS: &str = "/api/v1/messages/status";
/// Ask for the status of one message.
pub const MESSAGE: &str = "/api/v1/messages/{id}";
/// The proxy's health beside its API.
pub const API_HEALTH: &str = "/api/v1/health";

/// Hand over a batch of envelopes (worker).
pub const REGISTER: &str = "/internal/messages/register";
/// Ask which messages the store lacks (proxy).
pub const CONFIRM: &str = "/internal/messages/confirm";
/// Ask for the status of a client's messages (proxy).
pub const STATUS: &str = "/internal/messages/status";
/// Withdraw a client's message (proxy).
pub const CANCEL: &str = "/internal/messages/cancel";
/// Long poll for deliveries (worker).
pub const DELIVERIES_LEASE: &str = "/internal/deliveries/lease";
/// Report what came of deliveries (worker).
pub const DELIVERIES_REPORT: &str = "/internal/deliveries/report";
/// Tell held revocations after a restore (proxy).
pub const REVOCATIONS: &str = "/internal/revocations";
/// Say which master keys a journal needs (proxy).
pub const KEY_REPORT: &str = "/internal/keys/report";
/// Long poll for a newer policy (proxy).
pub const POLICY: &str = "/internal/policy";

/// Sign a person in for a portal, tell who is signed in, sign out (portal).
pub const SESSIONS: &str = "/internal/sessions";
/// Finish a sign-in with the second factor (portal).
pub const SESSIONS_OTP: &str = "/internal/sessions/otp";

/// Sign in for tokens.
pub const AUTH_LOGIN: &str = "/portal/auth/login";
/// Exchange a refresh token.
pub const AUTH_REFRESH: &str = "/portal/auth/refresh";
/// End a family of tokens.
pub const AUTH_LOGOUT: &str = "/portal/auth/logout";
/// Ask for a mail with a reset token.
pub const AUTH_FORGOT_PASSWORD: &str = "/portal/auth/forgot-password";
/// Set a password by a reset token.
pub const AUTH_RESET_PASSWORD: &str = "/portal/auth/reset-password";

/// List messages.
pub const PORTAL_MESSAGES: &str = "/portal/messages";
/// Show one message.
pub const PORTAL_MESSAGE: &str = "/portal/messages/{id}";
/// Show one's own account.
pub const PROFILE: &str = "/portal/profile";
/// Change one's own password.
pub const PROFILE_PASSWORD: &str = "/portal/profile/password";
/// Begin with a second factor.
pub const PROFILE_TWO_FACTOR: &str = "/portal/profile/2fa";
/// Switch the second factor on.
pub const PROFILE_TWO_FACTOR_CONFIRM: &str = "/portal/profile/2fa/confirm";
/// Switch the second factor off.
pub const PROFILE_TWO_FACTOR_DISABLE: &str = "/portal/profile/2fa/disable";
/// Replace the recovery codes.
pub const PROFILE_RECOVERY_CODES: &str = "/portal/profile/2fa/recovery-codes";
/// List one's own sessions, or end them all.
pub const PROFILE_SESSIONS: &str = "/portal/profile/sessions";
/// End one of one's own sessions.
pub const PROFILE_SESSION: &str = "/portal/profile/sessions/{id}";

/// List users, add one.
pub const USERS: &str = "/admin/users";
/// Show or delete a user.
pub const USER: &str = "/admin/users/{id}";
/// Set a user's role.
pub const USER_ROLE: &str = "/admin/users/{id}/role";
/// Let a user sign in, or no longer.
pub const USER_STATUS: &str = "/admin/users/{id}/status";
/// Set a user's password.
pub const USER_PASSWORD: &str = "/admin/users/{id}/password";
/// Bind a user to a client.
pub const USER_CLIENT: &str = "/admin/users/{id}/client";
/// Set when a user's account ends.
pub const USER_EXPIRY: &str = "/admin/users/{id}/expiry";
/// Let a user send messages, or no longer.
pub const USER_SENDING: &str = "/admin/users/{id}/sending";
/// Take a user's second factor away.
pub const USER_TWO_FACTOR: &str = "/admin/users/{id}/2fa";
/// List or end a user's sessions.
pub const USER_SESSIONS: &str = "/admin/users/{id}/sessions";

/// List clients.
pub const CLIENTS: &str = "/admin/clients";
/// Show a client.
pub const CLIENT: &str = "/admin/clients/{id}";
/// Suspend, resume or archive a client.
pub const CLIENT_STATUS: &str = "/admin/clients/{id}/status";
/// Give a client a rate limit of its own.
pub const CLIENT_RATE_LIMIT: &str = "/admin/clients/{id}/rate-limit";
/// Make a token with which a client gets a certificate.
pub const CLIENT_ENROLL: &str = "/admin/clients/{id}/enroll";

/// List domains, add one.
pub const DOMAINS: &str = "/admin/domains";
/// Show a domain, set its rules.
pub const DOMAIN: &str = "/admin/domains/{id}";

/// List destinations, add one.
pub const DESTINATIONS: &str = "/admin/destinations";
/// Show a destination, change it, delete it.
pub const DESTINATION: &str = "/admin/destinations/{id}";
/// Enable, pause or disable a destination.
pub const DESTINATION_STATE: &str = "/admin/destinations/{id}/state";
/// Give a destination another secret.
pub const DESTINATION_SECRET: &str = "/admin/destinations/{id}/rotate-secret";
/// Send a trial to a destination.
pub const DESTINATION_TEST: &str = "/admin/destinations/{id}/test";

/// Send messages again to a destination.
pub const DESTINATION_REPLAY: &str = "/admin/destinations/{id}/replay";
/// List dead letters.
pub const DEAD_LETTERS: &str = "/admin/dead-letters";
/// Send dead letters again.
pub const DEAD_LETTERS_REDRIVE: &str = "/admin/dead-letters/redrive";
/// Remove dead letters.
pub const DEAD_LETTERS_PURGE: &str = "/admin/dead-letters/purge";
/// Have a message tried now.
pub const MESSAGE_RETRY: &str = "/admin/messages/{id}/retry";
/// Withdraw a message.
pub const MESSAGE_CANCEL: &str = "/admin/messages/{id}/cancel";
/// Remove a message's content.
pub const MESSAGE_EXPUNGE: &str = "/admin/messages/{id}/expunge";
/// Fetch messages (consumer).
pub const PULL: &str = "/api/v1/pull/{name}";
/// Say that messages were taken (consumer).
pub const PULL_ACK: &str = "/api/v1/pull/{name}/ack";
/// Give messages back (consumer).
pub const PULL_NACK: &str = "/api/v1/pull/{name}/nack";
/// Keep messages for longer (consumer).
pub const PULL_PROLONG: &str = "/api/v1/pull/{name}/prolong";

/// List the audit log.
pub const AUDIT: &str = "/admin/audit";
/// Check a stretch of the audit log.
pub const AUDIT_VERIFY: &str = "/admin/audit/verify";

/// List notices.
pub const NOTICES: &str = "/admin/notices";
/// Resolve a notice.
pub const NOTICE_RESOLVE: &str = "/admin/notices/{id}/resolve";

/// List the proxies.
pub const PROXIES_STATUS: &str = "/admin/proxies/status";

/// Figures.
pub const STATS: &str = "/admin/stats";

/// Give the store a new epoch.
pub const NEW_EPOCH: &str = "/admin/store/new-epoch";

/// List the master keys.
pub const KEYS: &str = "/admin/keys";
/// Make the next master key.
pub const KEYS_PREPARE: &str = "/admin/keys/prepare";
/// Take the next master key into use.
pub const KEYS_ROTATE: &str = "/admin/keys/rotate";
/// Seal anew under the master key in use.
pub const KEYS_REWRAP: &str = "/admin/keys/rewrap";
/// Destroy a master key.
pub const KEY: &str = "/admin/keys/{id}";
/// Forget a proxy that is no more.
pub const KEY_PROXY: &str = "/admin/keys/proxies/{id}";

/// List backups, begin one.
pub const BACKUPS: &str = "/admin/backups";
/// Begin to prove a backup.
pub const BACKUPS_VERIFY: &str = "/admin/backups/verify";
/// Show how far a job is.
pub const BACKUPS_JOB: &str = "/admin/backups/jobs/{id}";

/// Make a certificate.
pub const CERTIFICATES_GENERATE: &str = "/admin/certificates/generate";
/// Revoke certificates.
pub const CERTIFICATES_REVOKE: &str = "/admin/certificates/revoke";
/// Make a certificate for a key that its holder keeps.
pub const CERTIFICATES_SIGN: &str = "/admin/certificates/sign";
/// Make a new certificate and key for a name that has one.
pub const CERTIFICATES_RENEW: &str = "/admin/certificates/renew";
/// List certificates.
pub const CERTIFICATES_LIST: &str = "/admin/certificates/list";
/// Certificates that expire soon and were not renewed.
pub const CERTIFICATES_EXPIRING: &str = "/admin/certificates/expiring";

/// The CA certificate.
pub const CA_CERTIFICATE: &str = "/pki/ca.crt";
/// The revocation list, PEM.
pub const CRL_PEM: &str = "/pki/crl.pem";
/// The revocation list, DER.
pub const CRL_DER: &str = "/pki/crl.der";
/// Renew the certificate that the call is made with.
pub const PKI_RENEW: &str = "/pki/renew";

/// Get the certificate that a token is good for.
pub const PKI_ENROLL: &str = "/pki/enroll";

/// The OpenAPI document.
pub const OPENAPI: &str = "/openapi.json";
/// The OpenAPI document as a page.
pub const DOCS: &str = "/docs";
/// How that page looks.
pub const DOCS_STYLE: &str = "/docs/style.css";

/// Service, version and status.
pub const ROOT: &str = "/";
/// Whole health.
pub const HEALTH: &str = "/health";
/// Whether the process runs.
pub const HEALTH_LIVE: &str = "/health/live";
/// Whether the process takes requests.
pub const HEALTH_READY: &str = "/health/ready";
/// Metrics.
pub const METRICS: &str = "/metrics";

/// What every role serves.
const COMMON: [&str; 4] = [HEALTH, HEALTH_LIVE, HEALTH_READY, METRICS];

/// The proxy's routes, the busiest first.
pub const PROXY: &[&str] =
    &[MESSAGES, MESSAGES_BATCH, MESSAGES_STATUS, MESSAGE, API_HEALTH, COMMON[0], COMMON[1], COMMON[2], COMMON[3]];

/// The main server's routes, the busiest first.
pub const SERVER: &[&str] = &[
    REGISTER,
    DELIVERIES_LEASE,
    DELIVERIES_REPORT,
    CONFIRM,
    STATUS,
    CANCEL,
    PULL,
    PULL_ACK,
    PULL_NACK,
    PULL_PROLONG,
    POLICY,
    KEY_REPORT,
    REVOCATIONS,
    SESSIONS,
    SESSIONS_OTP,
    AUTH_LOGIN,
    AUTH_REFRESH,
    AUTH_LOGOUT,
    AUTH_FORGOT_PASSWORD,
    AUTH_RESET_PASSWORD,
    PORTAL_MESSAGES,
    PORTAL_MESSAGE,
    PROFILE,
    PROFILE_PASSWORD,
    PROFILE_TWO_FACTOR,
    PROFILE_TWO_FACTOR_CONFIRM,
    PROFILE_TWO_FACTOR_DISABLE,
    PROFILE_RECOVERY_CODES,
    PROFILE_SESSIONS,
    PROFILE_SESSION,
    USERS,
    USER,
    USER_ROLE,
    USER_STATUS,
    USER_PASSWORD,
    USER_CLIENT,
    USER_EXPIRY,
    USER_SENDING,
    USER_TWO_FACTOR,
    USER_SESSIONS,
    CLIENTS,
    CLIENT,
    CLIENT_STATUS,
    CLIENT_RATE_LIMIT,
    CLIENT_ENROLL,
    DOMAINS,
    DOMAIN,
    DESTINATIONS,
    DESTINATION,
    DESTINATION_STATE,
    DESTINATION_SECRET,
    DESTINATION_TEST,
    DESTINATION_REPLAY,
    DEAD_LETTERS,
    DEAD_LETTERS_REDRIVE,
    DEAD_LETTERS_PURGE,
    MESSAGE_RETRY,
    MESSAGE_CANCEL,
    MESSAGE_EXPUNGE,
    AUDIT,
    AUDIT_VERIFY,
    NOTICES,
    NOTICE_RESOLVE,
    PROXIES_STATUS,
    STATS,
    NEW_EPOCH,
    KEYS,
    KEYS_PREPARE,
    KEYS_ROTATE,
    KEYS_REWRAP,
    KEY,
    KEY_PROXY,
    BACKUPS,
    BACKUPS_VERIFY,
    BACKUPS_JOB,
    CERTIFICATES_GENERATE,
    CERTIFICATES_REVOKE,
    CERTIFICATES_SIGN,
    CERTIFICATES_RENEW,
    CERTIFICATES_LIST,
    CERTIFICATES_EXPIRING,
    CA_CERTIFICATE,
    CRL_PEM,
    CRL_DER,
    PKI_RENEW,
    PKI_ENROLL,
    OPENAPI,
    DOCS,
    DOCS_STYLE,
    ROOT,
    COMMON[0],
    COMMON[1],
    COMMON[2],
    COMMON[3],
];

/// The worker's routes.
pub const WORKER: &[&str] = &COMMON;

/// Whether `path` is one of `route`'s: equal segment by segment, where `{name}` stands for any one segment and a last
/// `{*name}` for any rest.
pub fn matches(route: &str, path: &str) -> bool {
    if !route.contains('{') {
        return route == path;
    }
    let mut actual = path.split('/');
    for expected in route.split('/') {
        if expected.starts_with("{*") {
            return actual.next().is_some_and(|rest| !rest.is_empty());
        }
        match actual.next() {
            Some(segment) if expected == segment || (expected.starts_with('{') && !segment.is_empty()) => {}
            _ => return false,
        }
    }
    actual.next().is_none()
}

/// The path of `route` with `id` for its placeholder. Ids, names and session ids need no escaping.
pub fn with_id(route: &str, id: &impl fmt::Display) -> String {
    match (route.find('{'), route.find('}')) {
        (Some(open), Some(close)) => format!("{}{id}{}", &route[..open], &route[close + 1..]),
        _ => route.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn placeholders_stand_for_exactly_one_segment() {
        assert!(matches(MESSAGES, "/api/v1/messages"));
        assert!(!matches(MESSAGES, "/api/v1/messages/"));
        assert!(matches(MESSAGE, "/api/v1/messages/018f"));
        assert!(!matches(MESSAGE, "/api/v1/messages/"));
        assert!(!matches(MESSAGE, "/api/v1/messages/018f/more"));
        assert!(matches("/static/{*file}", "/static/css/site.css"));
        assert!(!matches("/static/{*file}", "/static/"));
    }

    #[test]
    fn the_proxys_submit_routes_are_found_before_their_lookalike() {
        let first = |path| PROXY.iter().find(|route| matches(route, path)).copied();
        assert_eq!(first("/api/v1/messages/batch"), Some(MESSAGES_BATCH));
        assert_eq!(first("/api/v1/messages/status"), Some(MESSAGES_STATUS));
        assert_eq!(first("/api/v1/messages/x"), Some(MESSAGE));
    }

    #[test]
    fn every_route_of_the_main_server_is_found_by_a_path_of_its_own() {
        assert_eq!(SERVER.iter().collect::<BTreeSet<_>>().len(), SERVER.len());
        for route in SERVER {
            let path = with_id(route, &"x-1");
            assert!(!path.contains('{'), "{path}");
            let first = SERVER.iter().find(|other| matches(other, &path));
            assert_eq!(first, Some(route), "{path}");
        }
        assert_eq!(with_id(USER_ROLE, &7), "/admin/users/7/role");
    }
}
