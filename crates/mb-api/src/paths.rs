//! Every route's path, once. Handlers mount them, the client calls them, and the lists per role are the closed set of
//! values of the metric label `route`.

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
/// Long poll for a newer policy (proxy).
pub const POLICY: &str = "/internal/policy";

/// Make a certificate.
pub const CERTIFICATES_GENERATE: &str = "/admin/certificates/generate";
/// Revoke certificates.
pub const CERTIFICATES_REVOKE: &str = "/admin/certificates/revoke";
/// List certificates.
pub const CERTIFICATES_LIST: &str = "/admin/certificates/list";

/// The CA certificate.
pub const CA_CERTIFICATE: &str = "/pki/ca.crt";

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
    CONFIRM,
    STATUS,
    POLICY,
    CERTIFICATES_GENERATE,
    CERTIFICATES_REVOKE,
    CERTIFICATES_LIST,
    CA_CERTIFICATE,
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

#[cfg(test)]
mod tests {
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
}
