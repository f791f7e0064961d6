//! Limits per client: what they refuse, what they say, and what they cost nothing for.

use axum::http::HeaderMap;

use super::*;

/// Status, code of a problem, and the three headers as far as they are there.
type Told = (u16, Option<String>, [Option<u32>; 3]);

async fn post(rig: &Rig, path: &str, body: &str) -> (Told, HeaderMap, serde_json::Value) {
    let request = Request::builder().method("POST").uri(path).header("content-type", "application/json");
    let request = request.extension(peer()).body(Body::from(body.to_owned())).expect("a request");
    let (parts, body) = rig.app.clone().oneshot(request).await.expect("infallible").into_parts();
    let json: serde_json::Value =
        serde_json::from_slice(&body.collect().await.expect("a body").to_bytes()).expect("JSON");
    let number =
        |name: &str| parts.headers.get(name).map(|value| value.to_str().expect("text").parse().expect("a number"));
    let headers = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"].map(number);
    let code = json["code"].as_str().map(str::to_owned);
    ((parts.status.as_u16(), code, headers), parts.headers, json)
}

async fn submit(rig: &Rig) -> Told {
    post(rig, paths::MESSAGES, MESSAGE).await.0
}

fn batch(items: &[&str]) -> String {
    format!(r#"{{"messages":[{}]}}"#, items.join(","))
}

#[tokio::test]
async fn a_client_over_its_limit_is_told_when_to_come_back() {
    let rig = Rig::start_with(2, RateLimits::default()).await;
    assert_eq!(submit(&rig).await, (202, None, [Some(2), Some(1), Some(60)]));
    let (status, _, [_, remaining, reset]) = submit(&rig).await;
    assert_eq!((status, remaining), (202, Some(0)));
    assert!(reset.is_some_and(|reset| (55..=60).contains(&reset)), "{reset:?}");
    let (told, headers, problem) = post(&rig, paths::MESSAGES, MESSAGE).await;
    assert_eq!((told.0, told.1.as_deref()), (429, Some("rate_limited")), "{problem}");
    assert_eq!(headers["retry-after"], headers["x-ratelimit-reset"]);
}

#[tokio::test]
async fn what_is_not_accepted_costs_nothing() {
    let rig = Rig::start_with(2, RateLimits::default()).await;
    for bad in ["{}", "no json", r#"{"sender_number":"1","message_body":"x"}"#] {
        let ((status, _, [_, remaining, reset]), ..) = post(&rig, paths::MESSAGES, bad).await;
        assert!(status >= 400, "{bad}");
        assert_eq!((remaining, reset), (Some(2), Some(0)), "{bad}");
    }
    let ((_, _, headers), ..) = post(&rig, paths::MESSAGES_BATCH, &batch(&["{}", MESSAGE, "{}"])).await;
    assert_eq!(headers[1], Some(1));
    assert_eq!(submit(&rig).await.0, 202);
    assert_eq!(submit(&rig).await.0, 429);
}

#[tokio::test]
async fn in_a_batch_only_the_items_over_the_limit_are_refused() {
    let rig = Rig::start_with(3, RateLimits::default()).await;
    submit(&rig).await;
    let (told, _, answer) = post(&rig, paths::MESSAGES_BATCH, &batch(&[MESSAGE; 4])).await;
    assert_eq!((told.0, told.2[0], told.2[1]), (202, Some(3), Some(0)));
    let codes: Vec<_> = answer["results"].as_array().expect("a list").iter().map(|item| &item["code"]).collect();
    let limited = &serde_json::Value::from("rate_limited");
    assert_eq!(codes, [&serde_json::Value::Null, &serde_json::Value::Null, limited, limited]);
    let lines = format!("{MESSAGE}\n{MESSAGE}\n");
    let (_, answer) = rig.ndjson(Body::from(lines)).await;
    assert!(
        answer["results"].as_array().expect("a list").iter().all(|item| item["code"] == "rate_limited"),
        "{answer}"
    );
}

#[tokio::test]
async fn without_a_limit_nothing_is_counted_or_said() {
    let clients = BTreeMap::from([(ClientName::parse("demo").expect("valid"), 0)]);
    for rig in [Rig::start().await, Rig::start_with(1, RateLimits { clients, ..RateLimits::default() }).await] {
        for _ in 0..3 {
            assert_eq!(submit(&rig).await, (202, None, [None; 3]));
        }
        let request = Request::builder().method("GET").uri(paths::MESSAGE).extension(peer()).body(Body::empty());
        let response = rig.app.clone().oneshot(request.expect("a request")).await.expect("infallible");
        assert!(!response.headers().contains_key("x-ratelimit-limit"));
    }
}

#[tokio::test]
async fn a_proxy_takes_its_share_and_the_domains_limit_comes_before_its_own() {
    let domains = BTreeMap::from([(DomainName::default(), 5)]);
    let rig = Rig::start_with(1, RateLimits { proxies: 2, domains, ..RateLimits::default() }).await;
    assert_eq!(submit(&rig).await.2[0], Some(3));
}

#[tokio::test]
async fn a_whole_batch_that_the_journal_does_not_take_costs_nothing() {
    let rig = Rig::start_with(3, RateLimits::default()).await;
    rig.journal.shutdown().await;
    let (told, ..) = post(&rig, paths::MESSAGES_BATCH, &batch(&[MESSAGE; 2])).await;
    assert_eq!((told.0, told.2[1]), (503, Some(3)));
    assert_eq!(submit(&rig).await.2[1], Some(3));
}
