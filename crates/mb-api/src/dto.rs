//! Bodies of requests and answers, for both ends.
//!
//! Requests refuse unknown members, so that a misspelt one is an error and not a silent default; answers do not, so that
//! an older caller understands a newer main server.

mod admin;
mod archive;
mod auth;
pub mod delivery;
mod handover;
mod health;
mod message;
mod overview;
pub mod pull;
mod secret;
pub mod worker;

pub use admin::*;
pub use archive::{
    AttemptOutcome, AttemptRow, ExportFormat, MessageDetail, MessageDetailQuery, MessageQuery, MessageRow, Metadata,
};
pub use auth::{
    Accepted, BothFactors, ChangePassword, ConfirmTwoFactor, CurrentPassword, ForgotPassword, Login, NewSession,
    NewSessionOtp, OpenedSession, OtpNeeded, PortalSession, Profile, RecoveryCodes, RefreshToken, ResetPassword,
    SessionRow, SetTimeZone, TokenType, Tokens, TwoFactorOffer,
};
pub use handover::{
    ConfirmAnswer, ConfirmRequest, Epoch, KnownForGood, OpenForGood, PolicyQuery, RegisterAnswer, RegisterResult,
};
pub use health::{HealthReport, HealthStatus};
pub use message::{
    InternalStatusAnswer, InternalStatusRequest, MAX_STATUS_IDS, MessageStatus, StatusAnswer, SubmitMessage,
    SubmittedMessage,
};
pub use overview::{FailureCount, Overview, OverviewPeriod, OverviewPoint, OverviewQuery, TimeToDeliver, Waiting};
pub use secret::SecretText;

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use mb_core::policy::{MasterPublicKey, RateLimits};
    use mb_core::{KeyId, Policy};

    use super::*;

    pub(crate) fn policy(version: u64) -> Policy {
        Policy {
            version,
            ca_pem: String::new(),
            issuers: BTreeSet::new(),
            master_key: MasterPublicKey { id: KeyId::from_bytes([0; 16]), x25519: vec![0; 32] },
            revoked: BTreeSet::new(),
            suspended: BTreeSet::new(),
            domains: BTreeMap::new(),
            limits: RateLimits::default(),
            expunged: BTreeMap::new(),
        }
    }

    #[test]
    fn register_results_are_compact_and_read_back() {
        let results = vec![
            RegisterResult::Stored,
            RegisterResult::Duplicate,
            RegisterResult::Quarantined("stale".into()),
            RegisterResult::Refused("bad_seal".into()),
        ];
        let answer = RegisterAnswer {
            epoch: Epoch::from_bytes([0xab; 16]),
            results,
            leased: delivery::LeasedDeliveries::default(),
        };
        let json = serde_json::to_string(&answer).expect("serialises");
        assert_eq!(
            json,
            r#"{"epoch":"abababababababababababababababab","results":["stored","duplicate",{"quarantined":"stale"},{"refused":"bad_seal"}]}"#
        );
        let again = serde_json::from_str::<RegisterAnswer>(&json).expect("reads back");
        assert_eq!((again.epoch, again.results), (answer.epoch, answer.results));
    }

    #[test]
    fn requests_refuse_unknown_members() {
        assert!(serde_json::from_str::<ConfirmRequest>(r#"{"ids":[]}"#).is_ok());
        assert!(serde_json::from_str::<ConfirmRequest>(r#"{"ids":[],"id":1}"#).is_err());
    }

    #[test]
    fn private_keys_do_not_show_in_debug_output() {
        let key = SecretText::new("-----BEGIN PRIVATE KEY-----".into());
        assert!(!format!("{key:?}").contains("BEGIN"));
        assert!(serde_json::to_string(&key).expect("serialises").contains("BEGIN"));
    }
}
