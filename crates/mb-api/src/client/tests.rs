//! The client against a router in the process.

use std::sync::Arc;

use axum::extract::Query;
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use mb_core::{ClientStatus, Identity, MessageState, Role, Timestamp};

use super::*;
use crate::dto::delivery::LeasedDeliveries;
use crate::dto::{
    Epoch, MessageQuery, MessageRow, NewSession, OtpNeeded, RegisterResult, SecretText, SetClientStatus, tests::policy,
};
use crate::page::Page;
use crate::peer::Peer;
use crate::problem::{ApiError, ProblemCode, Unrendered};

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
        Json(RegisterAnswer {
            epoch: Epoch::from_bytes([1; 16]),
            results: vec![RegisterResult::Stored],
            leased: LeasedDeliveries::default(),
        })
    }
    let client = client(Router::new().route(paths::REGISTER, post(register)));
    let id = RequestId::from_header(&HeaderValue::from_static("trace-1"));
    let answer =
        client.register(Bytes::from_static(b"bytes"), &RegisterQuery::default(), id.as_ref()).await.expect("answered");
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
    assert_eq!(client.policy(PolicyQuery::default()).await.expect("answered").map(|policy| policy.version), Some(7));
    assert_eq!(client.policy(PolicyQuery::of(Some(&policy(7)))).await.expect("answered"), None);
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

#[tokio::test]
async fn credentials_and_the_requests_id_go_with_every_call_of_a_client_that_has_them() {
    async fn profile(headers: http::HeaderMap) -> ApiError {
        let text = |name: &str| headers.get(name).map_or("none", |value| value.to_str().expect("text")).to_owned();
        ApiError::new(ProblemCode::Forbidden, format!("{} {}", text("authorization"), text("x-request-id")))
    }
    let render = |route: axum::routing::MethodRouter| {
        let render = |response: axum::response::Response| async move {
            let Unrendered(error) = response.extensions().get::<Unrendered>().expect("an error").clone();
            error.render(&RequestId::fresh())
        };
        Router::new().route(paths::PROFILE, route.layer(axum::middleware::map_response(render)))
    };
    let plain = client(render(get(profile)));
    let seen = async |client: &Client| match client.profile().await {
        Err(ClientError::Problem(problem)) => problem.detail.into_owned(),
        other => panic!("{other:?}"),
    };
    let token = |text: &str| Credentials::Session(SecretText::new(text.into()));
    let id = RequestId::from_header(&HeaderValue::from_static("trace-1")).expect("an id");
    assert_eq!(seen(&plain).await, "none none");
    assert_eq!(seen(&plain.with_credentials(token("abc")).with_request_id(id)).await, "Session abc trace-1");
    let error = plain.with_credentials(token("a b")).profile().await.expect_err("no token");
    assert!(matches!(error, ClientError::BadRequest(_)), "{error}");
}

#[tokio::test]
async fn filters_arrive_as_they_were_meant() {
    async fn list(crate::query::Query(query): crate::query::Query<MessageQuery>) -> Json<Page<MessageRow>> {
        assert_eq!(query.sender.expect("given").secret().expose(), "+4915112345678");
        assert_eq!(query.from.expect("given").micros(), 1);
        assert_eq!((query.status, query.limit), (Some(MessageState::Failed), Some(5)));
        assert_eq!(query.cursor.as_deref(), Some("a&b=c d%"));
        Json(Page { data: Vec::new(), next: None })
    }
    let client = client(Router::new().route(paths::PORTAL_MESSAGES, get(list)));
    let query = MessageQuery {
        sender: Some(SecretText::new("+4915112345678".into())),
        from: Some(Timestamp::from_micros(1)),
        status: Some(MessageState::Failed),
        limit: Some(5),
        cursor: Some("a&b=c d%".into()),
        ..MessageQuery::default()
    };
    assert_eq!(client.messages(&query).await.expect("answered").data.len(), 0);
    assert_eq!(with_query("/x", &PolicyQuery::default()).expect("empty"), "/x");
}

#[tokio::test]
async fn a_sign_in_that_lacks_its_second_factor_is_told_from_one_that_is_done() {
    let needed = || async {
        let body = OtpNeeded { otp_token: SecretText::new("half".into()), expires_in: 300 };
        (StatusCode::ACCEPTED, Json(body))
    };
    let client = client(Router::new().route(paths::SESSIONS, post(needed)));
    let ask = NewSession {
        email: "ann@example.org".into(),
        password: SecretText::new("Passw0rd".into()),
        otp: None,
        peer_address: std::net::Ipv4Addr::LOCALHOST.into(),
        user_agent: String::new(),
    };
    let answer = client.open_session(&ask).await.expect("answered");
    assert!(matches!(answer, SignIn::OtpNeeded(needed) if needed.otp_token.secret().expose() == "half"));
}

#[tokio::test]
async fn what_changes_something_needs_no_body_in_its_answer() {
    let name = ClientName::parse("demo").expect("valid");
    let suspend = |Json(ask): Json<SetClientStatus>| async move {
        assert_eq!(ask.status, ClientStatus::Suspended);
        StatusCode::NO_CONTENT
    };
    let router = Router::new().route("/admin/clients/demo/status", put(suspend));
    let ask = SetClientStatus { status: ClientStatus::Suspended };
    client(router).set_client_status(&name, &ask).await.expect("done");
}
