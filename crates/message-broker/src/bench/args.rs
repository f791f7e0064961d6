//! What `bench` is told on the command line, and how it is turned into a load that makes sense.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::payload::{Form, Shape};
use super::schedule::Limit;

/// The most clients that one run plays; the load's numbers have five digits for the client.
pub const MAX_CLIENTS: u32 = 99_999;

/// The most destinations that one run makes.
pub const MAX_DESTINATIONS: u32 = 10_000;

/// Load over mutual TLS: closed loop, or open loop with --rate. Afterwards every accepted id is looked up.
#[derive(clap::Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct BenchArgs {
    /// The proxy; the default is this machine's, at the configured port
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Client certificate (PEM); the default is that of client demo. Not used with --clients
    #[arg(long, requires = "key", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, requires = "cert", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// CA certificate (PEM); the default is certs/ca.crt of the data directory
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Play this many clients, bench-0001 and on; what they lack of certificates is issued first
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CLIENTS)), value_name = "N")]
    pub clients: Option<u32>,
    /// Connections at a time
    #[arg(long, default_value_t = 64, value_parser = positive, value_name = "N")]
    pub connections: usize,
    /// 512 connections: what is left of the rate when there are too many
    #[arg(long, conflicts_with = "connections")]
    pub goodput: bool,
    /// HTTP version
    #[arg(long, value_enum, default_value = "1", value_name = "1|2")]
    pub http: Http,
    /// Requests at a time on one HTTP/2 connection
    #[arg(long, default_value_t = 8, value_parser = positive, value_name = "N")]
    pub streams: usize,
    /// Messages per request: uses the batch route
    #[arg(long, value_parser = positive, value_name = "N")]
    pub batch: Option<usize>,
    /// How a batch is written
    #[arg(long, value_enum, default_value = "json", requires = "batch", value_name = "FORMAT")]
    pub format: Format,
    /// Messages per second; latency then counts from when a request was due (open loop)
    #[arg(long, value_parser = rate, value_name = "R")]
    pub rate: Option<f64>,
    /// How long to send [default: 10s]
    #[arg(long, value_parser = parse_duration, conflicts_with = "count", value_name = "TIME")]
    pub duration: Option<Duration>,
    /// How many messages to send, rounded up to whole batches
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    pub count: Option<u64>,
    /// Bytes of each message's text
    #[arg(long, default_value_t = 200, value_parser = positive, value_name = "N")]
    pub body_bytes: usize,
    /// Send the same load for this long before measuring
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub warmup: Option<Duration>,
    /// The longest wait for one answer
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    pub timeout: Duration,
    /// Also hold this many idle connections
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub idle: usize,
    /// A new connection, with a full handshake, for every request
    #[arg(long)]
    pub new_connections: bool,
    /// Do not look up afterwards what was accepted
    #[arg(long)]
    pub no_verify: bool,
    /// Load a bare mTLS echo in this process instead of a broker: the yardstick of the machine
    #[arg(long)]
    pub echo: bool,
    /// Take webhooks at this port of 127.0.0.1 meanwhile: the URL of a destination that was made before
    #[arg(long, value_name = "PORT", conflicts_with = "no_verify")]
    pub receive: Option<u16>,
    /// Make this many destinations at that port first, and send to each in turn; they are removed at the end
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DESTINATIONS)), requires = "receive", value_name = "N")]
    pub destinations: Option<u32>,
    /// So many of them never answer; what was accepted is not looked up then
    #[arg(long, default_value_t = 0, requires = "destinations", value_name = "N")]
    pub hang: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which HTTP the load speaks.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Http {
    /// HTTP/1.1, one request at a time on a connection
    #[value(name = "1")]
    One,
    /// HTTP/2, several streams on a connection
    #[value(name = "2")]
    Two,
}

impl Http {
    /// The name in ALPN (RFC 7301).
    pub(crate) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::One => b"http/1.1",
            Self::Two => b"h2",
        }
    }
}

/// How a batch is written.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One JSON object, at most 1,000 messages
    Json,
    /// A line per message, at most 10,000
    Ndjson,
}

impl BenchArgs {
    /// Connections at a time.
    pub(super) const fn lanes(&self) -> usize {
        if self.goodput { 512 } else { self.connections }
    }

    /// What each request looks like.
    pub(super) fn shape(&self) -> anyhow::Result<Shape> {
        let (form, items) = match (self.batch, self.format) {
            (None, _) => (Form::Single, 1),
            (Some(items), Format::Json) if items > 1000 => bail!("--batch: JSON takes at most 1000 messages"),
            (Some(items), Format::Ndjson) if items > 10_000 => bail!("--batch: NDJSON takes at most 10000 messages"),
            (Some(items), Format::Json) => (Form::Json, items),
            (Some(items), Format::Ndjson) => (Form::Ndjson, items),
        };
        if self.body_bytes > 512 * 1024 {
            bail!("--body-bytes: a message has at most 512 KiB");
        }
        if self.hang > self.destinations.unwrap_or(0) {
            bail!("--hang: there are not that many destinations");
        }
        Ok(Shape { form, items, body_bytes: self.body_bytes, topics: self.destinations.unwrap_or(0) })
    }

    /// When to stop sending.
    pub(super) fn limit(&self) -> Limit {
        match (self.count, self.duration) {
            (Some(count), _) => Limit::Messages(count),
            (None, duration) => Limit::Time(duration.unwrap_or(Duration::from_secs(10))),
        }
    }
}

fn positive(text: &str) -> anyhow::Result<usize> {
    match text.parse() {
        Ok(0) | Err(_) => bail!("not a whole number from 1"),
        Ok(number) => Ok(number),
    }
}

fn rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse().context("not a number")?;
    if (0.001..=10_000_000.0).contains(&rate) { Ok(rate) } else { bail!("not between 0.001 and 10000000") }
}

/// Reads `500ms`, `10s`, `1.5m`, `2h`; a bare number is seconds.
///
/// # Errors
/// If the text is none of these, or longer than 30 days.
pub fn parse_duration(text: &str) -> anyhow::Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        other => bail!("unknown unit {other:?}; use ms, s, m or h"),
    };
    let number: f64 = digits.parse().with_context(|| format!("{digits:?} is not a number"))?;
    let seconds = number * unit;
    if !(0.0..=2_592_000.0).contains(&seconds) {
        bail!("not between 0 and 30 days");
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser, Debug)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn parse(line: &str) -> Result<BenchArgs, clap::Error> {
        use clap::Parser as _;
        Line::try_parse_from(std::iter::once("bench").chain(line.split_whitespace())).map(|line| line.bench)
    }

    #[test]
    fn durations_have_units() {
        for (text, millis) in [("10s", 10_000), ("250ms", 250), ("1.5m", 90_000), ("2h", 7_200_000), ("3", 3000)] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for bad in ["", "s", "10 s", "-1s", "1d", "nan", "inf", "1e9h", "10ss"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_contracts_command_line_is_read() {
        let args =
            parse("--url https://h:1 --clients 1000 --connections 32 --http 2 --batch 100 --rate 5 --json").unwrap();
        assert_eq!((args.clients, args.connections, args.http), (Some(1000), 32, Http::Two));
        assert_eq!(args.shape().unwrap().items, 100);
        assert!(matches!(args.limit(), Limit::Time(time) if time == Duration::from_secs(10)));
        assert!(matches!(parse("--count 7").unwrap().limit(), Limit::Messages(7)));
        assert_eq!(parse("--goodput").unwrap().lanes(), 512);
        assert_eq!(parse("--cert a --key b --ca c --clients 5").unwrap().clients, Some(5));
    }

    #[test]
    fn loads_that_make_no_sense_are_refused() {
        for bad in [
            "--connections 0",
            "--rate 0",
            "--count 0",
            "--clients 0",
            "--duration 5s --count 5",
            "--cert a",
            "--http 3",
            "--destinations 5",
            "--receive 9000 --destinations 0",
            "--receive 9000 --hang 5",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("--batch 1001").unwrap().shape().is_err());
        assert!(parse("--batch 10000 --format ndjson").unwrap().shape().is_ok());
        assert!(parse("--receive 9000 --destinations 5 --hang 6").unwrap().shape().is_err());
    }
}
