//! Positions in lists, opaque to callers.
//!
//! A cursor names the list that it is of. One of another list would be read as some place there, and pages would be left
//! out without a word; so it is refused, and both lists are named.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mb_core::{FieldError, Timestamp};

use crate::problem::ApiError;

macro_rules! lists {
    ($($name:ident $tag:literal $words:literal,)*) => {
        /// A list that goes by cursor.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum List {
            $(#[doc = concat!("The ", $words, ".")] $name),*
        }

        impl List {
            /// The first byte of its cursors.
            const fn tag(self) -> u8 {
                match self { $(Self::$name => $tag),* }
            }

            const fn of(tag: u8) -> Option<Self> {
                match tag { $($tag => Some(Self::$name),)* _ => None }
            }

            /// What callers know it as.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => $words),* }
            }
        }
    };
}

// A tag is never given a second time: cursors of an older release may still be under way.
lists! {
    Messages 1 "list of messages",
    Users 2 "list of users",
    Clients 3 "list of clients",
    Certificates 4 "list of certificates",
    Domains 5 "list of domains",
    Audit 6 "audit log",
    AuditCheck 7 "check of the audit log",
    Notices 8 "list of notices",
    Destinations 9 "list of destinations",
    DeadLetters 10 "list of dead letters",
    Replay 11 "replay of messages",
    Expiring 12 "list of certificates that expire",
}

/// A position in a list.
pub(crate) trait Position: Sized {
    /// Reads what stands behind the list's tag.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// Reads a cursor of `list`.
///
/// # Errors
/// 422 if it is none of ours, or one of another list.
pub(crate) fn parse<P: Position>(list: List, text: &str) -> Result<P, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let parts = bytes.split_first().and_then(|(tag, position)| Some((List::of(*tag)?, position)));
    match parts {
        Some((of, position)) if of == list => P::read(position).ok_or_else(|| refusal(None, list)),
        other => Err(refusal(other.map(|(of, _)| of), list)),
    }
}

fn refusal(of: Option<List>, list: List) -> ApiError {
    let (code, detail) = match of {
        Some(of) => {
            ("cursor_of_another_list", format!("the cursor is of the {}, not of the {}", of.words(), list.words()))
        }
        None => ("invalid_cursor", format!("cursor must be a value of 'next' as the {} returned it", list.words())),
    };
    ApiError::invalid(vec![FieldError::new("/cursor", code, detail)])
}

fn encode(list: List, position: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode([&[list.tag()], position].concat())
}

/// A position in a list ordered by (time, id).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The last row's time.
    pub at: Timestamp,
    /// The last row's id.
    pub id: [u8; 16],
}

impl Cursor {
    /// The position of a row that the store numbers; its time is for show.
    pub fn numbered(at: Timestamp, place: i64) -> Self {
        Self { at, id: i128::from(place).to_be_bytes() }
    }

    /// The number in [`Cursor::numbered`].
    pub fn place(&self) -> i64 {
        i64::try_from(i128::from_be_bytes(self.id)).unwrap_or(i64::MAX)
    }

    /// The opaque text: base64url of the list's tag, eight bytes of microseconds and the id.
    pub fn encode(&self, list: List) -> String {
        encode(list, &[&self.at.micros().to_be_bytes()[..], &self.id].concat())
    }

    /// Reads [`Cursor::encode`].
    ///
    /// # Errors
    /// 422 if it is none of ours, or one of another list.
    pub fn parse(list: List, text: &str) -> Result<Self, ApiError> {
        parse(list, text)
    }
}

impl Position for Cursor {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (at, id) = bytes.split_at_checked(8)?;
        Some(Self { at: Timestamp::from_micros(i64::from_be_bytes(at.try_into().ok()?)), id: id.try_into().ok()? })
    }
}

/// A position in a list ordered by name or address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameCursor(String);

/// The longest name that is a position: an e-mail address.
const MAX_NAME: usize = mb_core::account::MAX_EMAIL;

impl NameCursor {
    /// The position of the row of this name.
    pub fn after(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The last row's name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The opaque text: base64url of the list's tag and the name.
    pub fn encode(&self, list: List) -> String {
        encode(list, self.0.as_bytes())
    }
}

impl Position for NameCursor {
    fn read(bytes: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(bytes).ok()?;
        let plain = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
        plain.then(|| Self(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<P: Position + std::fmt::Debug>(list: List, text: &str) -> FieldError {
        parse::<P>(list, text).expect_err("refused").problem(None).errors[0].clone()
    }

    #[test]
    fn cursors_round_trip_and_others_are_refused() {
        let cursor = Cursor { at: Timestamp::from_micros(-7), id: [9; 16] };
        let text = cursor.encode(List::Messages);
        assert_eq!(Cursor::parse(List::Messages, &text).expect("read"), cursor);
        for bad in ["", "x", &text[1..], &format!("{text}AAAA")] {
            assert_eq!(refused::<Cursor>(List::Messages, bad).code, "invalid_cursor", "{bad}");
        }
        let name = NameCursor::after("ann@example.org");
        assert_eq!(parse::<NameCursor>(List::Users, &name.encode(List::Users)).expect("read"), name);
        for bad in ["a\0", ""] {
            let text = NameCursor::after(bad).encode(List::Users);
            assert_eq!(refused::<NameCursor>(List::Users, &text).code, "invalid_cursor", "{bad}");
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused_and_both_are_named() {
        let text = Cursor::numbered(Timestamp::default(), 7).encode(List::Audit);
        let error = refused::<Cursor>(List::Notices, &text);
        assert_eq!((error.pointer.as_str(), error.code.as_str()), ("/cursor", "cursor_of_another_list"));
        assert_eq!(error.detail, "the cursor is of the audit log, not of the list of notices");
        let text = NameCursor::after("demo").encode(List::Clients);
        assert_eq!(refused::<NameCursor>(List::Users, &text).code, "cursor_of_another_list");
        assert_eq!(refused::<Cursor>(List::Messages, &text).code, "cursor_of_another_list");
    }

    #[test]
    fn a_list_is_known_by_its_tag() {
        for tag in 0..=u8::MAX {
            assert!(List::of(tag).is_none_or(|list| list.tag() == tag));
        }
    }

    #[test]
    fn numbers_are_positions_too() {
        for place in [0, 7, -1, i64::MAX] {
            assert_eq!(Cursor::numbered(Timestamp::default(), place).place(), place);
        }
    }
}
