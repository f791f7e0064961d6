//! Finding messages and opening one.

use crate::harness::submit;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

#[test]
fn messages_are_filtered_paged_and_opened_by_a_button() {
    let broker = broker();
    let mut demo = broker.demo();
    let ids: Vec<String> = (0..30).map(|at| submit(&mut demo, &format!("secret number {at}"))).collect();
    broker.wait_delivered(&ids);
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/messages?limit=25");
    browser.sign_in(ADMIN, PASSWORD);
    assert_eq!(browser.count("tbody tr"), 25);
    browser.click("Next →");
    assert_eq!(browser.count("tbody tr"), 5);
    browser.click("← Back");
    assert_eq!((browser.count("tbody tr"), browser.path().as_str()), (25, "/messages?limit=25"));
    assert!(browser.text().contains("+491****5678") && !browser.source().contains("15112345678"));

    // Where there is room the filter is never folded; the driver does not know that.
    let unfold = || browser.script("document.querySelector('details.filter').open = true");
    unfold();
    browser.choose("status", "failed");
    browser.click("Show");
    assert!(browser.text().contains("No message fits this filter."));
    browser.click("Clear the filter");
    unfold();
    browser.fill("q", &ids[7]);
    browser.fill("sender", "+49 151 12345678");
    browser.click("Show");
    assert_eq!(browser.count("tbody tr"), 1);
    browser.click(&ids[7]);
    assert_eq!(browser.path(), format!("/messages/{}", ids[7]));
    assert!(!browser.source().contains("secret number"));
    browser.click("Reveal the content");
    assert_eq!(browser.text_of("#body"), "secret number 7");
    assert_eq!(browser.text_of("#number"), "+4915112345678");
    browser.goto(&format!("/admin/audit?object={}", ids[7]));
    assert_eq!(browser.count("tbody tr"), 1, "{}", browser.text());
    assert!(browser.text().contains(ADMIN));
    browser.goto("/admin/audit");
    browser.click("Verify the log");
    assert!(browser.text().contains("The log is whole"));
    browser.close();
}
