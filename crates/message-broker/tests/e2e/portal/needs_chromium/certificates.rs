//! A certificate's whole life in the portal.

use std::time::Instant;

use crate::harness::{PATIENCE, message, submit};
use crate::http::Connection;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

#[test]
fn a_certificate_is_issued_used_and_revoked() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/admin/certificates/new");
    browser.sign_in(ADMIN, PASSWORD);
    browser.fill("client_id", "branch-7");
    browser.click("Issue the certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (folder.path().join("branch-7.crt"), folder.path().join("branch-7.key"));
    let shown = browser.prop("#private_key", "value");
    std::fs::write(&certificate, browser.prop("#certificate", "value")).expect("written");
    std::fs::write(&key, &shown).expect("written");
    assert!(browser.prop("#archive", "href").starts_with("data:application/zip;base64,"));
    let open = || Connection::open(broker.dir(), broker.ports.proxy, Some((&certificate, &key))).expect("connected");
    submit(&mut open(), "with the new certificate");

    browser.goto(&browser.path());
    assert_eq!(browser.prop("#client_id", "value"), "", "asked for again, the address shows the form");
    browser.goto("/admin/certificates");
    assert_eq!(browser.count("a[href*='/revoke?name=branch-7']"), 1, "and issues nothing");
    let key_line = shown.lines().nth(1).expect("a line of the key").to_owned();
    assert!(!browser.source().contains(&key_line));
    browser.goto("/admin/clients");
    browser.click("branch-7");
    browser.goto("/admin/certificates?client_id=branch-7&status=active");
    assert_eq!(browser.count("table.rows tbody tr"), 1, "{}", browser.text());
    let link = browser.prop("a[href*='/revoke?name=branch-7']", "href");
    let path = &link[link.find("/admin").expect("a path")..];
    browser.goto(path);
    browser.fill("confirm", "branch-8");
    browser.click("Revoke it");
    assert_eq!(browser.count(".error"), 1);
    browser.fill("confirm", "branch-7");
    browser.fill("reason", "lost");
    browser.click("Revoke it");
    assert!(browser.text().contains("The certificate was revoked."));
    let give_up = Instant::now() + PATIENCE;
    loop {
        let refused = open().post("/api/v1/messages", &message("too late")).is_ok_and(|answer| answer.status == 403);
        if refused {
            break;
        }
        assert!(Instant::now() < give_up, "the certificate still works");
    }
    browser.close();
}
