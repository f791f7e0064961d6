//! Signing webhooks as Standard Webhooks 1.0.0 has it
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): HMAC-SHA-256 over
//! `id.timestamp.body`, base64, under a secret that both ends know as `whsec_` and its base64.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mb_core::{Secret, Timestamp};
use zeroize::Zeroizing;

use crate::random;

const PREFIX: &str = "whsec_";

/// The specification asks for 24 to 64 bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
const LENGTH: usize = 32;

/// What a destination's messages are signed with.
#[derive(Clone)]
pub struct WebhookSecret {
    text: Secret<String>,
    key: hmac::Key,
}

impl WebhookSecret {
    /// A new one.
    pub fn generate() -> Self {
        let bytes = Zeroizing::new(random::random_array::<LENGTH>());
        Self::of(&bytes[..])
    }

    /// Reads `whsec_...`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?);
        LENGTHS.contains(&bytes.len()).then(|| Self::of(&bytes))
    }

    /// As both ends know it.
    pub const fn text(&self) -> &Secret<String> {
        &self.text
    }

    /// The signature of a message, `v1,...`.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [id.as_bytes(), b".", at.seconds().to_string().as_bytes(), b".", body] {
            context.update(part);
        }
        format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
    }

    fn of(bytes: &[u8]) -> Self {
        let text = Secret::new(format!("{PREFIX}{}", STANDARD.encode(bytes)));
        Self { text, key: hmac::Key::new(hmac::HMAC_SHA256, bytes) }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the reference libraries.
    #[test]
    fn a_signature_is_the_one_that_the_specification_shows() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let at = Timestamp::from_micros(1_614_265_330_000_000);
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn receivers_of_the_standard_accept_what_is_signed() {
        let secret = WebhookSecret::generate();
        let at = mb_core::Clock::System.now();
        let signature = secret.sign("m1", at, b"{}");
        let oracle = standardwebhooks::Webhook::new(secret.text().expose()).expect("a secret");
        let mut headers = http::HeaderMap::new();
        headers.insert("webhook-id", "m1".parse().expect("a value"));
        headers.insert("webhook-timestamp", at.seconds().to_string().parse().expect("a value"));
        headers.insert("webhook-signature", signature.parse().expect("a value"));
        oracle.verify(b"{}", &headers).expect("verifies");
        assert!(oracle.verify(b"{ }", &headers).is_err());
    }

    #[test]
    fn a_secret_reads_back_and_shows_nowhere() {
        let secret = WebhookSecret::generate();
        let again = WebhookSecret::parse(secret.text().expose()).expect("a secret");
        assert_eq!(again.sign("a", Timestamp::default(), b"b"), secret.sign("a", Timestamp::default(), b"b"));
        assert!(!format!("{secret:?}").contains(&secret.text().expose()[6..]));
        for bad in ["", "whsec_", "whsec_MTIz", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"] {
            assert!(WebhookSecret::parse(bad).is_none(), "{bad}");
        }
    }
}
