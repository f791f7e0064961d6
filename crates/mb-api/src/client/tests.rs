//! The client against a router in the process.

use std::sync::Arc;

use axum::extract::Query;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use mb_core::{Identity, Role, Timestamp};

use super::*;
use crate::dto::{Epoch, RegisterResult, tests::policy};
use crate::peer::Peer;
use crate::problem::{ApiError, ProblemCode};

fn peer() -> Peer {
    Peer::in_process(Arc::new(Identity {
        name: "worker".into(),
        role: Role::Worker,
        domain: None,
        issuer: [0; 16],
        serial: vec![1],
        fingerprint: String::new(),
        not_before: Timestamp::from_micros(0),
        not_after: Timestamp::from_micros(1),
    }))
}

fn client(router: Router) -> Client {
    Client::new(Transport::in_process(router, peer()))
}

#[tokio::test]
async fn a_batch_arrives_as_it_was_sent_and_the_peer_is_the_callers() {
    async fn register(peer: Peer, id: RequestId, headers: http::HeaderMap, body: Bytes) -> Json<RegisterAnswer> {
        assert_eq!(peer.identity.expect("inserted by the transport").name, "worker");
        assert_eq!(headers[CONTENT_TYPE], handover::MEDIA_TYPE);
        assert_eq!(headers[request_id::HEADER], "trace-1");
        assert!(!id.as_str().is_empty());
        assert_eq!(&body[..], b"bytes");
        Json(RegisterAnswer { epoch: Epoch::from_bytes([1; 16]), results: vec![RegisterResult::Stored] })
    }
    let client = client(Router::new().route(paths::REGISTER, post(register)));
    let id = RequestId::from_header(&HeaderValue::from_static("trace-1"));
    let answer = client.register(Bytes::from_static(b"bytes"), id.as_ref()).await.expect("answered");
    assert_eq!(answer.results, [RegisterResult::Stored]);
}

#[tokio::test]
async fn the_policy_comes_or_does_not() {
    let route = |Query(query): Query<PolicyQuery>| async move {
        match query.since {
            Some(7) => StatusCode::NO_CONTENT.into_response(),
            _ => Json(policy(7)).into_response(),
        }
    };
    let client = client(Router::new().route(paths::POLICY, get(route)));
    assert_eq!(client.policy(None).await.expect("answered").map(|policy| policy.version), Some(7));
    assert_eq!(client.policy(Some(7)).await.expect("answered"), None);
}

#[tokio::test]
async fn a_problem_is_told_from_nonsense() {
    let refuse = || async { ApiError::new(ProblemCode::WrongRole, "no").render(&RequestId::fresh()) };
    let nonsense = || async { (StatusCode::BAD_GATEWAY, "<html>") };
    let client = client(Router::new().route(paths::CONFIRM, post(refuse)).route(paths::STATUS, post(nonsense)));
    let error = client.confirm(vec![]).await.expect_err("refused");
    assert_eq!(error.code(), Some(ProblemCode::WrongRole));
    let name = ClientName::parse("demo").expect("valid");
    let error = client.status(name, vec![], None).await.expect_err("nonsense");
    assert!(matches!(error, ClientError::BadAnswer(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline() {
    let never = || async { std::future::pending::<StatusCode>().await };
    let client = client(Router::new().route(paths::CONFIRM, post(never)));
    let error = client.confirm(vec![]).await.expect_err("nobody answers");
    assert!(matches!(error, ClientError::Timeout));
}

#[test]
fn a_query_takes_no_text_that_needs_escaping() {
    let page = |cursor: &str| PageQuery { limit: Some(5), cursor: Some(cursor.into()) };
    assert_eq!(with_query("/x", &page("a-_1")).expect("plain"), "/x?cursor=a-_1&limit=5");
    assert!(with_query("/x", &page("a&b")).is_err());
    assert_eq!(with_query("/x", &PolicyQuery { since: None }).expect("empty"), "/x");
}
