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

#[test]
fn a_backup_is_made_proven_and_downloaded() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/admin/backups");
    browser.sign_in(ADMIN, PASSWORD);
    browser.click("Back up now");
    browser.wait_for("The backup is made");
    browser.click("To the backups");
    assert_eq!(browser.count("tbody tr"), 1, "{}", browser.text());
    browser.click("Prove it");
    browser.wait_for("The backup is proven");
    browser.click("To the backups");
    assert!(browser.text_of("table").contains("proven"), "{}", browser.text());
    let link = browser.prop("a[download$='database.age']", "href");
    let ask = "const done = arguments[arguments.length - 1]; fetch(arguments[0]).then(got => got.text()).then(done)";
    let begins = browser.script_async(&ask.replace("arguments[0]", &format!("'{link}'")));
    assert!(begins.as_str().is_some_and(|text| text.starts_with("age-encryption.org/v1")), "{begins}");
    browser.goto("/admin/audit?action=backup.");
    assert!(browser.text_of("table").contains("backup.download"), "{}", browser.text());
    browser.close();
}

#[test]
fn queue_database_and_retention_are_shown_as_they_are() {
    let broker = broker();
    let sent = submit(&mut broker.demo(), "one");
    broker.wait_delivered(&[sent]);
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/admin/queue");
    browser.sign_in(ADMIN, PASSWORD);
    browser.wait_for("works");
    browser.goto("/admin/database");
    assert!(browser.text().contains("schema is current") && browser.text().contains("SQLite"), "{}", browser.text());
    browser.goto("/admin/retention");
    browser.fill("audit_days", "20");
    browser.click("Save");
    assert_eq!(browser.count(".error"), 1, "{}", browser.text());
    browser.fill("audit_days", "400");
    browser.click("Save");
    assert_eq!(browser.prop("#audit_days", "value"), "400");
    browser.click("Count what would go …");
    assert!(browser.text().contains("Nothing is due"), "{}", browser.text());
    browser.close();
}
