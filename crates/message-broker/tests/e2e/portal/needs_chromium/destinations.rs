//! A destination's life in the portal: added, tried, failing, redriven to, gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Broker, submit};
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker_with};
use crate::receiver::{Receiver, TAKEN};

const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 6\r\n\r\nbroken";

/// A receiver that takes nothing while `refusing` says so.
fn receiver(refusing: &Arc<AtomicBool>) -> Receiver {
    let refusing = Arc::clone(refusing);
    Receiver::answering(move |_| if refusing.load(Ordering::SeqCst) { BROKEN } else { TAKEN }.to_owned())
}

fn broker() -> Broker {
    broker_with(&[("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8")])
}

/// Adds a destination that gives up after a second, and says what its secret is.
fn add(browser: &Browser, url: &str) -> String {
    browser.goto("/admin/destinations/new");
    browser.sign_in(ADMIN, PASSWORD);
    browser.fill("name", "Warehouse");
    browser.fill("url", url);
    browser.fill("retry", "1s");
    browser.click("Add the destination");
    assert_eq!(browser.count(".error"), 1, "{}", browser.text());
    browser.fill("name", "warehouse");
    browser.click("Add the destination");
    assert!(browser.text().contains("Save the secret now."), "{}", browser.text());
    browser.prop("#secret", "value")
}

#[test]
fn a_destination_is_tried_and_what_it_did_not_take_is_redriven() {
    let refusing = Arc::new(AtomicBool::new(false));
    let (broker, receiver) = (broker(), receiver(&refusing));
    let browser = Browser::open(broker.ports.portal);
    let secret = add(&browser, &receiver.url);
    assert!(secret.starts_with("whsec_"), "{secret}");
    browser.click("I have saved it: send a trial");
    assert!(browser.text().contains("It was taken"), "{}", browser.text());
    assert!(browser.text_of("#request").contains("webhook-id: test-"), "{}", browser.text());
    assert_eq!((receiver.count(), receiver.ids().len()), (1, 0));
    browser.goto("/admin/destinations/1");
    assert!(!browser.source().contains(&secret));

    refusing.store(true, Ordering::SeqCst);
    let id = submit(&mut broker.demo(), "for the warehouse");
    browser.goto("/admin/dead-letters");
    browser.wait_for("Server error");
    assert!(browser.text().contains("warehouse") && browser.text().contains("after 2 attempts"), "{}", browser.text());
    browser.click("Redrive the ticked …");
    assert!(browser.text().contains("No dead letter was ticked"), "{}", browser.text());
    refusing.store(false, Ordering::SeqCst);
    browser.click("Back");
    browser.click("Redrive all …");
    assert!(browser.text().contains("1 dead letter would be sent again."), "{}", browser.text());
    browser.click("Redrive them");
    assert!(browser.text().contains("They are under way."), "{}", browser.text());
    broker.wait_delivered(std::slice::from_ref(&id));
    assert!(receiver.ids().contains(&id));
    browser.click("Back");
    assert!(browser.text().contains("Nothing was given up."), "{}", browser.text());
    browser.close();
}

#[test]
fn a_destination_is_paused_edited_and_deleted_by_name() {
    let refusing = Arc::new(AtomicBool::new(false));
    let (broker, receiver) = (broker(), receiver(&refusing));
    let browser = Browser::open(broker.ports.portal);
    let first = add(&browser, &receiver.url);
    browser.click("I have saved it");
    browser.click("Rotate …");
    browser.click("Rotate the secret");
    let second = browser.prop("#secret", "value");
    assert!(second != first && browser.text().contains("too, until"), "{}", browser.text());
    browser.click("I have saved it");
    browser.click("Pause");
    assert!(browser.text_of(".head").contains("paused"));
    let id = submit(&mut broker.demo(), "waits");
    browser.click("Edit");
    browser.fill("topics", "default, orders.**");
    browser.click("Save");
    assert!(browser.text().contains("default, orders.**"), "{}", browser.text());
    assert!(!receiver.ids().contains(&id), "what is paused is not sent");
    browser.click("Enable");
    broker.wait_delivered(std::slice::from_ref(&id));
    assert_eq!(receiver.of(&id)[0].header("webhook-signature").map(|text| text.matches("v1,").count()), Some(2));
    browser.click("Delete …");
    browser.fill("confirm", "default");
    browser.click("Delete the destination");
    assert_eq!(browser.count(".error"), 1);
    browser.fill("confirm", "warehouse");
    browser.click("Delete the destination");
    assert!(browser.text().contains("There is no destination yet."), "{}", browser.text());
    browser.close();
}
