//! Every field rule at its borders.

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn parse(json: &str) -> Result<Submission, Rejection> {
    Submission::from_json(json.as_bytes(), BodyRules::default(), NOW)
}

fn with(field: &str) -> Result<Submission, Rejection> {
    parse(&format!(r#"{{"sender_number":"+4915112345678","message_body":"hi",{field}}}"#))
}

fn codes(result: Result<Submission, Rejection>) -> Vec<String> {
    match result {
        Err(Rejection::Invalid(errors)) => errors.into_iter().map(|e| format!("{} {}", e.pointer, e.code)).collect(),
        other => vec![format!("{other:?}")],
    }
}

fn malformed(result: &Result<Submission, Rejection>) -> bool {
    matches!(result, Err(Rejection::Malformed(_)))
}

#[test]
fn numbers_at_their_borders() {
    for good in ["+12", "+123456789012345"] {
        assert!(is_e164(good), "{good}");
    }
    for bad in ["", "+", "+1", "12", "+02", "+1234567890123456", "+12\n", "+1 2", "+\u{661}\u{662}", "+1２", "++12"] {
        assert!(!is_e164(bad), "{bad:?}");
    }
    let result = parse("{\"sender_number\":\"+4915112345678\\n\",\"message_body\":\"hi\"}");
    assert_eq!(codes(result), ["/sender_number invalid_number"]);
}

#[test]
fn bodies_count_scalar_values_and_are_kept_as_sent() {
    let body = |text: &str| parse(&serde_json::json!({"sender_number":"+12","message_body":text}).to_string());
    for good in ["\u{1f600}".repeat(1000), " x ".to_owned(), "\0".to_owned(), "\u{5d0}\u{202e}".to_owned()] {
        assert_eq!(body(&good).map(|s| s.body), Ok(good));
    }
    assert_eq!(codes(body(&"\u{1f600}".repeat(1001))), ["/message_body too_long"]);
    for blank in ["", " \t\n", "\u{2003}\u{3000}\u{85}"] {
        assert_eq!(codes(body(blank)), ["/message_body blank"], "{blank:?}");
    }
}

#[test]
fn null_is_absent_and_every_error_is_listed() {
    let both = codes(parse(r#"{"sender_number":null,"message_body":null,"topic":null}"#));
    assert_eq!(both, ["/sender_number required", "/message_body required"]);
    assert_eq!(codes(with(r#""a/b~":1"#)), ["/a~1b~0 unknown_field"]);
    assert_eq!(codes(with(r#""topic":5"#)), ["/topic wrong_type"]);
    let optional = BodyRules { sender_required: false, ..BodyRules::default() };
    let accepted = Submission::from_json(br#"{"message_body":"x"}"#, optional, NOW).map(|s| s.sender_number);
    assert_eq!(accepted, Ok(None));
}

#[test]
fn what_is_not_json_is_malformed() {
    for bad in ["", "{", "{\"a\":1,}", "{} x", r#"{"message_body":"a","message_body":"b"}"#, r#"{"x":1,"x":2}"#] {
        assert!(malformed(&parse(bad)), "{bad}");
    }
    for other in ["[]", "1", "null", "\"x\""] {
        assert_eq!(codes(parse(other)), [" wrong_type"], "{other} is JSON");
    }
    assert!(malformed(&with(r#""topic":"\ud800""#)));
    assert!(malformed(&with(r#""metadata":{"a":["\udc00"]}"#)));
    for twice in [r#"{"a":1,"b":2,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[0,{"x":{"k":1,"k":2}}]"#] {
        assert!(malformed(&with(&format!("\"metadata\":{twice}"))), "{twice}");
    }
    assert!(with(r#""metadata":{"a":{"a":1},"A":[{"a":1},{"a":1}]}"#).is_ok(), "the same name in other objects");
    assert!(malformed(&Submission::from_json(b"{\"message_body\":\"\xff\"}", BodyRules::default(), NOW)));
    let deep = format!(r#""metadata":{{"a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    assert!(malformed(&with(&deep)));
    assert!(with(r#""metadata":{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}"#).is_ok());
}

#[test]
fn what_is_malformed_is_named_with_its_place_in_the_whole_text() {
    let told = |json: &str| match parse(json) {
        Err(Rejection::Malformed(detail)) => detail,
        other => format!("{other:?}"),
    };
    let lone = "{\n \"sender_number\": \"+12\",\n \"message_body\": \"\\ud800\"}";
    assert_eq!(told(lone), "unexpected end of hex escape at line 3 column 25");
    let twice = "{\"message_body\":\"a\",\n\"message_body\":\"b\"}";
    assert_eq!(told(twice), "duplicate field in an object at line 2 column 19");
    assert_eq!(told("{\"metadata\":{\"a\":1,}}"), "trailing comma at line 1 column 20");
}

#[test]
fn a_number_that_no_reader_can_hold_breaks_a_rule_of_its_field() {
    assert_eq!(codes(with(r#""metadata":{"a":[1e999]}"#)), ["/metadata out_of_range"]);
    assert_eq!(codes(with(r#""expires_in":1e999"#)), ["/expires_in out_of_range", "/expires_in wrong_type"]);
    assert!(with(r#""metadata":{"a":[1e308,123456789012345678901234567890]}"#).is_ok());
    assert!(malformed(&with(r#""metadata":{"a":1e999},"topic":"#)), "what is no JSON comes first");
}

#[test]
fn a_large_value_of_the_wrong_type_is_not_quoted_back() {
    let large = "x".repeat(400 << 10);
    let duplicate = format!(r#"{{"metadata":1,"{large}":1,"metadata":1}}"#);
    let quoted = |body: &str| match Submission::from_json(body.as_bytes(), BodyRules::default(), NOW) {
        Err(Rejection::Malformed(detail)) => detail,
        Err(Rejection::Invalid(errors)) => errors.into_iter().map(|error| error.pointer + &error.detail).collect(),
        Ok(submission) => format!("{submission:?}"),
    };
    for body in [format!("\"{large}\""), format!("{{\"a\":\"{large}\\ud800\"}}"), duplicate] {
        assert!(quoted(&body).chars().count() <= 200);
    }
}

#[test]
fn metadata_is_an_object_of_at_most_4_kib_kept_as_received() {
    let kept = with(r#""metadata":{ "client_id" : "other" }"#).map(|s| s.metadata);
    assert_eq!(kept, Ok(Some(r#"{ "client_id" : "other" }"#.to_owned())));
    let sized = |bytes: usize| with(&format!(r#""metadata":{{"a":"{}"}}"#, "x".repeat(bytes - 8)));
    assert!(sized(4096).is_ok());
    assert_eq!(codes(sized(4097)), ["/metadata too_long"]);
    for other in ["[]", "\"x\"", "1", "true"] {
        assert_eq!(codes(with(&format!("\"metadata\":{other}"))), ["/metadata wrong_type"]);
    }
}

#[test]
fn times_stay_within_30_days_and_in_order() {
    let at = |ahead: u64| NOW.plus(Duration::from_secs(ahead));
    let nine_ago = NOW.minus(Duration::from_secs(9));
    let past = with(&format!(r#""deliver_at":"{nine_ago}","expires_in":1"#));
    assert_eq!(past.map(|s| (s.deliver_at, s.deliver_at_requested)), Ok((None, Some(nine_ago))));
    let border = with(&format!(r#""deliver_at":"{}""#, at(2_592_000))).map(|s| s.deliver_at);
    assert_eq!(border, Ok(Some(at(2_592_000))));
    assert_eq!(codes(with(&format!(r#""deliver_at":"{}""#, at(2_592_001)))), ["/deliver_at too_late"]);
    for bad in ["0", "-1", "2592001"] {
        assert_eq!(codes(with(&format!("\"expires_in\":{bad}"))), ["/expires_in out_of_range"]);
    }
    for bad in ["1.5", "\"1\"", "1e99"] {
        assert_eq!(codes(with(&format!("\"expires_in\":{bad}"))), ["/expires_in wrong_type"]);
    }
    let equal = with(&format!(r#""deliver_at":"{}","expires_in":60"#, at(60)));
    assert_eq!(codes(equal), ["/expires_in before_deliver_at"]);
    assert_eq!(with(r#""expires_in":2592000"#).map(|s| s.expires_at), Ok(Some(at(2_592_000))));
}

#[test]
fn what_a_parser_quotes_of_a_text_is_not_told() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        #[serde(rename = "items")]
        _items: Vec<u8>,
    }
    let told = |json: &str| public_text(&serde_json::from_str::<Shape>(json).expect_err("refused"));
    let expected = "invalid type: string, expected a sequence at line 1 column 34";
    assert_eq!(told(r#"{"items":"SECRET, expected to stay"}"#), expected.replace("34", "35"));
    for json in [
        r#"{"SECRET":1}"#,
        r#"{"items":["SECRET"]}"#,
        r#""SECRET""#,
        r#"{"items":[1],"SECRET, expected ":2}"#,
        r#"{"items":[7777777]}"#,
    ] {
        let told = told(json);
        assert!(!told.contains("SECRET") && !told.contains("7777777"), "{told}");
        assert!(told.contains("expected"), "{told}");
    }
}
