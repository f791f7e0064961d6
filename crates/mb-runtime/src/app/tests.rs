//! What every answer has, whatever the handler does.

use axum::extract::Path;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body_util::BodyExt;
use mb_api::problem::{self, Problem};
use mb_api::{Client, ClientError, client::Transport, paths};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::*;

const ROUTES: &[&str] = &["/echo", "/boom", "/fail", "/number/{n}", paths::HEALTH, paths::REGISTER, paths::CONFIRM];

fn app(router: Router) -> (App, Metrics) {
    let mut metrics = Metrics::new();
    let config = AppConfig { in_flight: 1, ..AppConfig::new(Role::Proxy, ROUTES) };
    (App::new(config, router, &mut metrics), metrics)
}

fn router() -> Router {
    Router::new()
        .route("/echo", post(|id: RequestId| async move { id.to_string() }))
        .route("/boom", get(|| async { panic!("on purpose") as &'static str }))
        .route("/fail", get(|| async { Err::<(), _>(ApiError::internal("the private cause")) }))
        .route("/number/{n}", get(|Path(n): Path<u8>| async move { n.to_string() }))
}

async fn send(app: &App, request: http::request::Builder) -> (http::response::Parts, Bytes) {
    let request = request.body(Body::empty()).expect("a request");
    let (parts, body) = app.clone().oneshot(request).await.expect("infallible").into_parts();
    (parts, body.collect().await.expect("a body").to_bytes())
}

async fn fails(app: &App, request: http::request::Builder) -> (http::response::Parts, Problem) {
    let (parts, body) = send(app, request).await;
    assert_eq!(parts.headers[header::CONTENT_TYPE], problem::MEDIA_TYPE);
    let problem: Problem = serde_json::from_slice(&body).expect("a problem");
    assert_eq!(problem.status, parts.status.as_u16());
    assert_eq!(problem.request_id.as_deref().map(str::as_bytes), Some(parts.headers[request_id::HEADER].as_bytes()));
    assert_eq!(parts.headers.get_all(request_id::HEADER).iter().count(), 1);
    (parts, problem)
}

#[tokio::test]
async fn a_good_request_id_is_kept_and_a_bad_one_replaced() {
    let (app, _) = app(router());
    let (parts, body) = send(&app, Request::post("/echo").header("x-request-id", "trace-7")).await;
    assert_eq!((&parts.headers["x-request-id"], &body[..]), (&"trace-7".parse().expect("a value"), &b"trace-7"[..]));
    let (parts, body) = send(&app, Request::post("/echo").header("x-request-id", "a b")).await;
    assert_ne!(parts.headers["x-request-id"], "a b");
    assert_eq!(parts.headers["x-request-id"].as_bytes(), &body[..]);
}

#[tokio::test]
async fn nobody_keeps_out_who_is_to_end_it() {
    let (wait, hang) = (|| std::future::pending::<&'static str>(), |_: Body| std::future::pending::<&'static str>());
    let router = Router::new()
        .route("/wait", get(wait))
        .route("/sign-in", post(hang))
        .route("/other", post(hang))
        .route("/admin/revoke", post(async || "revoked"));
    let sharing = Sharing { waiting: &["/wait"], kept: &["/admin/"], open: &["/sign-in"] };
    let known = &["/wait", "/sign-in", "/other", "/admin/revoke"];
    let config = AppConfig { in_flight: 8, sharing, ..AppConfig::new(Role::Server, known) };
    let app = App::new(config, router, &mut Metrics::new());
    let begin = |method: Method, path: &'static str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        Box::pin(app.clone().oneshot(request))
    };
    // Those that are in work after one look; the others are refused at once.
    let hang = async |method: &Method, path: &'static str, times: usize| {
        let mut open = Vec::new();
        for _ in 0..times {
            let mut answer = begin(method.clone(), path);
            if poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await.is_pending() {
                open.push(answer);
            }
        }
        open
    };
    let signing_in = hang(&Method::POST, "/sign-in", 9).await;
    let waiting = hang(&Method::GET, "/wait", 99).await;
    let others = hang(&Method::POST, "/other", 9).await;
    assert_eq!([signing_in.len(), waiting.len(), others.len()], [2, 24, 4], "of 8 turns, 2 are kept");
    let status = begin(Method::POST, "/admin/revoke").await.expect("infallible").status();
    assert_eq!(status, StatusCode::OK);
    drop((signing_in, waiting, others));
    assert_eq!(hang(&Method::POST, "/other", 9).await.len(), 6, "all turns are given back");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let (app, _) = app(router());
    assert_eq!(fails(&app, Request::get("/nowhere")).await.1.code, ProblemCode::NotFound);
    let (parts, problem) = fails(&app, Request::delete("/echo")).await;
    assert_eq!(problem.code, ProblemCode::MethodNotAllowed);
    assert_eq!(parts.headers[header::ALLOW], "POST");
}

#[tokio::test]
async fn panics_faults_and_the_frameworks_refusals_are_problems() {
    let (app, _) = app(router());
    assert_eq!(fails(&app, Request::get("/boom")).await.1.code, ProblemCode::Internal);
    let (_, problem) = fails(&app, Request::get("/fail")).await;
    assert!(!problem.detail.contains("private"));
    assert_eq!(fails(&app, Request::get("/number/x")).await.1.code, ProblemCode::MalformedRequest);
    let (parts, body) = send(&app, Request::get("/number/7")).await;
    assert_eq!((parts.status, &body[..]), (StatusCode::OK, &b"7"[..]));
    assert_eq!(parts.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[tokio::test]
async fn over_the_bound_requests_are_shed_but_health_is_not() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let handler = move || async move {
        let _ = held.acquire().await;
        "done"
    };
    let (app, metrics) = app(router().route("/hold", get(handler)).route(paths::HEALTH, get(|| async { "fine" })));
    let first = app.clone().oneshot(Request::get("/hold").body(Body::empty()).expect("a request"));
    let mut first = pin!(first);
    assert!(std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending())).await);
    let (parts, problem) = fails(&app, Request::get("/number/1")).await;
    assert_eq!(problem.code, ProblemCode::Overloaded);
    assert_eq!(parts.headers[header::RETRY_AFTER], "1");
    assert_eq!(send(&app, Request::get(paths::HEALTH)).await.0.status, StatusCode::OK);
    gate.add_permits(1);
    assert_eq!(first.await.expect("infallible").status(), StatusCode::OK);
    assert_eq!(send(&app, Request::get("/number/1")).await.0.status, StatusCode::OK);

    let text = Metrics::encode(&[metrics]);
    for line in [
        r#"mb_proxy_requests_total{route="/number/{n}",class="5xx"} 1"#,
        r#"mb_proxy_requests_total{route="/number/{n}",class="2xx"} 1"#,
        r#"mb_proxy_requests_total{route="other",class="2xx"} 1"#,
        r#"mb_proxy_request_seconds_count{route="/health"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_gives_its_turn_back() {
    let (app, _) = app(router().route("/hang", get(std::future::pending::<&'static str>)));
    let request = Request::get("/hang").body(Body::empty()).expect("a request");
    let hung = tokio::time::timeout(std::time::Duration::ZERO, app.clone().oneshot(request));
    assert!(hung.await.is_err());
    assert_eq!(send(&app, Request::get("/number/1")).await.0.status, StatusCode::OK);
}

#[tokio::test]
async fn an_in_process_client_sees_problems_with_their_id() {
    let refuse = || async { ApiError::new(ProblemCode::WrongRole, "not you") };
    let (app, _) = app(Router::new().route(paths::CONFIRM, post(refuse)));
    let client = Client::new(Transport::in_process(app, mb_api::Peer::default()));
    let ClientError::Problem(problem) = client.confirm(vec![]).await.expect_err("refused") else {
        panic!("a problem was expected");
    };
    assert_eq!(problem.code, ProblemCode::WrongRole);
    assert!(problem.request_id.is_some());
}

#[tokio::test]
async fn the_direct_route_goes_past_the_router_which_keeps_other_methods_and_paths() {
    let routed = || async { "routed" };
    let (app, metrics) = app(Router::new().route("/echo", post(routed).get(routed)).route("/fail", post(routed)));
    let app = app.direct(Method::POST, "/echo", |request| async move {
        let id = request.extensions().get::<RequestId>().map(ToString::to_string);
        Response::new(Body::from(format!("direct {}", id.unwrap_or_default())))
    });
    let (parts, body) = send(&app, Request::post("/echo?x=1").header("x-request-id", "trace-7")).await;
    assert_eq!(&body[..], b"direct trace-7");
    assert_eq!(parts.headers["x-request-id"], "trace-7");
    for other in [Request::get("/echo"), Request::post("/fail")] {
        assert_eq!(&send(&app, other).await.1[..], b"routed");
    }
    assert_eq!(fails(&app, Request::delete("/echo")).await.1.code, ProblemCode::MethodNotAllowed);
    let text = Metrics::encode(&[metrics]);
    assert!(text.contains(r#"mb_proxy_requests_total{route="/echo",class="2xx"} 2"#), "{text}");
}

#[tokio::test]
async fn a_panic_of_the_direct_route_is_a_problem_and_gives_its_turn_back() {
    let (app, _) = app(router());
    let app = app.direct(Method::POST, "/echo", |_| async { panic!("on purpose") });
    for _ in 0..2 {
        let (parts, problem) = fails(&app, Request::post("/echo")).await;
        assert_eq!((parts.status, problem.code), (StatusCode::INTERNAL_SERVER_ERROR, ProblemCode::Internal));
    }
    assert_eq!(send(&app, Request::get("/number/1")).await.0.status, StatusCode::OK);
}

#[tokio::test]
async fn who_asks_for_a_page_gets_errors_as_pages() {
    let (app, _) = app(router());
    let app = app.error_pages(|error, id, _| {
        (error.code().status(), format!("page of {id}: {}", error.detail())).into_response()
    });
    for path in ["/nowhere", "/boom"] {
        let (parts, body) =
            send(&app, Request::get(path).header("accept", "text/html,*/*;q=0.8").header("x-request-id", "p-1")).await;
        assert!(parts.status.is_client_error() || parts.status.is_server_error());
        assert!(String::from_utf8_lossy(&body).starts_with("page of p-1: "), "{path}");
        assert_eq!(parts.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        fails(&app, Request::get(path).header("accept", "application/json")).await;
    }
}
