//! Deliveries over TLS: whom a destination's certificate must come from, and what is shown to it.

use mb_crypto::ca::{Ca, IssueRequest, Issued};
use mb_crypto::webhook::WebhookSecret;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::hostile::{LOCAL, Manner, behave, deliver, delivery, target};
use super::*;
use mb_api::dto::SecretText;
use mb_core::{AttemptClass, Role, Timestamp};
use std::net::SocketAddr;
use tokio::net::TcpListener;

fn ca() -> Ca {
    Ca::create("their CA", Clock::System.now().minus(Duration::from_hours(24 * 30))).expect("a CA")
}

fn issue(ca: &Ca, role: Role, now: Timestamp) -> Issued {
    let validity = Duration::from_hours(24);
    ca.issue(&IssueRequest { name: "somebody", role, domain: None, sans: &[], validity, now }).expect("issues")
}

fn valid(ca: &Ca, role: Role) -> Issued {
    issue(ca, role, Clock::System.now())
}

/// What a receiver's listener is: its certificate, and whose clients it wants to see.
fn listener(issued: &Issued, clients: Option<&Ca>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.certificate_der().to_vec().into()).expect("a CA");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let chain = mb_crypto::pem::certificates(&issued.certificate_pem).expect("a certificate");
    let key = mb_crypto::pem::private_key(issued.private_key_pem.expose()).expect("a key").clone_key();
    Arc::new(builder.with_single_cert(chain, key).expect("they belong together"))
}

/// A receiver that takes everything, at a loopback address and a port of its own; counts the requests that it read.
async fn receiver(host: &str, config: Arc<ServerConfig>) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind((host, 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let seen = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&seen);
    let lifecycle = Lifecycle::new();
    lifecycle.clone().spawn("receiver", Criticality::Ordinary, async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&counted));
            lifecycle.spawn("connection", Criticality::Ordinary, async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let taken = Manner::Says("HTTP/1.1 204 No Content\r\n\r\n");
                    // The end of the connection is the sender's.
                    let _ = behave(stream, taken, &counted).await;
                }
            });
        }
    });
    (address, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_must_be_who_the_url_names_under_an_authority_that_is_trusted() {
    let (theirs, other) = (ca(), ca());
    let long_ago = Clock::System.now().minus(Duration::from_hours(24 * 10));
    let good = listener(&valid(&theirs, Role::Server), None);
    let expired = listener(&issue(&theirs, Role::Server, long_ago), None);
    let pem = |ca: &Ca| Some(ca.certificate_pem().to_owned());
    let cases = [
        ("its authority", "127.0.0.1", &good, pem(&theirs), AttemptClass::Taken),
        ("none that is known", "127.0.0.1", &good, None, AttemptClass::Tls),
        ("another authority", "127.0.0.1", &good, pem(&other), AttemptClass::Tls),
        ("another name", "127.0.0.2", &good, pem(&theirs), AttemptClass::Tls),
        ("an expired certificate", "127.0.0.1", &expired, pem(&theirs), AttemptClass::Tls),
    ];
    let (mut targets, mut deliveries, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (_, host, config, ca, _)) in (0_u8..).zip(&cases) {
        let (address, seen) = receiver(host, Arc::clone(config)).await;
        let url = format!("https://{address}/x");
        targets.push(mb_api::dto::delivery::Target { ca: ca.clone(), ..target(number.into(), url) });
        deliveries.push(delivery(number.into(), number));
        counts.push(seen);
    }
    let reports = deliver(LOCAL, targets, deliveries).await;
    for ((number, (what, .., class)), seen) in (0_i64..).zip(cases).zip(counts) {
        let exchange = &reports[&number][0].exchange;
        assert_eq!(exchange.class, class, "{what}: {:?}", exchange.detail);
        let asked = u32::from(class == AttemptClass::Taken);
        assert_eq!(seen.load(Ordering::Relaxed), asked, "{what}: nothing is said to a stranger");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destinations_own_certificate_is_shown_to_a_receiver_that_wants_one() {
    let (theirs, other) = (ca(), ca());
    let config = listener(&valid(&theirs, Role::Server), Some(&theirs));
    let (right, wrong) = (valid(&theirs, Role::Client), valid(&other, Role::Client));
    let cases = [
        ("its own", Some(&right), AttemptClass::Taken),
        ("none", None, AttemptClass::Tls),
        ("another authority's", Some(&wrong), AttemptClass::Tls),
    ];
    let (mut targets, mut deliveries) = (Vec::new(), Vec::new());
    let (address, seen) = receiver("127.0.0.1", config).await;
    for (number, (_, shown, _)) in (0_u8..).zip(&cases) {
        let mut to = target(number.into(), format!("https://{address}/x"));
        to.ca = Some(theirs.certificate_pem().to_owned());
        to.client_certificate = shown.map(|issued| issued.certificate_pem.clone());
        to.client_key = shown.map(|issued| SecretText::new(issued.private_key_pem.expose().clone()));
        targets.push(to);
        deliveries.push(delivery(number.into(), number));
    }
    // A certificate without its key is no certificate.
    let mut keyless = target(9, format!("https://{address}/x"));
    keyless.client_certificate = Some(right.certificate_pem.clone());
    targets.push(keyless);
    deliveries.push(delivery(9, 9));
    let reports = deliver(LOCAL, targets, deliveries).await;
    for (number, (what, _, class)) in (0_i64..).zip(cases) {
        let exchange = &reports[&number][0].exchange;
        assert_eq!(exchange.class, class, "{what}: {:?}", exchange.detail);
    }
    assert_eq!(reports[&9][0].exchange.class, AttemptClass::Unsendable);
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_secrets_sign_while_they_overlap() {
    let (old, new) = (WebhookSecret::generate(), WebhookSecret::generate());
    let of = |secrets: &[&WebhookSecret]| {
        let secrets = secrets.iter().map(|secret| SecretText::new(secret.text().expose().clone())).collect();
        mb_api::dto::delivery::Target { secrets, ..target(1, "https://127.0.0.1/".into()) }
    };
    let roots = Arc::new(RootCertStore::empty());
    let at = Clock::System.now();
    let signature = |secrets: &[&WebhookSecret]| {
        let aim = crate::deliver::Aim::new(&of(secrets), &roots);
        aim.place.expect("a place").signature("id", at, b"{}")
    };
    let [first, second] = [&new, &old].map(|secret| secret.sign("id", at, b"{}"));
    assert_eq!(signature(&[&new, &old]), format!("{first} {second}"), "the newest first");
    assert_eq!(signature(&[&new]), first);
}
