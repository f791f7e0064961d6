//! A refusal reaches a client that sends its whole body before it looks at the answer, as most do.

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

async fn http2(port: &Port) -> SendRequest<Full<Bytes>> {
    let tls = client_config(None, port.ca.certificate_pem(), &[b"h2"]).expect("a configuration");
    let tcp = TcpStream::connect(port.addr).await.expect("connected");
    let name = "localhost".try_into().expect("a name");
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.expect("a handshake");
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    port.lifecycle.track(async {
        let _ = connection.await;
    });
    sender
}

fn post(path: &str, length: usize) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from(vec![b'x'; length]));
    Request::post(format!("https://localhost{path}")).body(body).expect("a request")
}

#[tokio::test]
async fn on_http_2_a_body_over_the_limit_or_not_read_gets_its_answer_and_no_reset() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let mut sender = http2(&port).await;
    for (path, length, status) in [
        ("/small", 3 << 20, StatusCode::PAYLOAD_TOO_LARGE),
        ("/refused", 3 << 20, StatusCode::FORBIDDEN),
        ("/small", 100 << 20, StatusCode::PAYLOAD_TOO_LARGE),
        ("/small", 10, StatusCode::OK),
    ] {
        sender.ready().await.expect("open");
        let answer = sender.send_request(post(path, length)).await.expect("answered");
        assert_eq!(answer.status(), status);
        answer.into_body().collect().await.expect("a whole answer");
    }
}

#[tokio::test]
async fn on_http_1_a_body_over_the_limit_is_read_and_the_connection_goes_on() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let mut stream = port.connect(None).await;
    let length = 3 << 20;
    let head = format!("POST /small HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let answer = ask(&mut stream, &(head + &"x".repeat(length)), "body_too_large").await;
    assert!(answer.starts_with("HTTP/1.1 413") && !answer.contains("connection: close"), "{answer}");
    assert!(ask(&mut stream, WHO, "/1.1!").await.ends_with("nobody HTTP/1.1!"));
}

#[tokio::test]
async fn on_http_1_who_sends_too_much_before_reading_still_gets_the_answer() {
    let port = serve(Limits::default(), PlainText::Refuse);
    for length in [10 << 20, 50 << 20] {
        let mut stream = port.connect(None).await;
        let head = format!("POST /small HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
        let answer = ask(&mut stream, &(head + &"x".repeat(length)), "body_too_large").await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_a_problem() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let large = format!("GET /who HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(100 << 10));
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(70 << 10));
    for (request, status, code) in [
        ("NO REQUEST\r\n\r\n", 400, "malformed_request"),
        ("GET /who HTTP/1.1\r\nhost : localhost\r\n\r\n", 400, "malformed_request"),
        (large.as_str(), 431, "head_too_large"),
        (long.as_str(), 431, "head_too_large"),
    ] {
        // Also as a later request of its connection.
        for first in [true, false] {
            let mut stream = port.connect(None).await;
            if !first {
                ask(&mut stream, WHO, "/1.1!").await;
            }
            let answer = ask(&mut stream, request, "\"}").await;
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && head.contains("\r\ndate: "), "{head}");
            assert!(head.contains("content-type: application/problem+json\r\n"), "{head}");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head} {body}");
            let problem: serde_json::Value = serde_json::from_str(body).expect("JSON");
            assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()));
            let id = format!("x-request-id: {}\r\n", problem["request_id"].as_str().expect("an id"));
            assert!(head.contains(&id), "{head}");
        }
    }
}
