//! Bodies that are slow, large, broken off or full of what is refused.

use super::*;

#[tokio::test]
async fn an_ndjson_body_that_breaks_off_says_what_was_accepted() {
    let rig = Rig::start().await;
    for begun in [&[][..], &[MESSAGE], &["no json\n"]] {
        let (status, problem) = rig.ndjson(pieces(begun, After::BreaksOff)).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &"malformed_request".into()), "{begun:?}");
    }
    let (status, answer) = rig.ndjson(pieces(&[MESSAGE, "\n", MESSAGE], After::BreaksOff)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let results = answer["results"].as_array().expect("a list");
    assert_eq!(results.len(), 2, "{answer}");
    assert!(results[0]["message_id"].is_string());
    assert_eq!(results[1]["code"], "malformed_request");
    assert_eq!(rig.budget(), BUDGET_KIB, "every share was given back");
}

/// Sends a line end every 20 seconds.
struct Drops(Pin<Box<tokio::time::Sleep>>);

impl http_body::Body for Drops {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        std::task::ready!(self.0.as_mut().poll(cx));
        let next = self.0.deadline() + Duration::from_secs(20);
        self.0.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"\n")))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_ndjson_body_is_given_up() {
    let rig = Rig::start().await;
    let drops = Body::new(Drops(Box::pin(tokio::time::sleep(Duration::ZERO))));
    for (body, seconds) in [(pieces(&["\n"], After::FallsSilent), 30), (drops, 300)] {
        let begun = tokio::time::Instant::now();
        assert_eq!(rig.ndjson(body).await.1["code"], "request_timeout");
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
}

#[tokio::test]
async fn the_lines_before_the_byte_limit_are_taken() {
    let rig = Rig::start().await;
    // Fifteen blank MiB, then one piece that crosses the limit behind two messages.
    let mut body = vec![(" ".repeat(1023) + "\n").repeat(1 << 10); 15];
    body.push(format!("{MESSAGE}\n{MESSAGE}\n{}", "\n".repeat(1 << 20)));
    let body: Vec<_> = body.iter().map(String::as_str).collect();
    let (status, answer) = rig.ndjson(pieces(&body, After::FallsSilent)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let codes: Vec<_> = answer["results"].as_array().expect("a list").iter().map(|item| &item["code"]).collect();
    assert_eq!(codes, [&serde_json::Value::Null, &serde_json::Value::Null, &"too_many_items".into()]);
}

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

#[tokio::test]
async fn an_array_is_no_object_and_a_batch_is_as_deep_as_a_message() {
    let rig = Rig::start().await;
    let id = rig.submit().await;
    let deep = |depth: usize| {
        let metadata = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        format!(r#"{{"messages":[{{"sender_number":"+4915112345678","message_body":"x","metadata":{metadata}}}]}}"#)
    };
    for (path, body, code) in [
        (paths::MESSAGES_BATCH, format!("[[{MESSAGE}]]"), "malformed_json"),
        (paths::MESSAGES_STATUS, format!(r#"[["{id}"]]"#), "validation_failed"),
        (paths::MESSAGES_BATCH, deep(30), "malformed_json"),
        (paths::MESSAGES_BATCH, r#"{"messages":"SECRETBODY"}"#.to_owned(), "malformed_json"),
    ] {
        let (_, problem) = rig.send("POST", path, "application/json", Body::from(body)).await;
        assert_eq!(problem["code"], code, "{problem}");
        assert!(!problem.to_string().contains("SECRETBODY"), "{problem}");
    }
    let (status, answer) = rig.send("POST", paths::MESSAGES_BATCH, "application/json", Body::from(deep(29))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert!(answer["results"][0]["message_id"].is_string(), "{answer}");
}

#[tokio::test]
async fn a_large_value_is_not_quoted_back() {
    let rig = Rig::start().await;
    let large = format!("\"{}\"", "x".repeat(400 << 10));
    for path in [paths::MESSAGES, paths::MESSAGES_BATCH] {
        let (status, problem) = rig.send("POST", path, "application/json", Body::from(large.clone())).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &"malformed_json".into()));
        assert!(problem.to_string().len() < 1000, "{path}");
    }
}
