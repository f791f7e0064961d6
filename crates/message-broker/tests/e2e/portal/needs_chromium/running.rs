//! What the broker is run by: a client that enrols, proxies, settings, the examination.

use crate::harness::{command, submit};
use crate::http::Connection;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

#[test]
fn a_client_enrols_with_the_token_that_the_page_showed() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/admin/enrolments/new");
    browser.sign_in(ADMIN, PASSWORD);
    browser.fill("client_id", "branch-9");
    browser.click("Make the token");
    let token = browser.prop("#token", "value");
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("https://localhost:{}", broker.ports.server);
    let enrol = || command(folder.path(), &[]).args(["enroll", "--url", &url, "--token", &token]).output();
    let output = enrol().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = |name: &str| folder.path().join("certs/clients/branch-9").join(name);
    let (certificate, key) = (file("branch-9.crt"), file("branch-9.key"));
    let identity = Some((certificate.as_path(), key.as_path()));
    let mut client = Connection::open(broker.dir(), broker.ports.proxy, identity).expect("connected");
    submit(&mut client, "from the one that enrolled");
    browser.goto("/admin/clients");
    browser.click("branch-9");
    assert!(browser.text_of(".head").contains("active"), "{}", browser.text());
    browser.close();
}

#[test]
fn proxies_settings_and_the_examination_are_shown() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/admin/proxies");
    browser.sign_in(ADMIN, PASSWORD);
    browser.wait_for("waiting");
    assert!(browser.text_of("table").contains("live"), "{}", browser.text());
    browser.goto("/admin/settings");
    assert!(browser.text().contains("proxy.port") && browser.text().contains("environment"), "{}", browser.text());
    assert!(!browser.source().contains(PASSWORD), "a secret is named and not shown");
    browser.click("All");
    assert!(browser.text().contains("policy_max_age"), "{}", browser.text());
    browser.goto("/admin/doctor");
    browser.click("Examine it");
    assert!(browser.text_of("table").contains("database"), "{}", browser.text());
    assert_eq!(browser.text_of("#failures"), "0", "{}", browser.text());
    browser.close();
}
