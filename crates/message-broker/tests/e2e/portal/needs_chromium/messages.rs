//! Finding messages and opening one.

use crate::harness::submit;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_filtered_paged_and_opened_by_a_button() {
    let broker = broker();
    let mut demo = broker.demo();
    let ids: Vec<String> = (0..30).map(|at| submit(&mut demo, &format!("secret number {at}"))).collect();
    broker.wait_delivered(&ids);
    let browser = Browser::open(broker.ports.portal).await;
    browser.goto("/messages?limit=25").await;
    browser.sign_in(ADMIN, PASSWORD).await;
    assert_eq!(browser.count("tbody tr").await, 25);
    browser.click("Next →").await;
    assert_eq!(browser.count("tbody tr").await, 5);
    browser.click("← Back").await;
    assert_eq!((browser.count("tbody tr").await, browser.path().await.as_str()), (25, "/messages?limit=25"));
    assert!(browser.text().await.contains("+491****5678") && !browser.source().await.contains("15112345678"));

    browser.choose("status", "failed").await;
    browser.click("Show").await;
    assert!(browser.text().await.contains("No message fits this filter."));
    browser.click("Clear the filter").await;
    browser.fill("q", &ids[7]).await;
    browser.fill("sender", "+49 151 12345678").await;
    browser.click("Show").await;
    assert_eq!(browser.count("tbody tr").await, 1);
    browser.click(&ids[7]).await;
    assert_eq!(browser.path().await, format!("/messages/{}", ids[7]));
    assert!(!browser.source().await.contains("secret number"));
    browser.click("Reveal the content").await;
    assert_eq!(browser.text_of("#body").await, "secret number 7");
    assert_eq!(browser.text_of("#number").await, "+4915112345678");
    browser.goto(&format!("/admin/audit?object={}", ids[7])).await;
    assert_eq!(browser.count("tbody tr").await, 1, "{}", browser.text().await);
    assert!(browser.text().await.contains(ADMIN));
    browser.goto("/admin/audit").await;
    browser.click("Verify the log").await;
    assert!(browser.text().await.contains("The log is whole"));
    browser.close().await;
}
