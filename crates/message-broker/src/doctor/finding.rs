//! What a check found.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works and could harm later.
    Warn,
    /// It does not work, or messages are in danger.
    Fail,
}

/// One line of the report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How bad it is.
    pub status: Status,
    /// What was found and why it matters.
    pub detail: String,
    /// What to do; `null` if there is nothing to do.
    pub fix: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Ok, detail: detail.into(), fix: None }
    }

    pub(crate) fn warn(check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Warn, detail: detail.into(), fix: Some(fix.into()) }
    }

    pub(crate) fn fail(check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Fail, detail: detail.into(), fix: Some(fix.into()) }
    }
}

/// The findings as lines for people, their columns below each other.
pub(super) fn lines(findings: &[Finding]) -> Vec<String> {
    let width = findings.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0);
    findings.iter().map(|finding| line(finding, width)).collect()
}

fn line(Finding { check, status, detail, fix }: &Finding, width: usize) -> String {
    let status = match status {
        Status::Ok => "ok  ",
        Status::Warn => "warn",
        Status::Fail => "FAIL",
    };
    let fix = fix.as_ref().map_or_else(String::new, |fix| format!("\n{:6}{:width$}  fix: {fix}", "", ""));
    format!("{status}  {check:width$}  {detail}{fix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_however_long_a_name_is() {
        let findings = [
            Finding::ok("disk", "room"),
            Finding::fail("certificate monitoring", "gone", "issue it"),
            Finding::warn("é", "accent", "none"),
        ];
        let text = lines(&findings).join("\n");
        let places: Vec<_> = ["room", "gone", "fix: issue", "accent", "fix: none"]
            .into_iter()
            .filter_map(|word| text.lines().find_map(|line| Some(line[..line.find(word)?].chars().count())))
            .collect();
        assert_eq!(places, [30; 5], "{text}");
    }
}
