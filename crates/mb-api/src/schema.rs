//! How the vocabulary of `mb_core` looks in the OpenAPI document.
//!
//! That crate knows of no document, and a foreign trait cannot be given to its types from here, so each has a stand-in of
//! the same name, which fields name as their `value_type`. A stand-in has no values; closed sets take their words from
//! the type itself.

use std::borrow::Cow;

use mb_core::{Role, UserRole};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::problem;

macro_rules! stand_ins {
    ($($(#[$doc:meta])* $name:ident => $schema:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

stand_ins! {
    /// [`mb_core::Timestamp`].
    Timestamp => text().format(Some(known(KnownFormat::DateTime))).description(Some("RFC 3339, UTC, microseconds"));
    /// [`mb_core::MessageId`].
    MessageId => text().format(Some(known(KnownFormat::Uuid))).description(Some("A message's id"));
    /// [`mb_core::MessageIdPrefix`].
    MessageIdPrefix => pattern("^[0-9a-fA-F-]{1,36}$", "The beginning of a message's id");
    /// [`mb_core::SessionId`].
    SessionId => pattern("^[0-9a-f]{32}$", "The id of a session; it opens nothing");
    /// [`mb_core::KeyId`], and what else is shown as 128 bits.
    Hex128 => pattern("^[0-9a-f]{32}$", "128 bits in hexadecimal digits");
    /// [`mb_core::UserId`].
    UserId => integer().description(Some("A user's id"));
    /// [`mb_core::NoticeId`].
    NoticeId => integer().description(Some("A notice's id"));
    /// [`mb_core::ClientName`].
    ClientName => name("A client's name");
    /// [`mb_core::DomainName`].
    DomainName => name("A domain's name");
    /// [`mb_core::DestinationName`].
    DestinationName => name("A destination's name");
    /// [`mb_core::ZoneName`].
    ZoneName => pattern("^[A-Za-z][A-Za-z0-9_+/-]{0,63}$", "A time zone's name in the IANA database");
    /// [`mb_core::DestinationId`].
    DestinationId => integer().description(Some("A destination's id"));
    /// [`mb_core::DestinationKind`].
    DestinationKind => words(mb_core::DestinationKind::ALL.map(mb_core::DestinationKind::as_str));
    /// [`mb_core::DestinationState`].
    DestinationState => words(mb_core::DestinationState::ALL.map(mb_core::DestinationState::as_str));
    /// [`mb_core::DeliveryState`].
    DeliveryState => words(mb_core::DeliveryState::ALL.map(mb_core::DeliveryState::as_str));
    /// [`mb_core::AttemptClass`].
    AttemptClass => words(mb_core::AttemptClass::ALL.map(mb_core::AttemptClass::as_str));
    /// [`mb_core::delivery::BreakerState`].
    BreakerState => words(["closed", "open", "half_open"]);
    /// [`mb_core::TopicGlob`].
    TopicGlob => pattern(
        "^(\\*{1,2}|[a-z0-9_-]+)(\\.(\\*{1,2}|[a-z0-9_-]+))*$",
        "Topics: segments divided by dots; * is any one, ** any number of them",
    );
    /// [`mb_core::RetrySchedule`].
    RetrySchedule => text().description(Some(mb_core::delivery::SCHEDULE_RULE));
    /// [`mb_core::Topic`].
    Topic => pattern("^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$", "What a message is about");
    /// [`mb_core::Email`].
    Email => text().format(Some(known(KnownFormat::Email))).max_length(Some(mb_core::account::MAX_EMAIL));
    /// A number as clients send it.
    SenderNumber => pattern("^\\+[1-9][0-9]{1,14}$", "E.164");
    /// [`mb_core::MessageState`].
    MessageState => words(mb_core::MessageState::ALL.map(mb_core::MessageState::as_str));
    /// [`mb_core::Role`].
    CertificateRole => words(Role::ALL.map(Role::as_str));
    /// [`mb_core::UserRole`].
    AccountRole => words(UserRole::ALL.map(UserRole::as_str));
    /// [`mb_core::ClientStatus`].
    ClientStatus => words(mb_core::ClientStatus::ALL.map(mb_core::ClientStatus::as_str));
    /// [`mb_core::SenderRule`].
    SenderRule => words(mb_core::SenderRule::ALL.map(mb_core::SenderRule::as_str));
    /// [`mb_core::NoticeKind`].
    NoticeKind => words(mb_core::NoticeKind::ALL.map(mb_core::NoticeKind::as_str));
    /// [`mb_core::NoticeLevel`].
    NoticeLevel => words(mb_core::NoticeLevel::ALL.map(mb_core::NoticeLevel::as_str));
    /// [`mb_core::SessionKind`].
    SessionKind => words(["portal", "token"]);
    /// [`problem::ProblemCode`].
    ProblemCode => words(problem::ProblemCode::ALL.map(problem::ProblemCode::as_str));
    /// Any JSON object.
    AnyObject => ObjectBuilder::new().schema_type(Type::Object).build();
    /// Any JSON value.
    AnyValue => ObjectBuilder::new().schema_type(utoipa::openapi::schema::SchemaType::AnyValue).build();
    /// [`mb_core::Policy`]: proxies and the main server are of one release, so its members are no contract.
    Policy => ObjectBuilder::new().schema_type(Type::Object).description(Some("The policy that an edge decides by"));
}

/// [`mb_core::FieldError`].
#[derive(Debug, ToSchema)]
pub struct FieldError {
    /// JSON pointer to the field (RFC 6901); in a query, `/` and the parameter's name.
    pub pointer: String,
    /// A stable word.
    pub code: String,
    /// What is wrong and what is allowed.
    pub detail: String,
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn integer() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(known(KnownFormat::Int64)))
}

const fn known(format: KnownFormat) -> SchemaFormat {
    SchemaFormat::KnownFormat(format)
}

fn pattern(pattern: &str, description: &str) -> ObjectBuilder {
    text().pattern(Some(pattern)).description(Some(description))
}

fn name(description: &str) -> ObjectBuilder {
    pattern("^[a-z0-9][a-z0-9_.-]{0,62}$", description)
}

fn words<const N: usize>(words: [&'static str; N]) -> ObjectBuilder {
    text().enum_values(Some(words))
}
