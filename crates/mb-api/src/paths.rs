//! Every route's path, once. Handlers mount them, the client calls them, and the lists per role are the closed set of
//! values of the metric label `route`.

mod matching;

pub use matching::{matches, with_id};

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
/// The newest messages, as they come.
pub const PORTAL_MESSAGES_STREAM: &str = "/portal/messages/stream";
/// How things are, in figures.
pub const PORTAL_OVERVIEW: &str = "/portal/overview";
/// Show one's own account.
pub const PROFILE: &str = "/portal/profile";
/// Change one's own password.
pub const PROFILE_PASSWORD: &str = "/portal/profile/password";
/// Say in which time zone one reads times.
pub const PROFILE_TIME_ZONE: &str = "/portal/profile/time-zone";
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
/// All messages that match, as a file.
pub const MESSAGES_EXPORT: &str = "/admin/messages/export";
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
/// List the workers.
pub const WORKERS_STATUS: &str = "/admin/workers/status";
/// What is on its way.
pub const QUEUE: &str = "/admin/queue";
/// The database behind the store.
pub const DATABASE: &str = "/admin/database";

/// For how long things are kept.
pub const RETENTION: &str = "/admin/retention";
/// Removing what was kept for long enough.
pub const RETENTION_RUN: &str = "/admin/retention/run";

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

/// List the settings in effect.
pub const SETTINGS: &str = "/admin/settings";
/// Examine the main server's machine.
pub const DOCTOR: &str = "/admin/doctor";

/// Read a backup's file.
pub const BACKUPS_FILE: &str = "/admin/backups/file";
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
    PORTAL_MESSAGES_STREAM,
    PORTAL_MESSAGE,
    PORTAL_OVERVIEW,
    PROFILE,
    PROFILE_PASSWORD,
    PROFILE_TIME_ZONE,
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
    MESSAGES_EXPORT,
    MESSAGE_RETRY,
    MESSAGE_CANCEL,
    MESSAGE_EXPUNGE,
    AUDIT,
    AUDIT_VERIFY,
    NOTICES,
    NOTICE_RESOLVE,
    PROXIES_STATUS,
    WORKERS_STATUS,
    QUEUE,
    DATABASE,
    RETENTION,
    RETENTION_RUN,
    STATS,
    NEW_EPOCH,
    KEYS,
    KEYS_PREPARE,
    KEYS_ROTATE,
    KEYS_REWRAP,
    KEY,
    KEY_PROXY,
    SETTINGS,
    DOCTOR,
    BACKUPS,
    BACKUPS_VERIFY,
    BACKUPS_FILE,
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
