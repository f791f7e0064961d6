//! What a portal gets for a right password while the second factor is missing.
//!
//! It stands for the password in the next step and for nothing else: it begins with `mbo_`, which no other token does, and
//! is sealed under a key of its own. It is bound to the user and the generation, so that a changed password voids it, and
//! is good for five minutes. It may be shown more than once: what is used up is the second factor.
//!
//! Version 1 of its content is: `1`, user (8), generation (8), end in microseconds (8), big-endian.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mb_core::{Secret, Timestamp, UserId};

use crate::CryptoError;
use crate::master::MasterKeys;
use crate::sealed_value::{self, Purpose};

/// How long it is good.
pub const OTP_TOKEN_LIFETIME: Duration = Duration::from_mins(5);

const PREFIX: &str = "mbo_";
const VERSION: u8 = 1;

/// Who has shown the right password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PasswordShown {
    /// The user.
    pub user: UserId,
    /// The user's generation at that time.
    pub generation: u64,
}

/// Makes a token that is good for [`OTP_TOKEN_LIFETIME`] from `now`.
///
/// # Errors
/// [`CryptoError::Library`].
pub fn issue(master: &MasterKeys, shown: PasswordShown, now: Timestamp) -> Result<Secret<String>, CryptoError> {
    let end = now.plus(OTP_TOKEN_LIFETIME).micros();
    let content =
        [&[VERSION][..], &shown.user.get().to_be_bytes(), &shown.generation.to_be_bytes(), &end.to_be_bytes()].concat();
    let sealed = sealed_value::seal(master, Purpose::OtpToken, "", &content)?;
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))))
}

/// Reads a token.
///
/// # Errors
/// [`CryptoError::Expired`] if it was good once, [`CryptoError::Forged`] for everything else.
pub fn verify(master: &MasterKeys, token: &str, now: Timestamp) -> Result<PasswordShown, CryptoError> {
    let sealed = token.strip_prefix(PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let sealed = sealed.ok_or(CryptoError::Forged)?;
    let content = sealed_value::open(master, Purpose::OtpToken, "", &sealed).map_err(|_| CryptoError::Forged)?;
    let (shown, end) = parse(&content).ok_or(CryptoError::Forged)?;
    if now >= end {
        return Err(CryptoError::Expired);
    }
    Ok(shown)
}

fn parse(content: &[u8]) -> Option<(PasswordShown, Timestamp)> {
    let rest = content.strip_prefix(&[VERSION])?;
    let (user, rest) = rest.split_first_chunk()?;
    let (generation, rest) = rest.split_first_chunk()?;
    let end = Timestamp::from_micros(i64::from_be_bytes(rest.try_into().ok()?));
    let user = UserId::new(i64::from_be_bytes(*user));
    Some((PasswordShown { user, generation: u64::from_be_bytes(*generation) }, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Token, TokenKind};

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
    const SHOWN: PasswordShown = PasswordShown { user: UserId::new(7), generation: 3 };

    #[test]
    fn it_says_whose_password_was_right_for_five_minutes() {
        let master = MasterKeys::generate().expect("a key");
        let token = issue(&master, SHOWN, NOW).expect("issued");
        let last = NOW.plus(OTP_TOKEN_LIFETIME).minus(Duration::from_micros(1));
        assert_eq!(verify(&master, token.expose(), last).expect("good"), SHOWN);
        let over = verify(&master, token.expose(), NOW.plus(OTP_TOKEN_LIFETIME));
        assert!(matches!(over, Err(CryptoError::Expired)));
    }

    #[test]
    fn no_other_text_is_taken_for_one() {
        let master = MasterKeys::generate().expect("a key");
        let token = issue(&master, SHOWN, NOW).expect("issued");
        let other = issue(&MasterKeys::generate().expect("a key"), SHOWN, NOW).expect("issued");
        let secret = sealed_value::seal(&master, Purpose::TotpSecret, "", &[1; 25]).expect("sealed");
        let mut bad = vec![
            String::new(),
            PREFIX.to_owned(),
            token.expose()[4..].to_owned(),
            format!("{}A", token.expose()),
            other.expose().clone(),
            format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)),
        ];
        bad.extend(TokenKind::ALL.map(|kind| Token::generate(kind).expose().to_owned()));
        for text in bad {
            assert!(matches!(verify(&master, &text, NOW), Err(CryptoError::Forged)), "{text}");
        }
        for kind in TokenKind::ALL {
            assert!(Token::parse(kind, token.expose()).is_none());
        }
    }
}
