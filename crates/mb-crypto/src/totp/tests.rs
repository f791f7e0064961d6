//! The vectors of the RFCs, the window, and what people type.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The secret of RFC 4226, appendix D, and RFC 6238, appendix B.
fn vector() -> TotpSecret {
    TotpSecret::from_bytes(b"12345678901234567890").expect("20 bytes")
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(seconds).expect("small") * 1_000_000)
}

#[test]
fn the_vectors_of_rfc_4226() {
    let codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
    for (counter, code) in (0..).zip(codes) {
        assert_eq!(vector().code(counter), code.as_bytes());
    }
}

/// Appendix B prints eight digits; the last six are the six-digit code.
#[test]
fn the_vectors_of_rfc_6238() {
    let vectors = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];
    for (seconds, code) in vectors {
        assert_eq!(vector().verify(code, at(seconds)), Some(seconds / 30), "{seconds}");
    }
}

#[test]
fn a_code_is_good_one_step_early_and_one_step_late_and_names_its_own_step() {
    let (secret, step) = (vector(), 1000);
    let code = String::from_utf8(secret.code(step).to_vec()).expect("digits");
    for (seconds, found) in [
        (998 * 30 + 29, None),
        (999 * 30, Some(step)),
        (1000 * 30, Some(step)),
        (1001 * 30 + 29, Some(step)),
        (1002 * 30, None),
    ] {
        assert_eq!(secret.verify(&code, at(seconds)), found, "{seconds}");
    }
    assert_eq!(TotpSecret::generate().verify(&code, at(30_000)), None, "another secret");
}

#[test]
fn codes_are_taken_as_apps_show_them() {
    for good in ["287082", "287 082", " 2 8 7 0 8 2 "] {
        assert_eq!(vector().verify(good, at(59)), Some(1), "{good:?}");
    }
    for bad in ["", "28708", "2870820", "28708a", "287082\n", "２８７０８２", "-287082", "+87082"] {
        assert_eq!(vector().verify(bad, at(59)), None, "{bad:?}");
    }
}

#[test]
fn an_app_gets_everything_in_the_uri() {
    let uri = vector().uri("Message Broker", "a+b@example.com");
    assert_eq!(
        uri.expose(),
        "otpauth://totp/Message%20Broker:a%2Bb%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
         &issuer=Message%20Broker&algorithm=SHA1&digits=6&period=30"
    );
    assert!(TotpSecret::from_bytes(&[0; 19]).is_err());
    assert_eq!(format!("{:?}", vector()), "TotpSecret([secret])");
}

#[test]
fn recovery_codes_differ_and_are_found_as_people_type_them() {
    let secret = vector();
    let codes = RecoveryCode::generate_set();
    assert_eq!(codes.iter().map(|code| code.hash(&secret)).collect::<BTreeSet<_>>().len(), RECOVERY_CODES);
    for code in &codes {
        let text = code.to_text();
        let text = text.expose();
        assert_eq!((text.len(), text.find('-')), (11, Some(5)));
        for typed in [text.clone(), text.to_lowercase(), text.replace('-', ""), format!(" {} ", text.replace('-', " "))]
        {
            let read = RecoveryCode::parse(&typed).expect("well-formed");
            assert_eq!(read.hash(&secret), code.hash(&secret), "{typed:?}");
        }
        assert_ne!(code.hash(&TotpSecret::generate()), code.hash(&secret), "another user or another enrolment");
    }
    for bad in ["", "ABCDE-FGHI", "ABCDE-FGHIJK", "ABCDE-FGHI1", "ÄBCDE-FGHIJ"] {
        assert!(RecoveryCode::parse(bad).is_none(), "{bad:?}");
    }
}

/// HMAC-SHA-256 by another implementation (Python, hmac).
#[test]
fn a_recovery_hash_stays_as_it_is() {
    let code = RecoveryCode::parse("ABCDE-FGHIJ").expect("well-formed");
    assert_eq!(
        mb_core::hex::encode(&code.hash(&vector())),
        "dec002ba903f5f9b2bf0c158bde25c9dda309973e54a0190a3b6a4d473697e60"
    );
}

proptest! {
    #[test]
    fn no_input_makes_a_check_fail(code in ".{0,20}", seconds in any::<i64>()) {
        let _ = vector().verify(&code, Timestamp::from_micros(seconds));
        let _ = RecoveryCode::parse(&code);
    }

    #[test]
    fn every_code_verifies_at_its_own_time(seconds in 0_u64..1 << 40) {
        let secret = TotpSecret::generate();
        let code = String::from_utf8(secret.code(seconds / 30).to_vec()).expect("digits");
        prop_assert!(secret.verify(&code, at(seconds)).is_some());
    }
}
