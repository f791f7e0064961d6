//! What a person should know and nobody asked for: how serious it is and what it is about.

use std::fmt;

/// How serious a notice is. The order of the variants is from harmless to grave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeLevel {
    /// Good to know.
    Info,
    /// Will need somebody.
    Warning,
    /// Needs somebody now.
    Error,
}

impl NoticeLevel {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Error];

    /// The word used in the store and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Parses [`NoticeLevel::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

impl fmt::Display for NoticeLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a notice is about. With its key (which certificate, which destination) it names one open notice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A certificate expires soon.
    CertificateExpiring,
    /// Messages became dead letters.
    DeadLetters,
    /// A backup failed.
    BackupFailed,
    /// A proxy's journal has entries that were damaged or set aside.
    JournalDamaged,
    /// A destination was disabled.
    DestinationDisabled,
    /// The audit log does not verify.
    AuditBroken,
    /// Mail cannot be sent.
    MailFailing,
    /// A stored message does not open.
    MessageUnreadable,
    /// What is too old is not removed in time.
    RetentionBehind,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::CertificateExpiring,
        Self::DeadLetters,
        Self::BackupFailed,
        Self::JournalDamaged,
        Self::DestinationDisabled,
        Self::AuditBroken,
        Self::MailFailing,
        Self::MessageUnreadable,
        Self::RetentionBehind,
    ];

    /// The word used in the store and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CertificateExpiring => "certificate_expiring",
            Self::DeadLetters => "dead_letters",
            Self::BackupFailed => "backup_failed",
            Self::JournalDamaged => "journal_damaged",
            Self::DestinationDisabled => "destination_disabled",
            Self::AuditBroken => "audit_broken",
            Self::MailFailing => "mail_failing",
            Self::MessageUnreadable => "message_unreadable",
            Self::RetentionBehind => "retention_behind",
        }
    }

    /// Parses [`NoticeKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A notice's id in the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct NoticeId(i64);

impl NoticeId {
    /// From the store's number.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// The store's number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_in_store_and_json() {
        for kind in NoticeKind::ALL {
            assert_eq!(NoticeKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("serialises"), kind.as_str());
        }
        for level in NoticeLevel::ALL {
            assert_eq!(NoticeLevel::parse(level.as_str()), Some(level));
            assert_eq!(serde_json::to_value(level).expect("serialises"), level.as_str());
        }
    }
}
