//! The second factor, from switching it on to signing in by it.

use mb_core::Clock;
use mb_crypto::totp::TotpSecret;

use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

/// The bytes of base32 (RFC 4648, section 6).
fn base32(text: &str) -> Vec<u8> {
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for character in text.bytes().filter(u8::is_ascii_alphanumeric) {
        let value = if character.is_ascii_digit() { character - b'2' + 26 } else { character - b'A' };
        bits = bits << 5 | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).expect("eight bits"));
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_switched_on_asked_for_and_recovered_from() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal).await;
    browser.goto("/profile/two-factor").await;
    browser.sign_in(ADMIN, PASSWORD).await;
    browser.fill("current_password", PASSWORD).await;
    browser.click("Continue").await;
    assert_eq!(browser.count("svg.qr path").await, 1);
    let secret = TotpSecret::from_bytes(&base32(&browser.text_of("#secret").await)).expect("a secret");
    browser.fill("otp", "000000").await;
    browser.click("Switch on").await;
    assert_eq!(browser.count(".error").await + browser.count(".alert").await, 1, "{}", browser.text().await);
    browser.fill("otp", secret.code_at(Clock::System.now()).expose()).await;
    browser.click("Switch on").await;
    let codes = browser.text_of("#recovery-codes").await;
    let code = codes.lines().next().expect("a recovery code").to_owned();
    browser.click("I have kept them").await;
    assert!(browser.text().await.contains("recovery codes left"));

    browser.sign_out().await;
    browser.goto("/messages").await;
    browser.sign_in(ADMIN, PASSWORD).await;
    assert_eq!(browser.path().await, "/login/code?next=%2Fmessages");
    browser.fill("otp", "000000").await;
    browser.click("Sign in").await;
    assert!(browser.text().await.contains("This code is wrong"));
    browser.fill("otp", &code).await;
    browser.click("Sign in").await;
    assert_eq!(browser.path().await, "/messages");
    assert!(!browser.source().await.contains(&code));
    browser.close().await;
}
