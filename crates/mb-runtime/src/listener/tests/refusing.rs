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
