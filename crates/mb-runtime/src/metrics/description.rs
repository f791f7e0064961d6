//! What is known of a metric before anything is counted, and the rule of names.

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only goes up, until the process starts again.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution: `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Kind {
    /// The word that follows `# TYPE`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric as scrapers see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The text that follows `# HELP`.
    pub help: String,
    /// The names of its labels.
    pub labels: Vec<&'static str>,
}

impl Description {
    /// `name` as it is registered: a counter's without `_total`.
    pub(super) fn new(kind: Kind, name: &str, help: &str, labels: &[&'static str]) -> Self {
        let suffix = if kind == Kind::Counter { "_total" } else { "" };
        Self { name: format!("{name}{suffix}"), kind, help: help.to_owned(), labels: labels.to_vec() }
    }
}

/// Why a name breaks the rule. What every client library tells of its process has the names that all of them use.
pub(super) fn fault(kind: Kind, name: &str) -> Option<&'static str> {
    const UNITS: [&str; 4] = ["_seconds", "_bytes", "_ratio", "_messages"];
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let ours = name.starts_with("mb_") || name.starts_with("process_");
    if !plain || !ours || name.split('_').any(str::is_empty) || name.split('_').count() < 3 {
        return Some("a name is mb_<part>_<thing>, lower case");
    }
    match kind {
        _ if name.ends_with("_total") => Some("the encoder adds _total to counters; nothing else has it"),
        Kind::Histogram if !UNITS.iter().any(|unit| name.ends_with(unit)) => Some("a distribution names its unit"),
        _ if name.ends_with("_ms") || name.ends_with("_kib") => Some("units are base units"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["mb_journal_depth", "mb_proxy_accepted", "mb_certificate_expiry_timestamp_seconds"] {
            assert_eq!(fault(Kind::Gauge, good), None, "{good}");
        }
        for bad in
            ["journal_depth", "mb_depth", "mb_Journal_depth", "mb__depth", "mb_proxy_accepted_total", "mb_x_time_ms"]
        {
            assert!(fault(Kind::Counter, bad).is_some(), "{bad}");
        }
        assert!(fault(Kind::Histogram, "mb_journal_fsync").is_some());
    }
}
