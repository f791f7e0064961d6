//! Signing in and out.

use crate::portal::apart::Apart;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_signs_in_and_comes_back_to_where_he_was() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal).await;
    browser.goto("/messages?status=failed").await;
    assert_eq!(browser.path().await, "/login?next=%2Fmessages%3Fstatus%3Dfailed");
    browser.sign_in(ADMIN, "Wrong-Horse-7").await;
    assert!(browser.text().await.contains("The address or the password is wrong."));
    assert_eq!(browser.prop("#email", "value").await, ADMIN);
    browser.sign_in(ADMIN, PASSWORD).await;
    assert_eq!(browser.path().await, "/messages?status=failed");
    browser.sign_out().await;
    assert!(browser.text().await.contains("You are signed out."));
    browser.goto("/profile").await;
    assert_eq!(browser.path().await, "/login?next=%2Fprofile");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_everywhere_ends_the_session_of_another_browser() {
    let broker = broker();
    let (here, there) = (Browser::open(broker.ports.portal).await, Browser::open(broker.ports.portal).await);
    for browser in [&here, &there] {
        browser.goto("/login").await;
        browser.sign_in(ADMIN, PASSWORD).await;
    }
    here.goto("/profile").await;
    assert_eq!(here.count("tbody tr").await, 2);
    here.click("Sign out everywhere").await;
    assert!(here.text().await.contains("All your sessions were ended."));
    there.goto("/messages").await;
    assert_eq!(there.path().await, "/login?next=%2Fmessages");
    here.close().await;
    there.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_main_server_stopped_a_page_says_so() {
    let mut apart = Apart::start(ADMIN, PASSWORD);
    let browser = Browser::open(apart.portal_port()).await;
    browser.goto("/login").await;
    browser.sign_in(ADMIN, PASSWORD).await;
    assert_eq!(browser.path().await, "/");
    apart.stop_server();
    browser.goto("/messages").await;
    assert!(browser.text().await.contains("The main server cannot be reached"));
    assert_eq!(browser.path().await, "/messages");
    apart.start_server();
    browser.wait_for("No message has arrived yet.").await;
    browser.close().await;
}
