//! `send`: submits one message as a client would, and with --wait follows it until nothing more happens by itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mb_core::{MessageId, MessageState};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::bench::{self, Credentials, Fault, Http, Http1, Target, message_ids, parse_duration, problem_detail};
use crate::output;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The exit code when --wait ends without a final state.
const EXIT_TIMEOUT: u8 = 3;

/// Submit one message and print its id.
#[derive(clap::Args, Clone, Debug)]
pub struct SendArgs {
    /// The sender's number, e.g. +4915112345678
    #[arg(long, value_name = "NUMBER")]
    pub sender: String,
    /// The text
    #[arg(long, value_name = "TEXT")]
    pub message: String,
    /// What it is about
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// The same key and client is the same message, however often it is sent
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// The proxy; the default is this machine's, at the configured port
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Client certificate (PEM); the default is that of client demo
    #[arg(long, requires = "key", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, requires = "cert", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// CA certificate (PEM); the default is certs/ca.crt of the data directory
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Wait until the message is delivered, failed, expired or cancelled, and print which
    #[arg(long)]
    pub wait: bool,
    /// The longest wait for the answer, and for the final state
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    pub timeout: Duration,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Submits. Exit code 1 unless the answer is 202, 3 if --wait runs into its timeout.
///
/// # Errors
/// If the proxy cannot be reached, a certificate cannot be used, or the answer cannot be read.
pub async fn run(args: SendArgs, data_dir: &Path) -> anyhow::Result<ExitCode> {
    let client = Credentials::given(data_dir, args.cert.as_deref(), args.key.as_deref(), args.ca.as_deref());
    let tls = client.tls(Http::One)?;
    let target = Target::find(&bench::proxy_url(args.url.as_deref(), data_dir)?).await?;
    let request = submission(&args, &target.authority)?;
    let mut connection = Http1::connect(&target, &tls, args.timeout).await.context("connect to the proxy")?;
    let (id, text) = {
        let answer = connection.exchange(&request).await.context("submit message")?;
        if answer.status != 202 {
            output::note(&problem_detail(answer.status, answer.body));
            return Ok(ExitCode::FAILURE);
        }
        let id = message_ids(answer.body).next().context("read answer: it holds no message_id")?;
        (id, String::from_utf8_lossy(answer.body).into_owned())
    };
    if !args.json {
        output::data(&id.to_string());
    }
    if !args.wait {
        if args.json {
            output::data(&text);
        }
        return Ok(ExitCode::SUCCESS);
    }
    wait(&args, id, connection, &target, &tls).await
}

/// Follows the message until it is final.
async fn wait(
    args: &SendArgs,
    id: MessageId,
    connection: Http1,
    target: &Target,
    tls: &Arc<ClientConfig>,
) -> anyhow::Result<ExitCode> {
    let deadline = Instant::now() + args.timeout;
    let request = format!("GET /api/v1/messages/{id} HTTP/1.1\r\nhost: {}\r\n\r\n", target.authority);
    let mut connection = Some(connection);
    let mut pause = FIRST_PAUSE;
    let mut last = "nothing known".to_owned();
    loop {
        let asked = async {
            let open = match connection.take() {
                Some(open) => open,
                None => Http1::connect(target, tls, args.timeout).await?,
            };
            ask(open, request.as_bytes()).await
        };
        match tokio::time::timeout_at(deadline, asked).await {
            Ok(Ok((kept, Status::Known { state, text }))) => {
                if state.is_final() {
                    output::data(if args.json { &text } else { state.as_str() });
                    return Ok(ExitCode::SUCCESS);
                }
                connection = kept;
                state.as_str().clone_into(&mut last);
            }
            Ok(Ok((kept, Status::NotNow(detail)))) => {
                connection = kept;
                last = detail;
            }
            Ok(Ok((_, Status::Refused(detail)))) => bail!("read status of {id}: {detail}"),
            Ok(Err(fault)) => last = fault.to_string(),
            Err(_) => {}
        }
        if Instant::now() + pause > deadline {
            output::note(&format!("{id} is not final after {:?}: {last}", args.timeout));
            return Ok(ExitCode::from(EXIT_TIMEOUT));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Status {
    Known {
        state: MessageState,
        text: String,
    },
    /// Ask again later.
    NotNow(String),
    Refused(String),
}

/// Asks once; gives the connection back if it may be used again.
async fn ask(mut connection: Http1, request: &[u8]) -> Result<(Option<Http1>, Status), Fault> {
    #[derive(Deserialize)]
    struct Row {
        status: MessageState,
    }
    let (status, keep_open) = {
        let answer = connection.exchange(request).await?;
        let detail = || problem_detail(answer.status, answer.body);
        let status = match (answer.status, serde_json::from_slice::<Row>(answer.body)) {
            (200, Ok(row)) => {
                Status::Known { state: row.status, text: String::from_utf8_lossy(answer.body).into_owned() }
            }
            (429 | 500..=599, _) => Status::NotNow(detail()),
            _ => Status::Refused(detail()),
        };
        (status, answer.keep_open)
    };
    Ok((keep_open.then_some(connection), status))
}

/// The request, head and body.
fn submission(args: &SendArgs, authority: &str) -> anyhow::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Content<'a> {
        sender_number: &'a str,
        message_body: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<&'a str>,
    }
    let body = Content { sender_number: &args.sender, message_body: &args.message, topic: args.topic.as_deref() };
    let body = serde_json::to_string(&body)?;
    let key = match args.idempotency_key.as_deref() {
        None => String::new(),
        // A line break in the key would be a header of its own.
        Some(key) if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            format!("idempotency-key: {key}\r\n")
        }
        Some(_) => bail!("--idempotency-key: use 1 to 255 visible ASCII characters"),
    };
    let head = format!(
        "POST /api/v1/messages HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\n{key}\
         content-length: {}\r\n\r\n",
        body.len()
    );
    Ok((head + &body).into_bytes())
}

#[cfg(test)]
mod tests {
    use mb_core::submission::BodyRules;
    use mb_core::{Submission, Timestamp};

    use super::*;

    fn args(line: &[&str]) -> SendArgs {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            send: SendArgs,
        }
        use clap::Parser as _;
        Line::try_parse_from(["send"].iter().chain(line)).map(|line| line.send).unwrap()
    }

    #[test]
    fn the_text_is_sent_as_it_is() {
        let text = "\"quotes\" \\ and\nlines \u{1f680}";
        let args = args(&["--sender", "+4915112345678", "--message", text, "--topic", "orders.eu"]);
        let request = String::from_utf8(submission(&args, "h:1").unwrap()).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
        assert!(!head.contains("idempotency-key"));
        let message = Submission::from_json(body.as_bytes(), BodyRules::default(), Timestamp::default()).unwrap();
        assert_eq!((message.body.as_str(), message.topic.as_str()), (text, "orders.eu"));
    }

    #[test]
    fn a_key_cannot_carry_a_header() {
        let with = |key| args(&["--sender", "+491", "--message", "x", "--idempotency-key", key]);
        let request = String::from_utf8(submission(&with("order-7"), "h:1").unwrap()).unwrap();
        assert!(request.contains("\r\nidempotency-key: order-7\r\n"));
        for bad in ["", "a\r\nx-a: b", "a b", "\u{e4}", &"k".repeat(256)] {
            assert!(submission(&with(bad), "h:1").is_err(), "{bad:?}");
        }
    }
}
