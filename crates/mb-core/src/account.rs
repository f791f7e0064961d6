//! People: who has an account, and what one account may do to another.
//!
//! The rule that a `user_manager` gains nothing by managing stands here once, as a decision without I/O; API, command line
//! and portal ask it.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, is_nfkc};

/// What a user may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRole {
    /// Sees the messages of one client.
    User,
    /// Also sets status and passwords of users, never of its equals or of admins.
    UserManager,
    /// Everything.
    Admin,
}

impl UserRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::User, Self::UserManager, Self::Admin];

    /// The word used in the store, the API and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::UserManager => "user_manager",
            Self::Admin => "admin",
        }
    }

    /// Parses [`UserRole::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can be done to another's account. Closed, so that the rule below is asked for everything there is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UserAction {
    /// See it, alone or in a list.
    View,
    /// Add one of this role.
    Create,
    /// Let it sign in, or no longer.
    SetStatus,
    /// Give it a new password.
    SetPassword,
    /// Give it this role: asked for the role it has and for the one it gets.
    SetRole,
    /// Change its client, its end or whether it may send.
    SetTerms,
    /// Take its second factor away.
    ResetTwoFactor,
    /// End its sessions.
    EndSessions,
    /// Delete it.
    Delete,
}

impl UserAction {
    /// Every action.
    pub const ALL: [Self; 9] = [
        Self::View,
        Self::Create,
        Self::SetStatus,
        Self::SetPassword,
        Self::SetRole,
        Self::SetTerms,
        Self::ResetTwoFactor,
        Self::EndSessions,
        Self::Delete,
    ];
}

/// Whether somebody of role `actor` may do `action` to an account of role `target`.
///
/// A `user_manager` sees plain users and sets their status and password, nothing else: not the role, because that would
/// make an admin; not the second factor, because with the password that would make it the account's owner; not the
/// client, because that would open another's messages.
pub const fn may_manage(actor: UserRole, target: UserRole, action: UserAction) -> bool {
    match actor {
        UserRole::Admin => true,
        UserRole::UserManager => {
            matches!(target, UserRole::User)
                && matches!(action, UserAction::View | UserAction::SetStatus | UserAction::SetPassword)
        }
        UserRole::User => false,
    }
}

/// The roles of the accounts to which somebody of role `actor` may do `action`.
pub fn manageable(actor: UserRole, action: UserAction) -> Vec<UserRole> {
    UserRole::ALL.into_iter().filter(|target| may_manage(actor, *target, action)).collect()
}

/// A user's id in the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UserId(i64);

impl UserId {
    /// From the store's number.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// The store's number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The longest e-mail address (RFC 5321, section 4.5.3.1.3, less the angle brackets).
pub const MAX_EMAIL: usize = 254;

/// An e-mail address, lower-cased and composed (Unicode NFC), so that one address is one account.
///
/// Held to what makes it one line with a local part and a host, and to what nobody takes for another one: letters of one
/// script, and a host as it stands in the DNS (letters of others as `xn--`, RFC 5890). Whether mail arrives there, only mail
/// can tell.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Email(Box<str>);

impl Email {
    /// Takes an address in any case; `None` if it has spaces or control characters, not exactly one `@` with text on both
    /// sides, a host that is not ASCII or ends with a dot, letters of several scripts or in another form than their own, or
    /// more than [`MAX_EMAIL`] bytes.
    pub fn parse(text: &str) -> Option<Self> {
        // A long text is not worth the work; composing makes none of a twelfth.
        if text.len() > 12 * MAX_EMAIL {
            return None;
        }
        let lower = text.to_lowercase().nfc().collect::<String>();
        let (local, host) = lower.split_once('@')?;
        let plain = !lower.chars().any(|c| c.is_control() || c.is_whitespace() || is_format(c));
        let whole = !local.is_empty() && !host.is_empty() && !host.contains('@');
        let alone = host.is_ascii() && !host.ends_with('.') && is_nfkc(local) && is_of_one_script(local);
        // A quoted or bracketed part, or a comma, could end the address in a mail's header and begin another.
        let safe = !lower.contains(['<', '>', '"', ',', ';', '\\', '(', ')']);
        (plain && whole && alone && safe && lower.len() <= MAX_EMAIL).then(|| Self(lower.into()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that are invisible or turn the direction of text, so that two addresses look like one.
const fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Whether all letters are of one of the scripts whose letters look like each other's, or all of others.
fn is_of_one_script(text: &str) -> bool {
    let script = |c: char| match c {
        'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => 0,
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => 1,
        '\u{400}'..='\u{52f}' => 2,
        _ => 3,
    };
    let mut scripts = text.chars().filter(|c| c.is_alphabetic()).map(script);
    let first = scripts.next();
    scripts.all(|script| Some(script) == first)
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Email {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Email {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a valid e-mail address"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_user_manager_touches_status_and_password_of_plain_users_and_nothing_else() {
        for target in UserRole::ALL {
            for action in UserAction::ALL {
                let allowed = target == UserRole::User
                    && matches!(action, UserAction::View | UserAction::SetStatus | UserAction::SetPassword);
                assert_eq!(may_manage(UserRole::UserManager, target, action), allowed, "{action:?} of {target}");
                assert!(!may_manage(UserRole::User, target, action), "{action:?} of {target}");
                assert!(may_manage(UserRole::Admin, target, action), "{action:?} of {target}");
            }
        }
    }

    #[test]
    fn role_words_are_the_same_in_store_and_json() {
        for role in UserRole::ALL {
            assert_eq!(UserRole::parse(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).expect("serialises"), role.as_str());
        }
        assert_eq!(UserRole::parse("root"), None);
    }

    #[test]
    fn addresses_that_are_no_single_line_with_one_host_are_refused() {
        assert_eq!(Email::parse("Ann.B+x@Example.ORG").expect("valid").as_str(), "ann.b+x@example.org");
        let long = format!("{}@example.org", "a".repeat(243));
        assert!(Email::parse(&long[1..]).is_some());
        for bad in
            ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a@b\r\nBcc: x", "a\u{200b}@b", "<a@b>", "a@b,c", &long]
        {
            assert_eq!(Email::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_looks_like_another_address_is_that_one_or_none() {
        let composed = Email::parse("caf\u{e9}@x.org").expect("valid");
        assert_eq!(Email::parse("cafe\u{301}@x.org"), Some(composed));
        for valid in ["müller@x.org", "анна@x.org", "άννα@x.org", "安娜1@x.org", "a@xn--bcher-kva.example"] {
            assert!(Email::parse(valid).is_some(), "{valid}");
        }
        for bad in [
            "\u{430}dmin@x.org",
            "\u{ff41}dmin@x.org",
            "admin@x.org.",
            "admin@b\u{fc}cher.example",
            "ad\u{3bc}in@x.org",
        ] {
            assert_eq!(Email::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_its_own_normal_form(text in ".{0,40}@.{0,40}") {
            if let Some(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()), Some(email.clone()));
                prop_assert!(email.as_str().len() <= MAX_EMAIL);
            }
        }
    }
}
