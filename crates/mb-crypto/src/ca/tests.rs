//! Certificates and revocation lists against the contract, and against OpenSSL.

use std::path::Path;
use std::process::Command;

use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::*;
use crate::fixture::{DAY, ca, issue, now, request};

fn der(pem_text: &str) -> Vec<u8> {
    pem::certificates(pem_text).expect("a certificate").swap_remove(0).to_vec()
}

#[test]
fn a_leaf_says_what_the_contract_asks() {
    let ca = ca();
    let domain = DomainName::parse("acme").expect("valid");
    let at = now();
    let issued = ca
        .issue(&IssueRequest { domain: Some(&domain), now: at, ..request("branch-1", Role::Client) })
        .expect("issued");
    let der = der(&issued.certificate_pem);
    let (_, leaf) = X509Certificate::from_der(&der).expect("X.509");
    assert_eq!(leaf.version().0, 2, "v3");
    assert_eq!(leaf.subject().to_string(), "O=acme, OU=client, CN=branch-1");
    assert_eq!(leaf.raw_serial().len(), 16);
    assert!(!leaf.is_ca());
    assert_eq!(leaf.validity().not_before.timestamp(), at.seconds() - 300);
    assert_eq!(leaf.validity().not_after.timestamp(), at.seconds() + 86_400);
    let usage = leaf.key_usage().expect("well-formed").expect("present");
    assert!(usage.critical && usage.value.digital_signature() && !usage.value.key_cert_sign());
    assert!(leaf.subject_alternative_name().expect("well-formed").is_none());
    assert_eq!(leaf.public_key().parsed().expect("a key").key_size(), 256);

    let identity = &issued.identity;
    assert_eq!((identity.name.as_str(), identity.role, &identity.domain), ("branch-1", Role::Client, &Some(domain)));
    assert_eq!(identity.issuer, ca.issuer_id());
    assert_eq!(identity.serial, leaf.raw_serial());
    assert_eq!(identity.fingerprint.len(), 64);
    assert_eq!(identity.not_after.seconds(), at.seconds() + 86_400);
    assert_eq!(&ca.verify(&issued.certificate_pem, at).expect("verified"), identity);
}

#[test]
fn the_ca_says_what_the_contract_asks() {
    let ca = ca();
    let (_, parsed) = X509Certificate::from_der(ca.certificate_der()).expect("X.509");
    let constraints = parsed.basic_constraints().expect("well-formed").expect("present");
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = parsed.key_usage().expect("well-formed").expect("present");
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    assert!(!usage.value.digital_signature());
    let days = ca.not_after().since(now()).as_secs() / 86_400;
    assert!((3650..=3653).contains(&days), "{days}");
    assert_eq!(ca.issuer_id(), head(&sha256(&[parsed.public_key().raw])));
    assert!(identity::from_der(ca.certificate_der()).is_err(), "a CA names nobody");
}

#[test]
fn the_extended_key_usage_follows_the_role() {
    let ca = ca();
    for role in Role::ALL {
        let der = der(&issue(&ca, "x", role).certificate_pem);
        let (_, leaf) = X509Certificate::from_der(&der).expect("X.509");
        let usage = leaf.extended_key_usage().expect("well-formed").expect("present").value;
        assert_eq!((usage.server_auth, usage.client_auth), (role.serves(), role.calls()), "{role}");
        assert!(!usage.any && !usage.code_signing, "{role}");
    }
}

#[test]
fn serving_roles_are_named_as_they_are_reached() {
    let ca = ca();
    let sans = ["Host.example".to_owned(), "10.0.0.7".to_owned(), "localhost".to_owned()];
    let issued = ca.issue(&IssueRequest { sans: &sans, ..request("proxy", Role::Proxy) }).expect("issued");
    let der = der(&issued.certificate_pem);
    let (_, leaf) = X509Certificate::from_der(&der).expect("X.509");
    let names = leaf.subject_alternative_name().expect("well-formed").expect("present");
    let names: Vec<_> = names
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
            other => panic!("{other}"),
        })
        .collect();
    let own = ["localhost", "[127, 0, 0, 1]", "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]"];
    assert_eq!(names, [&own[..], &["host.example", "[10, 0, 0, 7]"]].concat());
}

#[test]
fn requests_that_break_a_rule_are_refused() {
    let ca = ca();
    let domain = DomainName::default();
    for name in ["", "Demo", "con", "a b", "x\n"] {
        assert!(matches!(ca.issue(&request(name, Role::Client)), Err(CryptoError::Invalid(_))), "{name:?}");
    }
    for san in ["", "a b", "-a.example", "a_b:80", "*.*.example"] {
        let sans = [san.to_owned()];
        let refused = ca.issue(&IssueRequest { sans: &sans, ..request("proxy", Role::Proxy) });
        assert!(matches!(refused, Err(CryptoError::Invalid(_))), "{san:?}");
    }
    let with_domain = IssueRequest { domain: Some(&domain), ..request("proxy", Role::Proxy) };
    assert!(matches!(ca.issue(&with_domain), Err(CryptoError::Invalid(_))));
    let no_time = IssueRequest { validity: Duration::ZERO, ..request("proxy", Role::Proxy) };
    assert!(matches!(ca.issue(&no_time), Err(CryptoError::Invalid(_))));
    let after_the_ca = IssueRequest { now: ca.not_after(), ..request("proxy", Role::Proxy) };
    assert!(matches!(ca.issue(&after_the_ca), Err(CryptoError::Invalid(_))));
    let far = IssueRequest { now: Timestamp::from_micros(i64::MAX), ..request("proxy", Role::Proxy) };
    assert!(matches!(ca.issue(&far), Err(CryptoError::Invalid(_))));
}

#[test]
fn a_leaf_ends_with_its_ca_and_serials_differ() {
    let ca = ca();
    let long = IssueRequest { validity: DAY * 36_500, ..request("a", Role::Client) };
    let (one, two) = (ca.issue(&long).expect("issued"), ca.issue(&long).expect("issued"));
    assert_eq!(one.identity.not_after.seconds(), ca.not_after().seconds());
    assert_ne!(one.identity.serial, two.identity.serial);
    assert_ne!(one.identity.fingerprint, two.identity.fingerprint);
    assert_eq!(one.identity.domain, Some(DomainName::default()), "the default tenant");
}

#[test]
fn a_loaded_ca_goes_on_where_it_stopped() {
    let made = ca();
    let loaded = Ca::load(made.certificate_pem(), made.private_key_pem().expose()).expect("its own files");
    assert_eq!(loaded.issuer_id(), made.issuer_id());
    let leaf = issue(&loaded, "a", Role::Client);
    assert!(made.verify(&leaf.certificate_pem, now()).is_ok());
    assert!(Ca::load(made.certificate_pem(), ca().private_key_pem().expose()).is_err(), "another's key");
    assert!(Ca::load(&leaf.certificate_pem, leaf.private_key_pem.expose()).is_err(), "a leaf");
    assert!(Ca::load("", "").is_err());
}

#[test]
fn verify_refuses_foreign_and_ended_certificates() {
    let ca = ca();
    let leaf = issue(&ca, "a", Role::Client);
    let foreign = issue(&self::ca(), "a", Role::Client);
    assert!(matches!(ca.verify(&foreign.certificate_pem, now()), Err(CryptoError::Untrusted(_))));
    assert!(matches!(ca.verify(&leaf.certificate_pem, now().plus(2 * DAY)), Err(CryptoError::OutsideValidity)));
    assert!(matches!(ca.verify(&leaf.certificate_pem, now().minus(DAY)), Err(CryptoError::OutsideValidity)));
    assert!(matches!(ca.verify("nothing", now()), Err(CryptoError::Malformed { .. })));
    assert!(ca.verify(ca.certificate_pem(), now()).is_err(), "the CA itself names nobody");
}

#[test]
fn the_revocation_list_names_serials_and_reasons() {
    let ca = ca();
    let leaf = issue(&ca, "a", Role::Client);
    let at = now();
    let revoked = [
        Revoked { serial: leaf.identity.serial.clone(), at, reason: RevocationReason::KeyCompromise },
        Revoked { serial: vec![0x80, 1], at, reason: RevocationReason::Unspecified },
    ];
    let text = ca.crl(&revoked, 7, at).expect("signed");
    let (_, block) = x509_parser::pem::parse_x509_pem(text.as_bytes()).expect("PEM");
    assert_eq!(block.label, "X509 CRL");
    let (_, list) = x509_parser::parse_x509_crl(&block.contents).expect("a CRL");
    let (_, issuer) = X509Certificate::from_der(ca.certificate_der()).expect("X.509");
    list.verify_signature(issuer.public_key()).expect("the CA's signature");
    assert_eq!(list.crl_number().map(ToString::to_string).as_deref(), Some("7"));
    let next = list.next_update().expect("present").timestamp();
    assert_eq!(next - list.last_update().timestamp(), 7 * 86_400);
    let entries: Vec<_> = list.iter_revoked_certificates().collect();
    assert_eq!(entries[0].raw_serial(), leaf.identity.serial);
    assert_eq!(entries[0].reason_code().expect("a reason").1.0, 1);
    assert_eq!(entries[1].user_certificate.to_bytes_be(), [0x80, 1]);
    assert!(entries[1].reason_code().is_none());
    for reason in RevocationReason::ALL {
        assert_eq!(RevocationReason::parse(reason.as_str()), Some(reason));
    }
}

#[test]
fn a_leaf_repeats_its_issuers_key_identifier() {
    let ca = ca();
    let der = der(&issue(&ca, "a", Role::Client).certificate_pem);
    let (_, leaf) = X509Certificate::from_der(&der).expect("X.509");
    let authority = leaf.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref(),
        _ => None,
    });
    let (_, issuer) = X509Certificate::from_der(ca.certificate_der()).expect("X.509");
    assert_eq!(authority.map(|id| id.0), crl::subject_key_identifier(&issuer));
}

/// OpenSSL is another implementation, so it is asked whether ours is right. Continuous integration must have it.
fn openssl(directory: &Path, arguments: &[&str]) -> Option<String> {
    let run = Command::new("openssl").args(arguments).current_dir(directory).output();
    if run.is_err() {
        assert!(std::env::var_os("CI").is_none(), "openssl is needed in continuous integration");
        return None;
    }
    let output = run.expect("checked above");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    Some(text)
}

#[test]
fn openssl_agrees() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let ca = ca();
    let (server, client) = (issue(&ca, "server", Role::Server), issue(&ca, "demo", Role::Client));
    let revoked = [Revoked { serial: vec![5], at: now(), reason: RevocationReason::Superseded }];
    let crl = ca.crl(&revoked, 1, now()).expect("signed");
    let key = server.private_key_pem.expose().clone();
    for (name, text) in [
        ("ca.crt", ca.certificate_pem()),
        ("server.crt", &server.certificate_pem),
        ("client.crt", &client.certificate_pem),
        ("crl.pem", &crl),
        ("server.key", &key),
    ] {
        std::fs::write(path.join(name), text).expect("written");
    }
    let strict = ["verify", "-x509_strict", "-CAfile", "ca.crt", "-CRLfile", "crl.pem", "-crl_check", "-purpose"];
    if openssl(path, &[&strict[..], &["sslserver", "server.crt"]].concat()).is_none() {
        return;
    }
    openssl(path, &[&strict[..], &["sslclient", "client.crt"]].concat());
    let text = openssl(path, &["x509", "-in", "server.crt", "-noout", "-text"]).expect("found before");
    for expected in [
        "Version: 3 (0x2)",
        "Public-Key: (256 bit)",
        "prime256v1",
        "ecdsa-with-SHA256",
        "TLS Web Server Authentication",
        "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains("TLS Web Client Authentication"), "a server never calls");
    openssl(path, &["pkey", "-in", "server.key", "-noout", "-check"]);
}
