//! A certificate's whole life in the portal.

use std::time::Instant;

use crate::harness::{PATIENCE, message, submit};
use crate::http::Connection;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_issued_used_and_revoked() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal).await;
    browser.goto("/admin/certificates/new").await;
    browser.sign_in(ADMIN, PASSWORD).await;
    browser.fill("client_id", "branch-7").await;
    browser.click("Issue the certificate").await;
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (folder.path().join("branch-7.crt"), folder.path().join("branch-7.key"));
    let shown = browser.prop("#private_key", "value").await;
    std::fs::write(&certificate, browser.prop("#certificate", "value").await).expect("written");
    std::fs::write(&key, &shown).expect("written");
    assert!(browser.prop("#archive", "href").await.starts_with("data:application/zip;base64,"));
    let open = || Connection::open(broker.dir(), broker.ports.proxy, Some((&certificate, &key))).expect("connected");
    submit(&mut open(), "with the new certificate");

    browser.goto("/admin/certificates").await;
    let key_line = shown.lines().nth(1).expect("a line of the key").to_owned();
    assert!(!browser.source().await.contains(&key_line));
    browser.goto("/admin/clients").await;
    browser.click("branch-7").await;
    browser.goto("/admin/certificates").await;
    let link = browser.prop("a[href*='name=branch-7']", "href").await;
    let path = &link[link.find("/admin").expect("a path")..];
    browser.goto(path).await;
    browser.fill("confirm", "branch-8").await;
    browser.click("Revoke it").await;
    assert_eq!(browser.count(".error").await, 1);
    browser.fill("confirm", "branch-7").await;
    browser.fill("reason", "lost").await;
    browser.click("Revoke it").await;
    assert!(browser.text().await.contains("The certificate was revoked."));
    let give_up = Instant::now() + PATIENCE;
    loop {
        let refused = open().post("/api/v1/messages", &message("too late")).is_ok_and(|answer| answer.status == 403);
        if refused {
            break;
        }
        assert!(Instant::now() < give_up, "the certificate still works");
    }
    browser.close().await;
}
