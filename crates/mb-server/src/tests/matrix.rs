//! Role x route: every route of the main server, asked by everybody there is.
//!
//! A row says who is let in; whoever is not named is refused. What comes of being let in - a body that is missing, a thing
//! that is not there - is not looked at here. A route or a method without a row fails.

use std::collections::BTreeSet;

use http::Method;
use mb_api::paths;
use mb_core::{Role, UserRole};

use super::asking::Asking;
use super::fixture::Fixture;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Who {
    /// Nobody known.
    Anonymous,
    /// Whoever has a certificate of this role.
    Holder(Role),
    /// A user, bound to a client.
    User,
    /// A user, bound to a client of another domain.
    Stranger,
    /// Who minds users.
    Manager,
    /// An admin with a token.
    Admin,
}

/// Everybody.
fn everybody() -> Vec<Who> {
    let holders = Role::ALL.into_iter().map(Who::Holder);
    holders.chain([Who::Anonymous, Who::User, Who::Stranger, Who::Manager, Who::Admin]).collect()
}

/// Who is let in.
enum Lets {
    /// Everybody.
    All,
    /// Certificates of these roles, and nobody with a token.
    Roles(&'static [Role]),
    /// Admins by token or certificate.
    Admins,
    /// These too.
    AdminsAnd(&'static [Who]),
    /// Whoever is signed in; no certificate.
    SignedIn,
}

impl Lets {
    fn includes(&self, who: Who) -> bool {
        let admin = matches!(who, Who::Admin | Who::Holder(Role::Admin));
        match self {
            Self::All => true,
            Self::Roles(roles) => matches!(who, Who::Holder(role) if roles.contains(&role)),
            Self::Admins => admin,
            Self::AdminsAnd(others) => admin || others.contains(&who),
            Self::SignedIn => matches!(who, Who::User | Who::Stranger | Who::Manager | Who::Admin),
        }
    }
}

const G: Method = Method::GET;
const P: Method = Method::POST;
const U: Method = Method::PUT;
const D: Method = Method::DELETE;

const USERS_SEEN: Lets = Lets::AdminsAnd(&[Who::Manager]);
const OWN_MESSAGES: Lets = Lets::AdminsAnd(&[Who::User, Who::Stranger]);

fn table() -> Vec<(Method, &'static str, Lets)> {
    let mut rows = vec![
        (P, paths::REGISTER, Lets::Roles(&[Role::Worker])),
        (P, paths::DELIVERIES_LEASE, Lets::Roles(&[Role::Worker])),
        (P, paths::DELIVERIES_REPORT, Lets::Roles(&[Role::Worker])),
        (P, paths::CANCEL, Lets::Roles(&[Role::Proxy])),
        (P, paths::PULL, Lets::Roles(&[Role::Consumer])),
        (P, paths::PULL_ACK, Lets::Roles(&[Role::Consumer])),
        (P, paths::PULL_NACK, Lets::Roles(&[Role::Consumer])),
        (P, paths::PULL_PROLONG, Lets::Roles(&[Role::Consumer])),
        (P, paths::CONFIRM, Lets::Roles(&[Role::Proxy])),
        (P, paths::STATUS, Lets::Roles(&[Role::Proxy])),
        (G, paths::POLICY, Lets::Roles(&[Role::Proxy, Role::Worker, Role::Portal])),
        (P, paths::REVOCATIONS, Lets::Roles(&[Role::Proxy])),
        (P, paths::KEY_REPORT, Lets::Roles(&[Role::Proxy])),
        (P, paths::SESSIONS, Lets::Roles(&[Role::Portal])),
        (P, paths::SESSIONS_OTP, Lets::Roles(&[Role::Portal])),
        // A portal needs a session as well, which none here has.
        (G, paths::SESSIONS, Lets::Roles(&[])),
        (D, paths::SESSIONS, Lets::Roles(&[])),
        (G, paths::PORTAL_MESSAGES, OWN_MESSAGES),
        (G, paths::PORTAL_MESSAGE, OWN_MESSAGES),
        // Whoever asks needs the right to send as well, which nobody here has.
        (P, paths::PORTAL_MESSAGES, Lets::Roles(&[])),
        (G, paths::PORTAL_MESSAGES_STREAM, OWN_MESSAGES),
        (G, paths::PORTAL_OVERVIEW, OWN_MESSAGES),
        (G, paths::MESSAGES_EXPORT, Lets::Admins),
    ];
    for path in [
        paths::AUTH_LOGIN,
        paths::AUTH_REFRESH,
        paths::AUTH_LOGOUT,
        paths::AUTH_FORGOT_PASSWORD,
        paths::AUTH_RESET_PASSWORD,
        paths::PKI_ENROLL,
    ] {
        rows.push((P, path, Lets::All));
    }
    rows.extend(own_account());
    rows.extend(administration());
    for path in [
        paths::CA_CERTIFICATE,
        paths::CRL_PEM,
        paths::CRL_DER,
        paths::OPENAPI,
        paths::DOCS,
        paths::DOCS_STYLE,
        paths::ROOT,
    ] {
        rows.push((G, path, Lets::All));
    }
    rows
}

fn own_account() -> Vec<(Method, &'static str, Lets)> {
    vec![
        (G, paths::PROFILE, Lets::SignedIn),
        (U, paths::PROFILE_PASSWORD, Lets::SignedIn),
        (U, paths::PROFILE_TIME_ZONE, Lets::SignedIn),
        (P, paths::PROFILE_TWO_FACTOR, Lets::SignedIn),
        (P, paths::PROFILE_TWO_FACTOR_CONFIRM, Lets::SignedIn),
        (P, paths::PROFILE_TWO_FACTOR_DISABLE, Lets::SignedIn),
        (P, paths::PROFILE_RECOVERY_CODES, Lets::SignedIn),
        (G, paths::PROFILE_SESSIONS, Lets::SignedIn),
        (D, paths::PROFILE_SESSION, Lets::SignedIn),
    ]
}

fn administration() -> Vec<(Method, &'static str, Lets)> {
    vec![
        (G, paths::USERS, USERS_SEEN),
        (P, paths::USERS, Lets::Admins),
        (G, paths::USER, USERS_SEEN),
        (D, paths::USER, Lets::Admins),
        (U, paths::USER_ROLE, Lets::Admins),
        (U, paths::USER_STATUS, USERS_SEEN),
        (U, paths::USER_PASSWORD, USERS_SEEN),
        (U, paths::USER_CLIENT, Lets::Admins),
        (U, paths::USER_EXPIRY, Lets::Admins),
        (U, paths::USER_SENDING, Lets::Admins),
        (D, paths::USER_TWO_FACTOR, Lets::Admins),
        (G, paths::USER_SESSIONS, Lets::Admins),
        (D, paths::USER_SESSIONS, Lets::Admins),
        (G, paths::CLIENTS, Lets::Admins),
        (G, paths::CLIENT, Lets::Admins),
        (U, paths::CLIENT_STATUS, Lets::Admins),
        (U, paths::CLIENT_RATE_LIMIT, Lets::Admins),
        (G, paths::DOMAINS, Lets::Admins),
        (P, paths::DOMAINS, Lets::Admins),
        (G, paths::DOMAIN, Lets::Admins),
        (U, paths::DOMAIN, Lets::Admins),
        (G, paths::DESTINATIONS, Lets::Admins),
        (P, paths::DESTINATIONS, Lets::Admins),
        (G, paths::DESTINATION, Lets::Admins),
        (U, paths::DESTINATION, Lets::Admins),
        (D, paths::DESTINATION, Lets::Admins),
        (U, paths::DESTINATION_STATE, Lets::Admins),
        (P, paths::DESTINATION_SECRET, Lets::Admins),
        (P, paths::DESTINATION_TEST, Lets::Admins),
        (P, paths::DESTINATION_REPLAY, Lets::Admins),
        (G, paths::DEAD_LETTERS, Lets::Admins),
        (P, paths::DEAD_LETTERS_REDRIVE, Lets::Admins),
        (P, paths::DEAD_LETTERS_PURGE, Lets::Admins),
        (P, paths::MESSAGE_RETRY, Lets::Admins),
        (P, paths::MESSAGE_CANCEL, Lets::Admins),
        (P, paths::MESSAGE_EXPUNGE, Lets::Admins),
        (G, paths::AUDIT, Lets::Admins),
        (G, paths::AUDIT_VERIFY, Lets::Admins),
        (G, paths::NOTICES, Lets::Admins),
        (P, paths::NOTICE_RESOLVE, Lets::Admins),
        (G, paths::PROXIES_STATUS, Lets::Admins),
        (G, paths::WORKERS_STATUS, Lets::Admins),
        (G, paths::QUEUE, Lets::Admins),
        (G, paths::DATABASE, Lets::Admins),
        (G, paths::RETENTION, Lets::Admins),
        (U, paths::RETENTION, Lets::Admins),
        (P, paths::RETENTION_RUN, Lets::Admins),
        (G, paths::STATS, Lets::Admins),
        (G, paths::KEYS, Lets::Admins),
        (P, paths::KEYS_PREPARE, Lets::Admins),
        (P, paths::KEYS_ROTATE, Lets::Admins),
        (P, paths::KEYS_REWRAP, Lets::Admins),
        (D, paths::KEY, Lets::Admins),
        (D, paths::KEY_PROXY, Lets::Admins),
        (G, paths::SETTINGS, Lets::Admins),
        (P, paths::DOCTOR, Lets::Admins),
        (G, paths::BACKUPS, Lets::Admins),
        (P, paths::BACKUPS, Lets::Admins),
        (P, paths::BACKUPS_VERIFY, Lets::Admins),
        (G, paths::BACKUPS_JOB, Lets::Admins),
        (G, paths::BACKUPS_FILE, Lets::Admins),
        (P, paths::CERTIFICATES_GENERATE, Lets::Admins),
        (P, paths::CERTIFICATES_REVOKE, Lets::Admins),
        (P, paths::CERTIFICATES_SIGN, Lets::Admins),
        (P, paths::CERTIFICATES_RENEW, Lets::Admins),
        (P, paths::CLIENT_ENROLL, Lets::Admins),
        (G, paths::CERTIFICATES_LIST, Lets::Admins),
        (G, paths::CERTIFICATES_EXPIRING, Lets::Admins),
    ]
}

/// Routes that are asked elsewhere: the listener's own, one that a certificate of any role may ask, and those that end what
/// the others here ask with.
const ELSEWHERE: [(&str, &str); 7] = [
    ("get", paths::HEALTH),
    ("get", paths::HEALTH_LIVE),
    ("get", paths::HEALTH_READY),
    ("get", paths::METRICS),
    ("post", paths::PKI_RENEW),
    ("delete", paths::PROFILE_SESSIONS),
    ("post", paths::NEW_EPOCH),
];

async fn callers(fixture: &Fixture) -> Vec<(Who, Asking<'_>)> {
    for (name, domain) in [("demo", "default"), ("other", "eu")] {
        let name = mb_core::ClientName::parse(name).expect("a name");
        let domain = mb_core::DomainName::parse(domain).expect("a name");
        fixture.store.ensure_client(&name, &domain, "test").await.expect("there");
    }
    let mut callers = Vec::new();
    for who in everybody() {
        let asking = match who {
            Who::Anonymous => fixture.from("192.0.2.9"),
            Who::Holder(role) => fixture.certificate(role).await,
            Who::User => fixture.signed_in(UserRole::User, Some("demo")).await,
            Who::Stranger => fixture.signed_in(UserRole::User, Some("other")).await,
            Who::Manager => fixture.signed_in(UserRole::UserManager, None).await,
            Who::Admin => fixture.signed_in(UserRole::Admin, None).await,
        };
        callers.push((who, asking));
    }
    callers
}

/// Refused for who asks, not for what is asked.
const REFUSALS: [&str; 5] = ["no_identity", "wrong_role", "forbidden", "invalid_token", "token_expired"];

#[tokio::test]
async fn everybody_gets_in_where_the_table_says_and_nowhere_else() {
    let fixture = Fixture::new().await;
    let callers = callers(&fixture).await;
    let mut wrong = Vec::new();
    for (method, route, lets) in table() {
        // Nothing has this name or id, so that nothing is changed by those who are let in.
        let path = paths::with_id(route, &"999999");
        // At once, however the policy stands.
        let path = if route == paths::POLICY { format!("{path}?since=999999") } else { path };
        for (who, asking) in &callers {
            let body = (method != G).then(|| serde_json::json!({}));
            let public = matches!(lets, Lets::All);
            let answer = asking.refusal(method.clone(), &path, body).await;
            let refused = matches!(answer.0, 401 | 403) && (REFUSALS.contains(&answer.1.as_str()) && !public);
            if refused == lets.includes(*who) {
                wrong.push(format!("{method} {route} as {who:?}: {answer:?}"));
            }
            assert_ne!(answer.0, 405, "{method} {route}");
            assert!(answer.0 < 500, "{method} {route} as {who:?}: {answer:?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_route_is_without_a_row() {
    let document: serde_json::Value = serde_json::from_str(&crate::openapi_text()).expect("JSON");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("an item").keys().map(|method| (method.clone(), path.clone()));
        described.extend(methods.filter(|(_, path)| paths::SERVER.contains(&path.as_str())));
    }
    let rows = table().into_iter().map(|(method, path, _)| (method.as_str().to_lowercase(), path.to_owned()));
    let elsewhere = ELSEWHERE.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(rows.chain(elsewhere).collect::<BTreeSet<_>>(), described);
    let covered: BTreeSet<_> = described.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(covered, paths::SERVER.iter().copied().collect());
}

#[tokio::test]
async fn who_is_of_another_domain_is_let_in_and_finds_nothing() {
    let fixture = Fixture::new().await;
    let callers = callers(&fixture).await;
    assert_eq!(fixture.register(&[fixture.key.message(1)]).await, [mb_api::dto::RegisterResult::Stored]);
    let path = paths::with_id(paths::PORTAL_MESSAGE, &super::fixture::id(1));
    for (who, asking) in callers {
        let (status, found) = match who {
            Who::User | Who::Admin | Who::Holder(Role::Admin) => (200, 1),
            Who::Stranger => (404, 0),
            _ => continue,
        };
        assert_eq!(asking.get(&path).await.status, status, "{who:?}");
        assert_eq!(asking.get(paths::PORTAL_MESSAGES).await.each("message_id").len(), found, "{who:?}");
    }
}
