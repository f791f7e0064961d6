//! Nothing readable at rest: no clear body, number, metadata or key in any file or log.

use crate::harness::{Broker, accepted_id, files};
use crate::{echo, harness};

const BODY: &str = "the quick brown fox in clear text";
const NUMBER: &str = "+4915199988877";
const META: &str = "meta-secret-7f3a";
const KEY: &str = "idempotency-key-secret-51";

#[test]
fn no_file_and_no_log_holds_what_clients_sent() {
    let settings =
        [("LOG_LEVEL", "trace"), ("ADMIN_PASSWORD", "Unspoken1word"), ("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8")];
    let mut broker = Broker::start_with(&settings);
    // What it says of a failure is kept, sealed.
    let url = echo::start(3);
    broker.run_ok(&["admin", "destinations", "create", "hook", "--url", &url, "--retry", "fixed:1s*20"]);
    let mut demo = broker.demo();
    let mut ids = Vec::new();
    for round in 0..20 {
        let body = serde_json::json!({
            "sender_number": NUMBER, "message_body": format!("{BODY} {round}"), "metadata": { "note": META }
        });
        let key = format!("{KEY}-{round}");
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        let response = demo.post_with("/api/v1/messages", &headers, body.to_string().as_bytes());
        ids.push(accepted_id(&response.expect("answered")));
    }
    let bad = serde_json::json!({ "sender_number": NUMBER, "message_body": BODY, "surprise": BODY }).to_string();
    demo.post("/api/v1/messages", &bad).expect("answered").assert_problem(422, "validation_failed");
    broker.wait_delivered(&ids);
    let tried_twice =
        |id: &String| harness::status_of(&mut broker.demo(), std::slice::from_ref(id))[0]["attempt_count"] == 2;
    assert!(ids.iter().any(tried_twice), "something failed at first");
    assert_clean(&broker);
    broker.crash_and_restart();
    broker.wait_delivered(&ids);
    assert_eq!(broker.terminate().0, Some(0));
    assert_clean(&broker);
}

fn assert_clean(broker: &Broker) {
    let secrets = [BODY, NUMBER, META, KEY, "Unspoken1word"];
    let mut bytes = 0;
    for path in files(broker.dir()) {
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            // The broker runs: a file that is written under another name first is no longer there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        bytes += content.len();
        for secret in secrets {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret:?} stands in {}", path.display());
        }
    }
    assert!(bytes > 100_000, "there were files to look at");
    for secret in secrets {
        assert!(!broker.stderr().contains(secret), "{secret:?} stands in the log");
        assert!(!broker.stdout().contains(secret), "{secret:?} was printed");
    }
}
