//! Sending through the portal, and what an admin does about a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::accepted_id;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker, broker_with};
use crate::receiver::{Receiver, TAKEN};

const ANN: &str = "ann@example.org";

#[test]
fn a_user_with_the_right_sends_as_its_client_until_that_is_revoked() {
    let broker = broker();
    broker.run_ok(&["ca", "issue", "branch-7"]);
    let create = ["admin", "users", "create", "--email", ANN, "--password", PASSWORD, "--role", "user"];
    broker.run_ok(&[&create[..], &["--client-id", "branch-7"]].concat());
    let (admin, ann) = (Browser::open(broker.ports.portal), Browser::open(broker.ports.portal));
    ann.goto("/send");
    ann.sign_in(ANN, PASSWORD);
    assert!(ann.text().contains("You may not do this"), "{}", ann.text());
    assert_eq!(ann.count("nav a[href='/send']"), 0);
    admin.goto("/admin/users");
    admin.sign_in(ADMIN, PASSWORD);
    admin.click(ANN);
    admin.click("Let the user send");

    ann.goto("/send");
    ann.fill("sender_number", "12");
    ann.fill("message_body", "Good morning");
    ann.click("Send");
    assert_eq!(ann.count(".error"), 1, "{}", ann.text());
    assert_eq!(ann.prop("#message_body", "value"), "Good morning");
    ann.fill("sender_number", "+49 151 12345678");
    ann.click("Send");
    assert!(ann.text().contains("The message was accepted."), "{}", ann.text());
    ann.wait_for("delivered");
    assert_eq!(ann.count("tbody tr"), 1);
    let id = ann.text_of("tbody a.id");
    ann.click(&id);
    ann.click("Reveal the content");
    assert_eq!(ann.text_of("#body"), "Good morning");
    admin.goto(&format!("/admin/audit?action=message.send&object={id}"));
    assert!(admin.text().contains(ANN) && admin.text().contains("branch-7"), "{}", admin.text());

    broker.run_ok(&["ca", "revoke", "branch-7"]);
    ann.goto("/send");
    ann.fill("sender_number", "+4915112345678");
    ann.fill("message_body", "too late");
    ann.click("Send");
    assert!(ann.text().contains("revoked: nothing is accepted"), "{}", ann.text());
    ann.close();
    admin.close();
}

#[test]
fn an_admin_has_a_failed_message_tried_again_and_sends_it_once_more() {
    let broker = broker_with(&[("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8")]);
    let works = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&works);
    let receiver = Receiver::answering(move |_| {
        if mended.load(Ordering::Relaxed) {
            TAKEN.to_owned()
        } else {
            TAKEN.replace("200 OK", "422 Unprocessable Entity")
        }
    });
    broker.run_ok(&["admin", "destinations", "create", "crm", "--url", &receiver.url, "--retry", "fixed:1s*1"]);
    let body = serde_json::json!({ "sender_number": "+4915112345678", "message_body": "once more" }).to_string();
    let id = accepted_id(&broker.demo().post("/api/v1/messages", &body).expect("answered"));
    let browser = Browser::open(broker.ports.portal);
    browser.goto(&format!("/messages/{id}"));
    browser.sign_in(ADMIN, PASSWORD);
    browser.wait_for("Given up");
    assert!(browser.text().contains("It was given up: there is a dead letter."), "{}", browser.text());
    browser.goto("/");
    assert!(browser.text_of("#figures").contains("Why deliveries failed"));
    works.store(true, Ordering::Relaxed);
    browser.goto(&format!("/messages/{id}"));
    browser.click("Try now");
    assert!(browser.text().contains("is tried again now"), "{}", browser.text());
    browser.wait_for("The destination has taken it.");
    let before = receiver.count();
    browser.click("Send again …");
    browser.click("Send it again");
    assert!(browser.text().contains("on its way to the destination again"), "{}", browser.text());
    while receiver.count() == before {
        std::thread::sleep(Duration::from_millis(20));
    }
    browser.close();
}
