//! Handshakes in memory: who gets in, as whom, and that no session skips the verifier.

use std::io::{Cursor, Read as _, Write as _};

use mb_core::policy::CertificateRef;
use mb_core::{Identity, Role};
use rustls::{ClientConnection, HandshakeKind, ProtocolVersion, ServerConnection};
use rustls_pki_types::ServerName;

use super::*;
use crate::ca::{Ca, IssueRequest, Issued, RevocationReason, Revoked};
use crate::{fixture, identity};

fn server(ca: &Ca, certificate: &Issued) -> Arc<ServerConfig> {
    let config =
        server_config(&certificate.certificate_pem, certificate.private_key_pem.expose(), ca.certificate_pem());
    Arc::new(config.expect("a configuration"))
}

fn client(ca: &Ca, certificate: Option<&Issued>) -> ClientConfig {
    let identity =
        certificate.map(|issued| (issued.certificate_pem.as_str(), issued.private_key_pem.expose().as_str()));
    client_config(identity, ca.certificate_pem(), &[b"h2"]).expect("a configuration")
}

#[test]
fn only_the_main_servers_certificate_is_taken_for_the_main_servers() {
    let ca = fixture::ca();
    let config = Arc::new(
        main_server_client_config(None, ca.certificate_pem(), &RevokedSet::default()).expect("a configuration"),
    );
    for role in [Role::Server, Role::Proxy, Role::Worker, Role::Portal] {
        let shown = server(&ca, &fixture::issue(&ca, role.as_str(), role));
        assert_eq!(connect(&shown, &config).is_ok(), role == Role::Server, "{role}");
        assert!(connect(&shown, &Arc::new(client(&ca, None))).is_ok(), "{role} serves");
    }
    let other = fixture::ca();
    let shown = server(&other, &fixture::issue(&other, "server", Role::Server));
    assert!(connect(&shown, &config).is_err(), "of another authority");
}

#[test]
fn a_main_servers_certificate_that_was_revoked_is_nobodys() {
    let ca = fixture::ca();
    let (old, new) = (fixture::issue(&ca, "server", Role::Server), fixture::issue(&ca, "server", Role::Server));
    let revoked = RevokedSet::default();
    let config = Arc::new(main_server_client_config(None, ca.certificate_pem(), &revoked).expect("a configuration"));
    assert!(connect(&server(&ca, &old), &config).is_ok());
    let certificate = CertificateRef { issuer: old.identity.issuer, serial: old.identity.serial.clone() };
    assert!(revoked.replace([certificate.clone()].into()) && !revoked.replace([certificate].into()));
    assert!(connect(&server(&ca, &old), &config).is_err(), "the same configuration");
    assert!(connect(&server(&ca, &new), &config).is_ok());
    let now = mb_core::Clock::System.now();
    let entry = Revoked { serial: old.identity.serial.clone(), at: now, reason: RevocationReason::default() };
    let list = ca.crl(&[entry], 1, now).expect("signed");
    let listed = RevokedSet::from_lists(&list, ca.certificate_pem()).expect("read");
    let config = Arc::new(main_server_client_config(None, ca.certificate_pem(), &listed).expect("a configuration"));
    assert!(connect(&server(&ca, &old), &config).is_err() && connect(&server(&ca, &new), &config).is_ok());
}

#[test]
fn a_proxy_is_not_whoever_else_serves() {
    let ca = fixture::ca();
    let config = Arc::new(proxy_client_config(None, ca.certificate_pem(), &[b"h2"]).expect("a configuration"));
    for role in [Role::Server, Role::Proxy, Role::Worker, Role::Portal] {
        let shown = server(&ca, &fixture::issue(&ca, role.as_str(), role));
        assert_eq!(connect(&shown, &config).is_ok(), role == Role::Proxy, "{role}");
    }
}

/// Both ends of a connection, after the handshake and one byte each way.
#[derive(Debug)]
struct Connected {
    client: ClientConnection,
    server: ServerConnection,
}

impl Connected {
    fn identity(&self) -> Option<Identity> {
        let chain = self.server.peer_certificates()?;
        Some(identity::from_der(chain.first()?).expect("one of ours"))
    }
}

fn connect(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Result<Connected, rustls::Error> {
    connect_to("localhost", server, client)
}

fn connect_to(name: &str, server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Result<Connected, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(client.clone(), name)?;
    let mut server = ServerConnection::new(server.clone())?;
    for round in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("memory");
        }
        let mut wire = Cursor::new(wire);
        while server.read_tls(&mut wire).expect("memory") > 0 {
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("memory");
        }
        let mut wire = Cursor::new(wire);
        while client.read_tls(&mut wire).expect("memory") > 0 {
            client.process_new_packets()?;
        }
        if round == 5 {
            client.writer().write_all(b"?").expect("memory");
            server.writer().write_all(b"!").expect("memory");
        }
    }
    let mut byte = [0];
    server.reader().read_exact(&mut byte).expect("the client's byte");
    client.reader().read_exact(&mut byte).expect("the server's byte");
    Ok(Connected { client, server })
}

#[test]
fn without_a_certificate_a_caller_is_anonymous() {
    let ca = fixture::ca();
    let config = server(&ca, &fixture::issue(&ca, "proxy", Role::Proxy));
    let connected = connect(&config, &Arc::new(client(&ca, None))).expect("connected");
    assert!(connected.identity().is_none());
    assert_eq!(connected.client.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(connected.server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[test]
fn a_certificate_says_who_calls() {
    let ca = fixture::ca();
    let config = server(&ca, &fixture::issue(&ca, "proxy", Role::Proxy));
    let demo = fixture::issue(&ca, "demo", Role::Client);
    for address in ["localhost", "127.0.0.1", "::1"] {
        let connected = connect_to(address, &config, &Arc::new(client(&ca, Some(&demo)))).expect("connected");
        assert_eq!(connected.identity(), Some(demo.identity.clone()));
    }
}

#[test]
fn foreign_ended_and_serving_certificates_may_not_call() {
    let ca = fixture::ca();
    let config = server(&ca, &fixture::issue(&ca, "proxy", Role::Proxy));
    let foreign = fixture::issue(&fixture::ca(), "demo", Role::Client);
    let old = IssueRequest { now: fixture::now().minus(2 * fixture::DAY), ..fixture::request("demo", Role::Client) };
    let ended = ca.issue(&old).expect("issued");
    let server_only = fixture::issue(&ca, "server", Role::Server);
    for (what, certificate) in [("foreign", foreign), ("ended", ended), ("server", server_only)] {
        let refused = connect(&config, &Arc::new(client(&ca, Some(&certificate)))).expect_err(what);
        assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{what}: {refused}");
    }
}

#[test]
fn a_client_certificate_cannot_serve_and_a_foreign_server_is_refused() {
    let ca = fixture::ca();
    let sans = ["localhost".to_owned()];
    let request = IssueRequest { sans: &sans, ..fixture::request("demo", Role::Client) };
    let caller = Arc::new(client(&ca, None));
    let refused = connect(&server(&ca, &ca.issue(&request).expect("issued")), &caller).expect_err("a client serves");
    assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{refused}");
    let other = fixture::ca();
    let foreign = server(&other, &fixture::issue(&other, "proxy", Role::Proxy));
    assert!(connect(&foreign, &caller).is_err());
    let ours = server(&ca, &fixture::issue(&ca, "proxy", Role::Proxy));
    assert!(connect_to("elsewhere.example", &ours, &caller).is_err());
}

#[test]
fn no_session_is_resumed() {
    let ca = fixture::ca();
    let config = server(&ca, &fixture::issue(&ca, "proxy", Role::Proxy));
    let demo = fixture::issue(&ca, "demo", Role::Client);
    for version in [&TLS12, &TLS13] {
        let mut willing = client_of_version(&ca, &demo, version);
        willing.resumption = Resumption::in_memory_sessions(8);
        let willing = Arc::new(willing);
        for _ in 0..3 {
            let connected = connect(&config, &willing).expect("connected");
            assert_eq!(connected.server.protocol_version(), Some(version.version));
            assert_eq!(connected.server.handshake_kind(), Some(HandshakeKind::Full));
            assert_eq!(connected.client.tls13_tickets_received(), 0);
            assert_eq!(connected.identity(), Some(demo.identity.clone()));
        }
    }
}

fn client_of_version(ca: &Ca, certificate: &Issued, version: &'static SupportedProtocolVersion) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots(ca.certificate_pem()).expect("roots"))
        .with_client_auth_cert(
            pem::certificates(&certificate.certificate_pem).expect("a chain"),
            pem::private_key(certificate.private_key_pem.expose()).expect("a key").clone_key(),
        )
        .expect("a configuration")
}

/// A `ClientHello` of TLS 1.1 (RFC 4346, section 7.4.1.2) with ciphers that were common then, and with the extension
/// `signature_algorithms`, so that nothing but its version speaks against it.
#[test]
fn tls_1_1_is_refused() {
    let ca = fixture::ca();
    let config = server(&ca, &fixture::issue(&ca, "proxy", Role::Proxy));
    let mut hello = vec![3, 2];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 4, 0x00, 0x2f, 0xc0, 0x0a, 1, 0]);
    hello.extend_from_slice(&[0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    let length = u8::try_from(hello.len()).expect("short");
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend_from_slice(&hello);
    let mut connection = ServerConnection::new(config).expect("a connection");
    connection.read_tls(&mut Cursor::new(record)).expect("memory");
    let refused = connection.process_new_packets().expect_err("TLS 1.1");
    let too_old = rustls::PeerIncompatible::Tls12NotOffered;
    assert!(matches!(refused, rustls::Error::PeerIncompatible(ref why) if *why == too_old), "{refused}");
}

#[test]
fn a_public_listener_asks_for_no_certificate() {
    let ca = fixture::ca();
    let portal = fixture::issue(&ca, "portal", Role::Portal);
    let config = public_server_config(&portal.certificate_pem, portal.private_key_pem.expose()).expect("configured");
    let demo = fixture::issue(&ca, "demo", Role::Client);
    let connected = connect(&Arc::new(config), &Arc::new(client(&ca, Some(&demo)))).expect("connected");
    assert!(connected.server.peer_certificates().is_none());
}

#[test]
fn a_replaced_certificate_is_used_by_the_next_connection_and_spares_the_open_one() {
    let ca = fixture::ca();
    let (old, new) = (fixture::issue(&ca, "proxy", Role::Proxy), fixture::issue(&ca, "proxy", Role::Proxy));
    let configure = |issued: &Issued| {
        server_config(&issued.certificate_pem, issued.private_key_pem.expose(), ca.certificate_pem())
            .expect("configured")
    };
    let holder = ReloadableServerConfig::new(configure(&old));
    let caller = Arc::new(client(&ca, None));
    let served = |connected: &Connected| {
        identity::fingerprint(connected.client.peer_certificates().expect("a chain").first().expect("a leaf"))
    };
    let mut open = connect(&holder.current(), &caller).expect("connected");
    assert_eq!(served(&open), old.identity.fingerprint);
    holder.replace(configure(&new));
    assert_eq!(served(&connect(&holder.current(), &caller).expect("connected")), new.identity.fingerprint);
    let mut wire = Vec::new();
    open.client.writer().write_all(b"still here").expect("memory");
    open.client.write_tls(&mut wire).expect("memory");
    open.server.read_tls(&mut Cursor::new(wire)).expect("memory");
    assert_eq!(open.server.process_new_packets().expect("a good record").plaintext_bytes_to_read(), 10);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let ca = fixture::ca();
    let (one, two) = (fixture::issue(&ca, "one", Role::Proxy), fixture::issue(&ca, "two", Role::Proxy));
    let mixed = server_config(&one.certificate_pem, two.private_key_pem.expose(), ca.certificate_pem());
    assert!(matches!(mixed, Err(CryptoError::Malformed { .. })));
    assert!(server_config("", one.private_key_pem.expose(), ca.certificate_pem()).is_err());
    assert!(server_config(&one.certificate_pem, "", ca.certificate_pem()).is_err());
    assert!(server_config(&one.certificate_pem, one.private_key_pem.expose(), "").is_err());
    assert!(client_config(None, "", &[]).is_err());
}
