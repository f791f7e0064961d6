//! Signing in and out.

use crate::portal::apart::Apart;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

#[test]
fn a_guest_signs_in_and_comes_back_to_where_he_was() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/messages?status=failed");
    assert_eq!(browser.path(), "/login?next=%2Fmessages%3Fstatus%3Dfailed");
    browser.sign_in(ADMIN, "Wrong-Horse-7");
    assert!(browser.text().contains("The address or the password is wrong."));
    assert_eq!(browser.prop("#email", "value"), ADMIN);
    browser.sign_in(ADMIN, PASSWORD);
    assert_eq!(browser.path(), "/messages?status=failed");
    browser.sign_out();
    assert!(browser.text().contains("You are signed out."));
    browser.goto("/profile");
    assert_eq!(browser.path(), "/login?next=%2Fprofile");
    browser.close();
}

#[test]
fn signing_out_everywhere_ends_the_session_of_another_browser() {
    let broker = broker();
    let (here, there) = (Browser::open(broker.ports.portal), Browser::open(broker.ports.portal));
    for browser in [&here, &there] {
        browser.goto("/login");
        browser.sign_in(ADMIN, PASSWORD);
    }
    here.goto("/profile");
    assert_eq!(here.count("tbody tr"), 2);
    here.click("Sign out everywhere");
    assert!(here.text().contains("All your sessions were ended."));
    there.goto("/messages");
    assert_eq!(there.path(), "/login?next=%2Fmessages");
    here.close();
    there.close();
}

#[test]
fn with_the_main_server_stopped_a_page_says_so() {
    let mut apart = Apart::start(ADMIN, PASSWORD);
    let browser = Browser::open(apart.portal_port());
    browser.goto("/login");
    browser.sign_in(ADMIN, PASSWORD);
    assert_eq!(browser.path(), "/");
    apart.stop_server();
    browser.goto("/messages");
    assert!(browser.text().contains("The main server cannot be reached"));
    assert_eq!(browser.path(), "/messages");
    apart.start_server();
    browser.wait_for("No message has arrived yet.");
    browser.close();
}

#[test]
fn two_portals_share_a_session() {
    let mut apart = Apart::start(ADMIN, PASSWORD);
    let second = apart.start_second_portal();
    let mut browser = Browser::open(apart.portal_port());
    browser.goto("/login");
    browser.sign_in(ADMIN, PASSWORD);
    browser.turn_to(second);
    browser.goto("/profile");
    assert_eq!(browser.path(), "/profile");
    browser.click("Sign out everywhere");
    browser.turn_to(apart.portal_port());
    browser.goto("/profile");
    assert_eq!(browser.path(), "/login?next=%2Fprofile");
    browser.close();
}

#[test]
fn an_account_that_ends_is_out_and_comes_back_to_where_it_was() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    broker.run_ok(&[
        "admin",
        "users",
        "create",
        "--email",
        "ann@example.org",
        "--password",
        PASSWORD,
        "--role",
        "admin",
    ]);
    browser.goto("/login");
    browser.sign_in("ann@example.org", PASSWORD);
    assert_eq!(browser.path(), "/");
    broker.run_ok(&["admin", "users", "expiry", "--email", "ann@example.org", "--at", "2026-01-01T00:00:00Z"]);
    browser.goto("/messages?status=failed");
    assert_eq!(browser.path(), "/login?next=%2Fmessages%3Fstatus%3Dfailed");
    browser.sign_in(ADMIN, PASSWORD);
    assert_eq!(browser.path(), "/messages?status=failed");
    browser.close();
}
