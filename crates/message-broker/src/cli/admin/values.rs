//! Values as they are typed: what breaks a rule is a usage error that says the rule.

use std::convert::Infallible;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use mb_api::dto::StatsPeriod;
use mb_core::delivery::SCHEDULE_RULE;
use mb_core::name::NAME_RULE;
use mb_core::{ClientName, ClientStatus, DomainName, Email, MessageId, MessageIdPrefix, MessageState, Secret};
use mb_core::{DestinationName, NoticeId, RetrySchedule, Role, SenderRule, Timestamp, Topic, TopicGlob, UserRole};

pub(super) fn email(text: &str) -> Result<Email, String> {
    Email::parse(text).ok_or_else(|| "not an e-mail address".to_owned())
}

pub(super) fn role() -> impl TypedValueParser<Value = UserRole> {
    words(UserRole::ALL.map(UserRole::as_str), UserRole::parse)
}

pub(super) fn certificate_role() -> impl TypedValueParser<Value = Role> {
    words(Role::ALL.map(Role::as_str), Role::parse)
}

pub(super) fn client(text: &str) -> Result<ClientName, String> {
    ClientName::parse(text).ok_or_else(|| NAME_RULE.to_owned())
}

pub(super) fn domain(text: &str) -> Result<DomainName, String> {
    DomainName::parse(text).ok_or_else(|| NAME_RULE.to_owned())
}

pub(super) fn destination(text: &str) -> Result<DestinationName, String> {
    DestinationName::parse(text).ok_or_else(|| NAME_RULE.to_owned())
}

pub(super) fn glob(text: &str) -> Result<TopicGlob, String> {
    TopicGlob::parse(text).ok_or_else(|| "not a topic glob as in 'orders.*' or 'orders.**'".to_owned())
}

pub(super) fn schedule(text: &str) -> Result<RetrySchedule, String> {
    RetrySchedule::parse(text).ok_or_else(|| SCHEDULE_RULE.to_owned())
}

pub(super) fn client_status() -> impl TypedValueParser<Value = ClientStatus> {
    words(ClientStatus::ALL.map(ClientStatus::as_str), ClientStatus::parse)
}

pub(super) fn sender_rule() -> impl TypedValueParser<Value = SenderRule> {
    words(SenderRule::ALL.map(SenderRule::as_str), SenderRule::parse)
}

pub(super) fn state() -> impl TypedValueParser<Value = MessageState> {
    words(MessageState::ALL.map(MessageState::as_str), MessageState::parse)
}

pub(super) fn period() -> impl TypedValueParser<Value = StatsPeriod> {
    words(["24h", "7d", "30d", "all"], |word| serde_json::from_value(word.into()).ok())
}

pub(super) fn topic(text: &str) -> Result<Topic, String> {
    Topic::parse(text).ok_or_else(|| "not a topic".to_owned())
}

pub(super) fn message(text: &str) -> Result<MessageId, String> {
    MessageId::parse(text).ok_or_else(|| "not a message id".to_owned())
}

pub(super) fn message_prefix(text: &str) -> Result<MessageIdPrefix, String> {
    MessageIdPrefix::parse(text).ok_or_else(|| "not the beginning of a message id".to_owned())
}

pub(super) fn notice(text: &str) -> Result<NoticeId, String> {
    i64::from_str(text).map(NoticeId::new).map_err(|_| "not a notice's id".to_owned())
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| "not a time as in 2026-11-23T10:00:00Z".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "what clap calls")]
pub(super) fn secret(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// A number, or the word that stands for what holds elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Own(pub(super) Option<u32>);

impl FromStr for Own {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "default" {
            return Ok(Self(None));
        }
        text.parse().map(|number| Self(Some(number))).map_err(|_| "a number, or 'default'".to_owned())
    }
}

/// When an account ends, or that it does not: nothing is no answer to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct End(pub(super) Option<Timestamp>);

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" { Ok(Self(None)) } else { time(text).map(|at| Self(Some(at))) }
    }
}

/// One of a few words, which help and completions name.
fn words<T, const N: usize>(
    words: [&'static str; N],
    parse: impl Fn(&str) -> Option<T> + Clone + Send + Sync + 'static,
) -> impl TypedValueParser<Value = T>
where
    T: Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(move |word| parse(&word).ok_or("not one of the words"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_the_default() {
        assert_eq!("default".parse(), Ok(Own(None)));
        assert_eq!("0".parse(), Ok(Own(Some(0))));
        assert!("-1".parse::<Own>().is_err() && "".parse::<Own>().is_err());
    }

    #[test]
    fn an_end_is_a_time_or_never() {
        assert_eq!("never".parse(), Ok(End(None)));
        assert_eq!("2099-01-01T00:00:00Z".parse(), time("2099-01-01T00:00:00Z").map(|at| End(Some(at))));
        assert!("".parse::<End>().is_err());
    }

    #[test]
    fn a_refusal_says_the_rule() {
        assert!(client("No Name").expect_err("none").contains("a-z"));
        assert!(time("yesterday").expect_err("none").contains("10:00:00Z"));
    }
}
