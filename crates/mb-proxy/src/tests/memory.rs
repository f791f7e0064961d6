//! How much of requests and answers is in memory, and what happens when there is no more.

use super::*;

#[tokio::test]
async fn slow_large_bodies_hold_only_what_has_arrived() {
    let rig = Rig::start().await;
    let free = |kib: usize| BUDGET_KIB - kib;
    let large = "x".repeat(100 << 10);
    let slow = || pieces(&[&large, "x"], After::FallsSilent);
    let mut single = Box::pin(rig.send("POST", paths::MESSAGES_BATCH, "application/json", slow()));
    assert!(std::future::poll_fn(|cx| Poll::Ready(single.as_mut().poll(cx).is_pending())).await);
    assert_eq!(rig.budget(), free(128));
    let mut lines = Box::pin(rig.ndjson(slow()));
    assert!(std::future::poll_fn(|cx| Poll::Ready(lines.as_mut().poll(cx).is_pending())).await);
    assert_eq!(rig.budget(), free(128 + 128));
    let mut small = Box::pin(rig.ndjson(pieces(&["x"], After::FallsSilent)));
    assert!(std::future::poll_fn(|cx| Poll::Ready(small.as_mut().poll(cx).is_pending())).await);
    assert_eq!(rig.budget(), free(128 + 128), "a body of one byte takes nothing from others");
    drop((single, lines, small));
    assert_eq!(rig.budget(), BUDGET_KIB);
}

#[tokio::test]
async fn without_memory_small_requests_go_on_and_large_ones_are_turned_away() {
    let rig = Rig::start().await;
    let mut shares = ["a", "b"].map(|name| rig.proxy.shared.budget.share(&ClientName::parse(name).expect("a name")));
    for share in &mut shares {
        share.cover(64 << 20).expect("room");
    }
    let large = format!("{MESSAGE}\n").repeat(4000);
    for (path, content_type) in [
        (paths::MESSAGES_BATCH, "application/x-ndjson"),
        (paths::MESSAGES_BATCH, "application/json"),
        (paths::MESSAGES, "application/json"),
    ] {
        let (_, problem) = rig.send("POST", path, content_type, Body::from(large.clone())).await;
        assert_eq!(problem["code"], "overloaded", "{path} {content_type}");
    }
    assert_eq!(rig.ndjson(Body::from(MESSAGE)).await.0, StatusCode::ACCEPTED);
    rig.submit().await;
    // What was accepted before memory ran out is told.
    let (status, answer) = rig.ndjson(pieces(&[MESSAGE, "\n", MESSAGE, "\n", &large], After::FallsSilent)).await;
    let results = answer["results"].as_array().expect("a list");
    assert_eq!((status, results.len()), (StatusCode::ACCEPTED, 3), "{answer}");
    assert!(results[1]["message_id"].is_string());
    assert_eq!(results[2]["code"], "overloaded");
}

#[tokio::test]
async fn an_answer_full_of_refusals_is_bounded_and_paid_for_until_it_has_gone_out() {
    let rig = Rig::start().await;
    let unknown: Vec<_> = (0..20).map(|number| format!(r#""{number}{}":1"#, "x".repeat(60))).collect();
    let line = format!("{{{}}}\n", unknown.join(","));
    let request = Request::builder().method("POST").uri(paths::MESSAGES_BATCH);
    let request = request.header("content-type", "application/x-ndjson").extension(peer());
    let request = request.body(Body::from(line.repeat(9000))).expect("a request");
    let response = rig.app.clone().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let answer = response.into_body().collect().await.expect("a body").to_bytes();
    assert!(answer.len() < 5 << 20, "{} bytes", answer.len());
    assert!(rig.budget() <= BUDGET_KIB - (answer.len() >> 10), "the answer is not out yet");
    let json: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
    drop(answer);
    assert_eq!(rig.budget(), BUDGET_KIB);
    let results = json["results"].as_array().expect("a list");
    assert!(results.iter().all(|item| item["code"] == "validation_failed"));
    let explained = results.iter().filter(|item| item["errors"].is_array()).count();
    assert_eq!((results.len(), explained), (9000, 100));
}
