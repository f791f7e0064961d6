//! Who is revoked or suspended while a connection is open does nothing more on it, whatever is under way.

use mb_core::{ClientName, DomainName};

use super::*;

fn holder(port: &Port, name: &str) -> Issued {
    let domain = DomainName::default();
    let request = IssueRequest {
        name,
        role: Role::Client,
        domain: Some(&domain),
        sans: &[],
        validity: Duration::from_hours(1),
        now: Clock::System.now(),
    };
    port.ca.issue(&request).expect("issued")
}

fn suspended(name: &str) -> Arc<Policy> {
    let mut policy = Arc::unwrap_or_clone(policy(BTreeSet::new()));
    policy.suspended.insert(ClientName::parse(name).expect("a name"));
    Arc::new(policy)
}

fn revoked(own: &Issued) -> Arc<Policy> {
    let Identity { issuer, serial, .. } = own.identity.clone();
    policy(BTreeSet::from([CertificateRef { issuer, serial }]))
}

#[tokio::test]
async fn an_idle_connection_of_a_suspended_client_is_closed() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let (good, bad) = (holder(&port, "good"), holder(&port, "bad"));
    let (mut stays, mut ends) = (port.connect(Some(&good)).await, port.connect(Some(&bad)).await);
    for stream in [&mut stays, &mut ends] {
        ask(stream, WHO, "/1.1!").await;
    }
    port.policy.send_replace(suspended("bad"));
    assert!(closes(&mut ends).await);
    assert!(ask(&mut stays, WHO, "/1.1!").await.ends_with("good HTTP/1.1!"));
}

#[tokio::test]
async fn a_request_under_way_is_cut_within_seconds() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let own = holder(&port, "bad");
    for policy in [suspended("bad"), revoked(&own)] {
        port.policy.send_replace(super::policy(BTreeSet::new()));
        let mut hangs = port.connect(Some(&own)).await;
        ask(&mut hangs, WHO, "/1.1!").await;
        hangs.write_all(b"GET /hang HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
        let begun = std::time::Instant::now();
        port.policy.send_replace(policy);
        assert!(closes(&mut hangs).await, "nobody answers, and it is cut");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_body_that_is_held_back_until_its_sender_is_shut_out_is_refused() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let own = holder(&port, "bad");
    for (policy, code) in [(suspended("bad"), "client_suspended"), (revoked(&own), "certificate_revoked")] {
        port.policy.send_replace(super::policy(BTreeSet::new()));
        let mut slow = port.connect(Some(&own)).await;
        let head = "POST /small HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
        // The answer says that the handler waits for the body.
        ask(&mut slow, head, "100 Continue").await;
        port.policy.send_replace(policy);
        let answer = ask(&mut slow, "123456789", "}").await;
        assert!(answer.contains("HTTP/1.1 403") && answer.contains(code), "{answer}");
        assert!(closes(&mut slow).await);
    }
}
