//! OpenSSL reads what is written here.

use std::process::Command;

use mb_core::Role;

use super::*;
use crate::fixture;

mod needs_openssl {
    use super::*;

    fn read(file: &std::path::Path, password: &str, more: &[&str]) -> (bool, String) {
        let mut command = Command::new("openssl");
        command.args(["pkcs12", "-in"]).arg(file).args(["-passin", &format!("pass:{password}"), "-nodes"]).args(more);
        let output = command.output().expect("openssl runs");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    #[test]
    fn openssl_reads_the_key_the_certificate_and_the_ca_under_the_password_alone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ca = fixture::ca();
        let issued = fixture::issue(&ca, "till-1", Role::Client);
        let made = write("till-1", &issued.certificate_pem, &issued.private_key_pem, ca.certificate_pem());
        let Pkcs12 { file, password } = made.expect("written");
        let path = directory.path().join("till-1.p12");
        std::fs::write(&path, &file).expect("written");
        let (opened, text) = read(&path, password.expose(), &["-info"]);
        assert!(opened, "{text}");
        for part in
            ["friendlyName: till-1", "MAC: sha256, Iteration 10000", "PBES2, PBKDF2, AES-256-CBC, Iteration 10000"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let found = pem::certificates(&text).expect("certificates");
        assert_eq!(found[0], pem::certificates(&issued.certificate_pem).expect("a certificate")[0]);
        assert_eq!(&*found[1], ca.certificate_der());
        let expected = pem::private_key(issued.private_key_pem.expose()).expect("a key");
        assert_eq!(pem::private_key(&text).expect("a key").secret_der(), expected.secret_der());
        assert!(!read(&path, "wrong", &[]).0);
        let mut changed = file;
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&path, &changed).expect("written");
        assert!(!read(&path, password.expose(), &[]).0, "a changed file opens");
    }
}

#[test]
fn passwords_differ_and_are_never_shown() {
    let (one, other) = (new_password(), new_password());
    assert_ne!(one.expose(), other.expose());
    assert_eq!(one.expose().len(), PASSWORD_LEN);
    assert_eq!(format!("{one:?}"), "[secret]");
}
