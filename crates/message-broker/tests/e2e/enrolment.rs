//! Certificates for keys that stay with their clients, as outside clients get and use them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Broker, command, files, message};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A token for `name` with the CA's fingerprint behind it.
fn token(broker: &Broker, name: &str) -> String {
    broker.run_ok(&["admin", "clients", "enroll", name]).trim().to_owned()
}

fn enroll(broker: &Broker, dir: &Path, token: &str) -> Output {
    let url = format!("https://localhost:{}", broker.ports.server);
    command(dir, &[]).args(["enroll", "--url", &url, "--token", token]).output().expect("the binary runs")
}

#[test]
fn a_key_is_made_at_the_client_and_never_leaves_it() {
    let broker = Broker::start();
    let there = tempfile::tempdir().expect("temporary folder");
    let token = token(&broker, "till-9");
    let enrolled = enroll(&broker, there.path(), &token);
    assert!(enrolled.status.success(), "{}", said(&enrolled));
    let folder = there.path().join("certs/clients/till-9");
    let sent = command(there.path(), &[])
        .args(["send", "--sender", "+4915112345678", "--message", "enrolled", "--url"])
        .arg(format!("https://localhost:{}", broker.ports.proxy))
        .args(["--cert".as_ref(), folder.join("till-9.crt").as_os_str()])
        .args(["--key".as_ref(), folder.join("till-9.key").as_os_str()])
        .args(["--ca".as_ref(), folder.join("ca.crt").as_os_str()])
        .output()
        .expect("the binary runs");
    assert!(sent.status.success(), "{}", said(&sent));
    let key = std::fs::read_to_string(folder.join("till-9.key")).expect("a key");
    let secret = key.lines().nth(1).expect("its first line");
    let bare = token.split('.').next().expect("the token");
    for path in files(broker.dir()) {
        let bytes = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        assert!(!bytes.contains(secret) && !bytes.contains(bare), "{} holds it", path.display());
    }
    let again = enroll(&broker, tempfile::tempdir().expect("temporary folder").path(), &token);
    assert_eq!(again.status.code(), Some(1), "a token is good once");
    broker.run_ok(&["ca", "revoke", "till-9"]);
}

#[test]
fn whoever_is_not_the_tokens_main_server_gets_no_token() {
    let (broker, stranger) = (Broker::start(), Broker::start());
    let token = token(&broker, "till-9");
    let there = tempfile::tempdir().expect("temporary folder");
    let refused = enroll(&stranger, there.path(), &token);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("its CA certificate is another"), "{}", said(&refused));
    let bare = token.split('.').next().expect("the token");
    let refused = enroll(&broker, there.path(), bare);
    assert!(said(&refused).contains("--ca"), "{}", said(&refused));
    assert!(enroll(&broker, there.path(), &token).status.success(), "it is still good");
}

mod needs_openssl {
    use super::*;

    fn openssl(args: &[&str], dir: &Path) -> Output {
        Command::new("openssl").args(args).current_dir(dir).output().expect("openssl runs")
    }

    fn ok(args: &[&str], dir: &Path) -> String {
        let output = openssl(args, dir);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn request(dir: &Path, name: &str) {
        let subject = format!("/CN={name}");
        let new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        ok(&[&new[..], &["-keyout", "own.key", "-out", "own.csr", "-subj", &subject]].concat(), dir);
    }

    #[test]
    fn openssl_makes_the_key_and_curl_enrols_and_submits() {
        let broker = Broker::start();
        let there = tempfile::tempdir().expect("temporary folder");
        request(there.path(), "whatever");
        let token = token(&broker, "till-8");
        let csr = std::fs::read_to_string(there.path().join("own.csr")).expect("a request");
        let bare = token.split('.').next().expect("the token");
        let body = serde_json::json!({ "token": bare, "csr": csr }).to_string();
        let curl = |more: &[&str]| {
            let mut curl = Command::new("curl");
            curl.args(["-sS", "-H", "content-type: application/json", "-w", "\n%{http_code}", "--cacert"]);
            curl.arg(broker.dir().join("certs/ca.crt")).current_dir(there.path());
            let output = curl.args(more).output().expect("curl runs");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let enrol = format!("https://localhost:{}/pki/enroll", broker.ports.server);
        let answer = curl(&["-d", &body, &enrol]);
        let (json, status) = answer.rsplit_once('\n').expect("a status");
        assert_eq!(status, "201", "{json}");
        let json: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!((&json["client_id"], &json["role"]), (&"till-8".into(), &"client".into()));
        std::fs::write(there.path().join("own.crt"), json["certificate"].as_str().expect("PEM")).expect("written");
        let repeated = curl(&["-d", &body, &enrol]);
        assert!(repeated.ends_with("201") && repeated.contains(json["id"].as_str().expect("an id")), "{repeated}");
        let submit = format!("https://localhost:{}/api/v1/messages", broker.ports.proxy);
        let sent = curl(&["--cert", "own.crt", "--key", "own.key", "-d", &message("by curl"), &submit]);
        assert!(sent.ends_with("202"), "{sent}");
    }

    #[test]
    fn a_request_is_signed_and_a_certificate_renewed_beside_the_old_one() {
        let broker = Broker::start();
        let there = tempfile::tempdir().expect("temporary folder");
        request(there.path(), "till-7");
        let own = |name: &str| there.path().join(name).display().to_string();
        broker.run_ok(&["ca", "sign", &own("own.csr"), "--domain", "shop", "--days", "30", "--out", &own("own.crt")]);
        let ca = broker.dir().join("certs/ca.crt").display().to_string();
        assert!(ok(&["verify", "-CAfile", &ca, "-purpose", "sslclient", "own.crt"], there.path()).contains("OK"));
        let subject = ok(&["x509", "-noout", "-subject", "-in", "own.crt"], there.path());
        assert!(subject.contains("O = shop") && subject.contains("CN = till-7"), "{subject}");
        let renewed: Value =
            serde_json::from_str(&broker.run_ok(&["ca", "renew", "till-7", "--p12", "--json"])).expect("JSON");
        let password = format!("pass:{}", renewed["pkcs12_password"].as_str().expect("a password"));
        let p12 = renewed["pkcs12"].as_str().expect("a file");
        let text = ok(&["pkcs12", "-in", p12, "-passin", &password, "-nodes"], there.path());
        assert!(text.contains("BEGIN PRIVATE KEY") && text.contains("till-7"), "{text}");
        // Printed once: nobody keeps the password, and of the key there is the one file.
        let password = password.trim_start_matches("pass:");
        let key = std::fs::read_to_string(broker.dir().join("certs/clients/till-7/till-7.key")).expect("a key");
        let secret = key.lines().nth(1).expect("its first line");
        for path in files(broker.dir()) {
            let bytes = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
            assert!(!bytes.contains(password), "{} holds the password", path.display());
            assert!(!bytes.contains(secret) || path.ends_with("till-7.key"), "{} holds the key", path.display());
        }
        // Both are good, until one of them is revoked by its serial number.
        let folder = broker.dir().join("certs/clients/till-7");
        let pairs = [
            (there.path().join("own.crt"), there.path().join("own.key")),
            (folder.join("till-7.crt"), folder.join("till-7.key")),
        ];
        let answer = |pair: usize| {
            let identity = (pairs[pair].0.as_path(), pairs[pair].1.as_path());
            let mut connection =
                crate::http::Connection::open(broker.dir(), broker.ports.proxy, Some(identity)).expect("connected");
            connection.post("/api/v1/messages", &message("x")).expect("answered")
        };
        assert_eq!([answer(0).status, answer(1).status], [202, 202]);
        broker.run_ok(&["ca", "revoke", "--serial", renewed["id"].as_str().expect("an id")]);
        assert_eq!(answer(0).status, 202);
        answer(1).assert_problem(403, "certificate_revoked");
    }

    #[test]
    fn openssl_agrees_with_the_revocation_list() {
        let broker = Broker::start();
        broker.run_ok(&["ca", "issue", "till-6"]);
        broker.run_ok(&["ca", "crl"]);
        let certs = broker.dir().join("certs");
        let verify = ["verify", "-crl_check", "-CAfile", "ca.crt", "-CRLfile", "crl.pem", "clients/till-6/till-6.crt"];
        assert!(ok(&verify, &certs).contains("OK"));
        broker.run_ok(&["ca", "revoke", "till-6", "--reason", "key_compromise"]);
        broker.run_ok(&["ca", "crl"]);
        let refused = openssl(&verify, &certs);
        assert!(!refused.status.success() && said(&refused).contains("certificate revoked"), "{}", said(&refused));
        let text = ok(&["crl", "-in", "crl.pem", "-noout", "-text"], &certs);
        assert!(text.contains("Key Compromise"), "{text}");
        let dates =
            ok(&["crl", "-in", "crl.pem", "-noout", "-lastupdate", "-nextupdate", "-dateopt", "iso_8601"], &certs);
        let day = |name: &str| {
            let line = dates.lines().find_map(|line| line.strip_prefix(name)).expect("a date");
            mb_core::Timestamp::parse_rfc3339(&line.replace(' ', "T")).expect("a time")
        };
        assert_eq!(day("nextUpdate=").since(day("lastUpdate=")), std::time::Duration::from_hours(7 * 24));
    }
}
