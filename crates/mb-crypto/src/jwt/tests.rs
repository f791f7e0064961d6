//! What is an access token, and everything that is none.

use proptest::prelude::*;

use super::*;
use crate::token::{Token, TokenKind};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn secret() -> JwtSecret {
    JwtSecret::from_text("0123456789abcdef0123456789abcdef").expect("long enough")
}

fn claims() -> AccessClaims {
    AccessClaims {
        user: UserId::new(42),
        role: UserRole::UserManager,
        generation: 3,
        session: SessionId::from_bytes([7; 16]),
    }
}

fn issued() -> String {
    secret().issue(&claims(), NOW).expect("issued").expose().clone()
}

fn payload() -> serde_json::Value {
    let token = issued();
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}

/// A token signed with the right secret.
fn signed(header: &str, payload: &serde_json::Value) -> String {
    secret().sign(header.as_bytes(), payload.to_string().as_bytes())
}

fn is_forged(token: &str) -> bool {
    matches!(secret().verify(token, NOW), Err(CryptoError::Forged))
}

#[test]
fn a_token_names_its_user_until_it_expires() {
    let token = issued();
    assert_eq!(secret().verify(&token, NOW).expect("good"), claims());
    let last = NOW.plus(ACCESS_LIFETIME).minus(Duration::from_secs(1));
    assert_eq!(secret().verify(&token, last).expect("good"), claims());
    assert!(matches!(secret().verify(&token, NOW.plus(ACCESS_LIFETIME)), Err(CryptoError::Expired)));
}

/// Signed by another implementation (Python, hmac).
#[test]
fn the_form_stays_as_it_is() {
    const GOLDEN: &str = concat!(
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.",
        "eyJpc3MiOiJtZXNzYWdlLWJyb2tlciIsImF1ZCI6Im1lc3NhZ2UtYnJva2VyLWFwaSIsInN1YiI6IjQyIiwidHlwIjoiYWNjZXNz",
        "Iiwicm9sZSI6InVzZXJfbWFuYWdlciIsImdlbiI6Mywic2lkIjoiMDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDciLCJp",
        "YXQiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMTgwMH0",
        ".zuQ8PNlMKDDSfbiX401e-mjbv9twalRx-fUmL5q4U8s"
    );
    assert_eq!(issued(), GOLDEN);
}

#[test]
fn a_token_from_the_future_is_refused_past_what_clocks_differ() {
    let token = issued();
    assert!(secret().verify(&token, NOW.minus(Duration::from_mins(1))).is_ok());
    assert!(matches!(secret().verify(&token, NOW.minus(Duration::from_secs(61))), Err(CryptoError::Forged)));
}

#[test]
fn the_header_is_not_the_tokens_to_choose() {
    assert!(!is_forged(&signed(HEADER, &payload())), "the same made by hand is good");
    for header in [
        r#"{"alg":"none","typ":"JWT"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"HS384","typ":"JWT"}"#,
        r#"{"alg":"RS256","typ":"JWT"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"../../dev/null"}"#,
        r#"{"alg":"HS256","typ":"JWT","b64":false,"crit":["b64"]}"#,
        "",
    ] {
        assert!(is_forged(&signed(header, &payload())), "{header}");
    }
    let token = signed(r#"{"alg":"none","typ":"JWT"}"#, &payload());
    let unsigned = token.rsplit_once('.').expect("three parts").0;
    assert!(is_forged(unsigned) && is_forged(&format!("{unsigned}.")));
}

#[test]
fn a_claim_that_is_missing_or_another_makes_it_none() {
    for (name, others) in [
        ("typ", vec![serde_json::json!("refresh"), serde_json::json!(1)]),
        ("iss", vec![serde_json::json!("another"), serde_json::json!(null)]),
        ("aud", vec![serde_json::json!("another"), serde_json::json!(["message-broker-api"])]),
        ("sub", vec![serde_json::json!("042"), serde_json::json!("x"), serde_json::json!(42)]),
        ("role", vec![serde_json::json!("root"), serde_json::json!(null)]),
        ("gen", vec![serde_json::json!(-1), serde_json::json!("3")]),
        ("sid", vec![serde_json::json!("7"), serde_json::json!(null)]),
        ("iat", vec![serde_json::json!(0), serde_json::json!(i64::MIN), serde_json::json!(1.5)]),
        ("exp", vec![serde_json::json!(i64::MAX), serde_json::json!(NOW.seconds() + 1801)]),
    ] {
        let mut missing = payload();
        missing.as_object_mut().expect("an object").remove(name);
        assert!(is_forged(&signed(HEADER, &missing)), "without {name}");
        for other in others {
            let mut changed = payload();
            changed[name] = other.clone();
            assert!(is_forged(&signed(HEADER, &changed)), "{name} {other}");
        }
    }
}

#[test]
fn other_tokens_and_other_secrets_are_refused() {
    for kind in TokenKind::ALL {
        assert!(is_forged(Token::generate(kind).expose()), "{kind:?}");
    }
    let other = JwtSecret::generate().issue(&claims(), NOW).expect("issued");
    assert!(is_forged(other.expose()));
    for text in ["", ".", "..", "a.b.c", &format!("{}.x", issued()), &format!(" {}", issued()), &"x".repeat(5000)] {
        assert!(is_forged(text), "{text:?}");
    }
}

#[test]
fn short_and_monotonous_secrets_are_refused_and_never_shown() {
    let sample = "YourVeryLongRandomSecretKeyHere";
    for bad in ["", "changeme", sample, &"a".repeat(64), &"changeme".repeat(8), &"x".repeat(2000)] {
        let error = JwtSecret::from_text(bad).expect_err("refused").to_string();
        assert_eq!(error, JWT_SECRET_RULE);
    }
    let made = JwtSecret::generate();
    let again = JwtSecret::from_text(made.to_text().expose()).expect("its own text");
    let token = made.issue(&claims(), NOW).expect("issued");
    assert_eq!(again.verify(token.expose(), NOW).expect("good"), claims());
    assert_eq!(format!("{made:?}"), "JwtSecret([secret])");
}

proptest! {
    #[test]
    fn a_token_changed_anywhere_is_refused(at in 0_usize..1000, to in "[A-Za-z0-9_.-]") {
        let token = issued();
        let at = at % token.len();
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assert_eq!(is_forged(&changed), changed != token);
    }

    #[test]
    fn whatever_is_issued_is_read_back(user in any::<i64>(), generation in any::<u64>(), session in any::<[u8; 16]>(), role in 0_usize..3) {
        let claims = AccessClaims {
            user: UserId::new(user),
            role: UserRole::ALL[role],
            generation,
            session: SessionId::from_bytes(session),
        };
        let token = secret().issue(&claims, NOW).expect("issued");
        prop_assert_eq!(secret().verify(token.expose(), NOW).expect("good"), claims);
    }

    #[test]
    fn no_input_makes_a_check_fail(text in ".{0,200}") {
        prop_assert!(is_forged(&text));
    }
}
