//! The authority changes, the public side shows a certificate of its own, roles cannot be mixed, secrets lie apart.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mb_core::{Clock, Role};
use mb_crypto::ca::{Ca, IssueRequest};

use crate::harness::{Broker, PATIENCE, message, submit};
use crate::http::Connection;

fn until(what: &str, broker: &Broker, done: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < give_up, "not {what}: {}", broker.stderr());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

#[test]
fn an_authority_takes_anothers_place_while_messages_come_in() {
    let broker = Broker::start();
    let certs = broker.dir().join("certs");
    let old = std::fs::read_to_string(certs.join("ca.crt")).expect("readable");
    let next = Ca::create("next CA", Clock::System.now()).expect("a CA");
    let mut open = broker.demo();
    submit(&mut open, "before");
    // A file that cannot be used changes nothing.
    write(&certs.join("ca.crt"), "no certificate");
    until("noticed", &broker, || broker.stderr().contains("certificate files cannot be used"));
    let aside = write_aside(&broker, &old);
    let (chain, key) = (certs.join("clients/demo/demo.crt"), certs.join("clients/demo/demo.key"));
    let fresh = Connection::open(&aside, broker.ports.proxy, Some((&chain, &key)));
    submit(&mut fresh.expect("connected"), "as before");
    write(&certs.join("ca.crt"), &format!("{old}\n{}", next.certificate_pem()));
    write(&certs.join("ca.key"), next.private_key_pem().expose());
    until("changed", &broker, || broker.stderr().contains("certificate authority changed"));
    broker.run_ok(&["ca", "issue", "till-new"]);
    let issued = std::fs::read_to_string(certs.join("clients/till-new/till-new.crt")).expect("readable");
    next.verify(&issued, Clock::System.now()).expect("the next one issues");
    submit(&mut broker.client("till-new"), "under the next authority");
    submit(&mut broker.demo(), "under the old one");
    submit(&mut open, "on the connection from before");
}

/// A data directory that trusts what `pem` says, whatever the broker's own file says now.
fn write_aside(broker: &Broker, pem: &str) -> std::path::PathBuf {
    let aside = broker.dir().join("aside");
    std::fs::create_dir_all(aside.join("certs")).expect("created");
    write(&aside.join("certs/ca.crt"), pem);
    aside
}

#[test]
fn the_public_side_shows_a_certificate_of_its_own_and_takes_up_the_next() {
    let public = Ca::create("public CA", Clock::System.now()).expect("a CA");
    let issue = |name: &str| {
        let request = IssueRequest {
            name,
            role: Role::Server,
            domain: None,
            sans: &[],
            validity: Duration::from_hours(24),
            now: Clock::System.now(),
        };
        public.issue(&request).expect("issued")
    };
    let files = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| files.path().join(name);
    let put = |name: &str| {
        let issued = issue(name);
        mb_crypto::files::write_private(&path("key.pem"), issued.private_key_pem.expose().as_bytes()).expect("written");
        mb_crypto::files::write_public(&path("chain.pem"), issued.certificate_pem.as_bytes()).expect("written");
    };
    put("first");
    let text = |name: &str| path(name).display().to_string();
    let (chain, key) = (text("chain.pem"), text("key.pem"));
    let broker = Broker::start_with(&[("MB_PORTAL__CERTIFICATE", &chain), ("MB_PORTAL__KEY", &key)]);
    let aside = write_aside(&broker, public.certificate_pem());
    let reached = |trust: &Path| {
        let answer =
            Connection::anonymous(trust, broker.ports.portal).and_then(|mut connection| connection.get("/health/live"));
        answer.is_ok_and(|answer| answer.status == 200)
    };
    assert!(reached(&aside) && !reached(broker.dir()), "it is not the internal authority's");
    let mut open = Connection::anonymous(&aside, broker.ports.portal).expect("connected");
    assert_eq!(open.get("/health/live").expect("answered").status, 200);
    write(&path("chain.pem"), "no certificate");
    until("noticed", &broker, || broker.stderr().contains("certificate files cannot be used"));
    assert!(reached(&aside), "the last good one stays");
    put("second");
    until("taken up", &broker, || broker.stderr().contains("certificate taken up"));
    assert!(reached(&aside));
    assert_eq!(open.get("/health/live").expect("answered").status, 200, "the open connection goes on");
}

/// A pair for `localhost` of an authority that the installation knows nothing of, written to these files.
fn put_public(public: &Ca, folder: &Path, name: &str) {
    let (sans, validity) = (["localhost".to_owned()], Duration::from_hours(24));
    let now = Clock::System.now();
    let request = IssueRequest { name, role: Role::Server, domain: None, sans: &sans, validity, now };
    let issued = public.issue(&request).expect("issued");
    let key = issued.private_key_pem.expose().as_bytes();
    mb_crypto::files::write_private(&folder.join("key.pem"), key).expect("written");
    mb_crypto::files::write_public(&folder.join("chain.pem"), issued.certificate_pem.as_bytes()).expect("written");
}

#[test]
fn clients_see_a_certificate_of_ones_own_at_the_proxy_and_are_known_by_the_internal_authority() {
    let public = Ca::create("public CA", Clock::System.now()).expect("a CA");
    let folder = tempfile::tempdir().expect("temporary folder");
    put_public(&public, folder.path(), "first");
    let text = |name: &str| folder.path().join(name).display().to_string();
    let (chain, key) = (text("chain.pem"), text("key.pem"));
    let own = [("MB_PROXY__CERTIFICATE", chain.as_str()), ("MB_PROXY__KEY", key.as_str())];
    let broker = Broker::start_public(&own, public.certificate_pem());
    let trusts = broker.dir().join("public");
    let demo = broker.dir().join("certs/clients/demo");
    let (certificate, private) = (demo.join("demo.crt"), demo.join("demo.key"));
    let connect = || Connection::open(&trusts, broker.ports.proxy, Some((&certificate, &private)));
    let mut open = connect().expect("connected");
    submit(&mut open, "under the public certificate");
    let internal = broker.demo().get("/health/live");
    assert!(internal.is_err(), "it is not the internal authority's: {internal:?}");
    // A key that is another's: the last good pair stays, and it is said.
    let good = std::fs::read(&key).expect("readable");
    let other = Ca::create("another", Clock::System.now()).expect("a CA").private_key_pem();
    mb_crypto::files::write_private(Path::new(&key), other.expose().as_bytes()).expect("written");
    until("noticed", &broker, || broker.stderr().contains("certificate files cannot be used"));
    submit(&mut connect().expect("connected"), "the last good one stays");
    mb_crypto::files::write_private(Path::new(&key), &good).expect("written");
    until("taken up again", &broker, || broker.stderr().contains("certificate taken up"));
    let next = Ca::create("next public CA", Clock::System.now()).expect("a CA");
    put_public(&next, folder.path(), "second");
    let trusts_next = write_aside(&broker, next.certificate_pem());
    until("taken up", &broker, || {
        Connection::open(&trusts_next, broker.ports.proxy, Some((&certificate, &private)))
            .and_then(|mut connection| connection.post("/api/v1/messages", &message("under the next one")))
            .is_ok_and(|answer| answer.status == 202)
    });
    submit(&mut open, "the connection from before goes on");
    let metrics = open.get("/metrics").expect("answered").text();
    assert!(metrics.contains("mb_certificate_expiry_timestamp_seconds{role=\"proxy_public\"}"), "{metrics}");
}

#[test]
fn no_certificate_of_a_server_submits() {
    let broker = Broker::start();
    let certs = broker.dir().join("certs");
    let server = (certs.join("server.crt"), certs.join("server.key"));
    let answer = Connection::open(broker.dir(), broker.ports.proxy, Some((&server.0, &server.1)))
        .and_then(|mut connection| connection.post("/api/v1/messages", &message("x")));
    assert!(answer.as_ref().map_or(true, |answer| answer.status == 403), "{answer:?}");
    submit(&mut broker.demo(), "others go on");
}

mod needs_openssl {
    use super::*;

    #[test]
    fn each_authority_signs_a_list_and_openssl_agrees_with_both() {
        let broker = Broker::start();
        let certs = broker.dir().join("certs");
        let read = |name: &str| std::fs::read_to_string(certs.join(name)).expect("readable");
        broker.run_ok(&["ca", "issue", "old-1"]);
        broker.run_ok(&["ca", "issue", "old-2"]);
        let next = Ca::create("next CA", Clock::System.now()).expect("a CA");
        let (old, key) = (read("ca.crt"), read("ca.key"));
        mb_crypto::files::write_private(&certs.join("ca.previous.key"), key.as_bytes()).expect("written");
        write(&certs.join("ca.crt"), &format!("{old}\n{}", next.certificate_pem()));
        write(&certs.join("ca.key"), next.private_key_pem().expose());
        until("changed", &broker, || broker.stderr().contains("certificate authority changed"));
        broker.run_ok(&["ca", "issue", "new-1"]);
        broker.run_ok(&["ca", "issue", "new-2"]);
        // The list of the authority that issues comes first.
        let revoke =
            |name: &str| mb_core::hex::decode(broker.run_ok(&["ca", "revoke", name]).trim()).expect("a serial");
        let serials = [revoke("new-1"), revoke("old-1")];
        until("listed each by its own", &broker, || {
            let lists = mb_crypto::pem::revocation_lists(&read("crl.pem")).expect("lists");
            let holds =
                |(list, serial): (&Vec<u8>, &Vec<u8>)| list.windows(serial.len()).any(|part| part == &serial[..]);
            lists.len() == 2 && lists.iter().zip(&serials).all(holds)
        });
        let verify = |name: &str| {
            let leaf = format!("clients/{name}/{name}.crt");
            let mut openssl = Command::new("openssl");
            openssl.args(["verify", "-crl_check", "-CAfile", "ca.crt", "-CRLfile", "crl.pem", &leaf]);
            let output = openssl.current_dir(&certs).output().expect("openssl runs");
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            (output.status.success(), said.contains("certificate revoked"), said)
        };
        for (name, revoked) in [("old-1", true), ("old-2", false), ("new-1", true), ("new-2", false)] {
            let (good, said_so, said) = verify(name);
            assert_eq!((good, said_so), (!revoked, revoked), "{name}: {said}");
        }
        broker.demo().post("/api/v1/messages", &message("x")).expect("others go on");
    }

    #[test]
    fn no_certificate_of_a_client_serves() {
        let broker = Broker::start();
        let certs = broker.dir().join("certs");
        let verify = |purpose: &str, file: &str| {
            let mut openssl = Command::new("openssl");
            openssl.args(["verify", "-CAfile", "ca.crt", "-purpose", purpose, file]).current_dir(&certs);
            openssl.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("openssl runs").success()
        };
        for (file, serves, calls) in [
            ("clients/demo/demo.crt", false, true),
            ("server.crt", true, false),
            ("proxy.crt", true, true),
            ("worker.crt", true, true),
            ("admin.crt", false, true),
            ("monitoring.crt", false, true),
        ] {
            assert_eq!((verify("sslserver", file), verify("sslclient", file)), (serves, calls), "{file}");
        }
    }
}
