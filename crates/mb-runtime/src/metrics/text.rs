//! From prometheus-client's `OpenMetrics` text to the classic Prometheus format 0.0.4.
//!
//! The two differ in the names of counters (`# TYPE x counter` over samples `x_total`; here both are `x_total`) and in
//! the closing `# EOF`. A family that several registries have is shown once, with all their samples. Source: Prometheus,
//! "Exposition formats"; `OpenMetrics` 1.0, section 4.

use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    samples: String,
}

/// Families by name, so that the text is in a stable order.
#[derive(Debug, Default)]
pub(super) struct Merged {
    families: BTreeMap<String, Family>,
}

impl Merged {
    /// Adds a registry's text, as `encode_registry` wrote it: of each family first HELP, then TYPE, then its samples.
    pub(super) fn add(&mut self, open_metrics: &str) {
        let mut name = "";
        for line in open_metrics.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (family, help) = rest.split_once(' ').unwrap_or((rest, ""));
                name = family;
                help.clone_into(&mut self.families.entry(name.to_owned()).or_default().help);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let kind = rest.split_once(' ').map_or("", |(_, kind)| kind);
                kind.clone_into(&mut self.families.entry(name.to_owned()).or_default().kind);
            } else if !line.starts_with('#') && !line.is_empty() {
                let samples = &mut self.families.entry(name.to_owned()).or_default().samples;
                samples.push_str(line);
                samples.push('\n');
            }
        }
    }

    pub(super) fn finish(self) -> String {
        let mut out = String::new();
        for (name, Family { help, kind, samples }) in self.families {
            let suffix = if kind == "counter" { "_total" } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(out, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n{samples}");
        }
        out
    }
}
