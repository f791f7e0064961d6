//! Users and what they may see.

use crate::harness::submit;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

const ANN: &str = "ann@example.org";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_tied_to_a_client_sees_its_messages_and_no_administration() {
    let broker = broker();
    broker.run_ok(&["ca", "issue", "branch-7"]);
    let ours = submit(&mut broker.client("branch-7"), "from the branch");
    let others = submit(&mut broker.demo(), "from the demo");
    broker.wait_delivered(std::slice::from_ref(&others));
    let browser = Browser::open(broker.ports.portal).await;
    browser.goto("/admin/users/new").await;
    browser.sign_in(ADMIN, PASSWORD).await;
    browser.fill("email", ANN).await;
    browser.fill("password", "short").await;
    browser.fill("client_id", "branch-7").await;
    browser.click("Add the user").await;
    assert_eq!(browser.count(".error").await, 1, "{}", browser.text().await);
    assert_eq!(browser.prop("#email", "value").await, ANN);
    browser.fill("password", PASSWORD).await;
    browser.click("Add the user").await;
    assert!(browser.text().await.contains("The user was added"));

    browser.sign_out().await;
    browser.goto("/messages").await;
    browser.sign_in(ANN, PASSWORD).await;
    browser.wait_for(&ours).await;
    assert!(!browser.source().await.contains(&others));
    browser.goto(&format!("/messages/{others}")).await;
    assert!(browser.text().await.contains("There is nothing here"));
    for page in
        ["/admin/users", "/admin/clients", "/admin/certificates", "/admin/domains", "/admin/audit", "/admin/notices"]
    {
        browser.goto(page).await;
        assert!(browser.text().await.contains("You may not do this"), "{page}");
        assert_eq!(browser.count("nav a[href^='/admin']").await, 0, "{page}");
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_user_is_out_at_once_and_a_deleted_one_for_good() {
    let broker = broker();
    let (admin, ann) = (Browser::open(broker.ports.portal).await, Browser::open(broker.ports.portal).await);
    admin.goto("/admin/users/new").await;
    admin.sign_in(ADMIN, PASSWORD).await;
    admin.fill("email", ANN).await;
    admin.fill("password", PASSWORD).await;
    admin.choose("role", "user_manager").await;
    admin.click("Add the user").await;
    ann.goto("/admin/users").await;
    ann.sign_in(ANN, PASSWORD).await;
    assert_eq!(ann.path().await, "/admin/users");
    admin.click("Disable").await;
    ann.goto("/admin/users").await;
    assert_eq!(ann.path().await, "/login?next=%2Fadmin%2Fusers");
    admin.click("Delete …").await;
    admin.fill("confirm", "somebody else").await;
    admin.click("Delete the user").await;
    assert_eq!(admin.count(".error").await, 1);
    admin.fill("confirm", ANN).await;
    admin.click("Delete the user").await;
    assert!(admin.text().await.contains("The user was deleted."));
    assert!(!admin.text_of("table").await.contains(ANN));
    admin.close().await;
    ann.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_and_a_client_are_changed_by_their_pages() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal).await;
    browser.goto("/admin/domains/new").await;
    browser.sign_in(ADMIN, PASSWORD).await;
    browser.fill("name", "acme").await;
    browser.fill("body_limit", "0").await;
    browser.click("Add the domain").await;
    assert_eq!(browser.count(".error").await, 1, "{}", browser.text().await);
    browser.fill("body_limit", "160").await;
    browser.click("Add the domain").await;
    assert!(browser.text_of("table").await.contains("160 characters"));
    browser.goto("/admin/clients/demo").await;
    browser.click("Suspend …").await;
    browser.fill("confirm", "demo").await;
    browser.click("Suspend").await;
    assert!(browser.text_of(".head").await.contains("suspended"));
    browser.click("Resume …").await;
    browser.click("Resume").await;
    assert!(browser.text_of(".head").await.contains("active"));
    browser.close().await;
}
