//! A message of its own, from a proxy to the store and back: submitted as a client, delivered, opened by an administrator.

use std::time::Duration;

use anyhow::{Context as _, bail};
use mb_api::client::Client;
use mb_api::dto::{MessageDetail, MessageDetailQuery};
use mb_api::problem::ProblemCode;
use mb_core::{ClientName, MessageId, MessageState};
use tokio::time::Instant;

use crate::access;
use crate::bench::{self, Credentials, Http, Http1, Target, message_ids, problem_detail};
use crate::doctor::Finding;
use crate::layout::Layout;
use crate::output;

/// The client that submits, and the topic: what receives every topic receives this, too, and may pass it over.
const NAME: &str = "smoke-test";
/// A number that belongs to nobody (the North American range for fiction).
const SENDER: &str = "+12025550100";
/// How long a message may take to its destinations.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn check(layout: &Layout, server: &Client, url: Option<&str>) -> Vec<Finding> {
    let text = format!("smoke test at {}", mb_core::Clock::System.now());
    let began = Instant::now();
    let id = match submit(layout, url, &text).await {
        Ok(id) => id,
        Err(error) => {
            let fix = "the proxy's answer says what is missing; `proxy.log` has the rest";
            return vec![Finding::fail("submit", output::why(&error), fix)];
        }
    };
    let submitted = Finding::ok("submit", format!("{id} accepted after {} ms", began.elapsed().as_millis()));
    let found = match follow(server, &id, began + PATIENCE).await {
        Ok(found) => found,
        Err(error) => {
            let fix = "`message-broker admin messages show` tells where it is; worker.log and main_server.log why";
            return vec![submitted, Finding::fail("retrieve", output::why(&error), fix)];
        }
    };
    let retrieved = if found.message_body.as_ref().is_some_and(|body| *body.secret().expose() == text) {
        Finding::ok("retrieve", format!("stored and opened after {} ms", began.elapsed().as_millis()))
    } else {
        Finding::fail(
            "retrieve",
            "what is stored does not open",
            "`message-broker keys list` says which keys are there",
        )
    };
    vec![submitted, retrieved, delivered(&found)]
}

fn delivered(found: &MessageDetail) -> Finding {
    let state = found.row.status;
    let detail = format!("{} to {}", state.as_str(), output::counted(found.deliveries.len(), "destination"));
    if state == MessageState::Delivered {
        Finding::ok("delivery", detail)
    } else {
        let fix = format!("`message-broker admin messages show {}` lists every attempt", found.row.message_id);
        Finding::warn("delivery", detail, fix)
    }
}

/// Submits as client `smoke-test`, which is made if it is not there.
async fn submit(layout: &Layout, url: Option<&str>, text: &str) -> anyhow::Result<MessageId> {
    let name = ClientName::parse(NAME).context("a valid name")?;
    let credentials = Credentials::of(layout.root(), &name);
    if !credentials.exist() {
        (access::preparing(layout).issue)(vec![NAME.to_owned()]).await.context("make its client")?;
    }
    let tls = credentials.tls(Http::One)?;
    let target = Target::find(&bench::proxy_url(url, layout.root())?).await?;
    let body = serde_json::json!({ "sender_number": SENDER, "message_body": text, "topic": NAME }).to_string();
    let request = format!(
        "POST /api/v1/messages HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        target.authority,
        body.len()
    );
    let mut connection = Http1::connect(&target, &tls, PATIENCE).await.context("connect to the proxy")?;
    let answer = connection.exchange(request.as_bytes()).await.context("submit")?;
    if answer.status != 202 {
        bail!("refused: {}", problem_detail(answer.status, answer.body));
    }
    message_ids(answer.body).next().context("read answer: it holds no message_id")
}

/// The message once nothing more happens to it.
async fn follow(server: &Client, id: &MessageId, give_up: Instant) -> anyhow::Result<MessageDetail> {
    let mut last = "not stored";
    loop {
        match server.message(id, &MessageDetailQuery { body: Some(false) }).await {
            Ok(found) if found.row.status.is_final() => {
                return server.message(id, &MessageDetailQuery::default()).await.context("open the message");
            }
            Ok(_) => last = "stored, and its deliveries are not over",
            Err(error) if error.code() == Some(ProblemCode::NotFound) => {}
            Err(error) => return Err(error).context("ask for the message"),
        }
        if Instant::now() >= give_up {
            bail!("{id} is {last} after {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
