//! Users and what they may see.

use crate::harness::submit;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

const ANN: &str = "ann@example.org";

#[test]
fn a_user_tied_to_a_client_sees_its_messages_and_no_administration() {
    let broker = broker();
    broker.run_ok(&["ca", "issue", "branch-7"]);
    let ours = submit(&mut broker.client("branch-7"), "from the branch");
    let others = submit(&mut broker.demo(), "from the demo");
    broker.wait_delivered(std::slice::from_ref(&others));
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/admin/users/new");
    browser.sign_in(ADMIN, PASSWORD);
    browser.fill("email", ANN);
    browser.fill("password", "short");
    browser.fill("client_id", "branch-7");
    browser.click("Add the user");
    assert_eq!(browser.count(".error"), 1, "{}", browser.text());
    assert_eq!(browser.prop("#email", "value"), ANN);
    browser.fill("password", PASSWORD);
    browser.click("Add the user");
    assert!(browser.text().contains("The user was added"));

    browser.sign_out();
    browser.goto("/messages");
    browser.sign_in(ANN, PASSWORD);
    browser.wait_for(&ours);
    assert!(!browser.source().contains(&others));
    browser.goto(&format!("/messages/{others}"));
    assert!(browser.text().contains("There is nothing here"));
    for page in
        ["/admin/users", "/admin/clients", "/admin/certificates", "/admin/domains", "/admin/audit", "/admin/notices"]
    {
        browser.goto(page);
        assert!(browser.text().contains("You may not do this"), "{page}");
        assert_eq!(browser.count("nav a[href^='/admin']"), 0, "{page}");
    }
    browser.close();
}

#[test]
fn a_disabled_user_is_out_at_once_and_a_deleted_one_for_good() {
    let broker = broker();
    let (admin, ann) = (Browser::open(broker.ports.portal), Browser::open(broker.ports.portal));
    admin.goto("/admin/users/new");
    admin.sign_in(ADMIN, PASSWORD);
    admin.fill("email", ANN);
    admin.fill("password", PASSWORD);
    admin.choose("role", "user_manager");
    admin.click("Add the user");
    ann.goto("/admin/users");
    ann.sign_in(ANN, PASSWORD);
    assert_eq!(ann.path(), "/admin/users");
    admin.click("Disable");
    ann.goto("/admin/users");
    assert_eq!(ann.path(), "/login?next=%2Fadmin%2Fusers");
    admin.click("Delete …");
    admin.fill("confirm", "somebody else");
    admin.click("Delete the user");
    assert_eq!(admin.count(".error"), 1);
    admin.fill("confirm", ANN);
    admin.click("Delete the user");
    assert!(admin.text().contains("The user was deleted."));
    assert!(!admin.text_of("table").contains(ANN));
    admin.close();
    ann.close();
}

#[test]
fn a_domain_and_a_client_are_changed_by_their_pages() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/admin/domains/new");
    browser.sign_in(ADMIN, PASSWORD);
    browser.fill("name", "acme");
    browser.fill("body_limit", "0");
    browser.click("Add the domain");
    assert_eq!(browser.count(".error"), 1, "{}", browser.text());
    browser.fill("body_limit", "160");
    browser.click("Add the domain");
    assert!(browser.text_of("table").contains("160 characters"));
    browser.goto("/admin/clients/demo");
    browser.click("Suspend …");
    browser.fill("confirm", "demo");
    browser.click("Suspend");
    assert!(browser.text_of(".head").contains("suspended"));
    browser.click("Resume …");
    browser.click("Resume");
    assert!(browser.text_of(".head").contains("active"));
    browser.close();
}

#[test]
fn the_audit_log_is_verified_and_a_notice_is_resolved() {
    let mut broker = broker();
    broker.run_ok(&["ca", "issue", "till-5", "--days", "5"]);
    // Certificates are looked through by whoever begins to lead.
    broker.terminate();
    broker.restart();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/admin/notices");
    browser.sign_in(ADMIN, PASSWORD);
    browser.wait_for("A certificate expires soon");
    assert!(browser.text().contains("The certificate of till-5 (client) ends at"), "{}", browser.text());
    browser.click("Resolve");
    assert!(browser.text().contains("Nothing needs you."), "{}", browser.text());
    browser.goto("/admin/audit?action=notice.");
    assert!(browser.text_of("table").contains("notice.resolve"), "{}", browser.text());
    browser.click("Verify the log");
    assert!(browser.text().contains("The log is whole"), "{}", browser.text());
    browser.close();
}
