//! A password that was forgotten, and one that is changed.

use crate::harness::Broker;
use crate::portal::browser::{ADMIN, Browser, PASSWORD};
use crate::smtp::Smtp;

/// The path of the link in a mail, whose long lines are folded (RFC 2045, section 6.7).
fn link(mail: &str) -> String {
    let text = mail.replace("=\r\n", "").replace("=3D", "=");
    let at = text.find("/reset-password?token=").expect("a link");
    text[at..].split_whitespace().next().expect("a link").to_owned()
}

#[test]
fn a_forgotten_password_is_set_by_mail_and_changed_in_the_profile() {
    let smtp = Smtp::start();
    let environment = smtp.environment();
    let mut settings: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.extend([("ADMIN_EMAIL", ADMIN), ("ADMIN_PASSWORD", PASSWORD)]);
    let broker = Broker::start_with(&settings);
    let (browser, other) = (Browser::open(broker.ports.portal), Browser::open(broker.ports.portal));
    other.goto("/messages");
    other.sign_in(ADMIN, PASSWORD);
    browser.goto("/login");
    browser.click("Forgot your password?");
    browser.fill("email", ADMIN);
    browser.click("Send the mail");
    assert!(browser.text().contains("a mail with a link is on its way"), "{}", browser.text());
    let link = link(&smtp.wait_for("Subject: Reset your password"));
    browser.goto(&link);
    browser.fill("new_password", "weak");
    browser.click("Set the password");
    assert_eq!(browser.count(".error"), 1, "{}", browser.text());
    browser.fill("new_password", "Another-Horse-8");
    browser.click("Set the password");
    assert_eq!(browser.path(), "/login");
    other.goto("/messages");
    assert_eq!(other.path(), "/login?next=%2Fmessages", "sessions of the old password are over");
    browser.sign_in(ADMIN, "Another-Horse-8");
    assert_eq!(browser.path(), "/");
    other.sign_in(ADMIN, "Another-Horse-8");
    browser.goto("/profile/password");
    browser.fill("current_password", PASSWORD);
    browser.fill("new_password", "Third-Horse-9");
    browser.click("Change the password");
    assert_eq!(browser.count(".error"), 1, "{}", browser.text());
    browser.fill("current_password", "Another-Horse-8");
    browser.fill("new_password", "Third-Horse-9");
    browser.click("Change the password");
    assert_eq!(browser.path(), "/login?next=%2Fprofile", "a new password ends all sessions, this one too");
    other.goto("/messages");
    assert_eq!(other.path(), "/login?next=%2Fmessages");
    browser.goto(&link);
    browser.fill("new_password", "Fourth-Horse-1");
    browser.click("Set the password");
    assert!(browser.text().contains("This link is no longer good"), "{}", browser.text());
    browser.close();
    other.close();
}
