//! Opaque tokens: random strings that stand for a row in the store.
//!
//! A token is `mbr_` (refresh), `mbs_` (portal session), `mbp_` (password reset) or `mbe_` (enrolment) and 32 random bytes in base64url
//! without padding (RFC 4648, section 5). The store keeps the SHA-256 digest of the whole text alone: with 256 random
//! bits a plain digest cannot be searched, and who reads the database holds no token. The kind is part of what is read
//! and of what is digested, so a token of one kind is never found as one of another.
//!
//! A refresh token names its family, which is its session, under a tag: 16 bytes that name, 16 random bytes, 16 bytes of
//! tag. So one that was used long ago still shows whose it was when the store has forgotten it. Older ones do not.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mb_core::Secret;
use zeroize::Zeroizing;

use crate::digest::sha256;
use crate::random;
use crate::search::SearchKey;

/// 32 bytes in base64url without padding.
const RANDOM_LEN: usize = 43;

/// 48 bytes, the same way.
const IN_FAMILY_LEN: usize = 64;
const NAME: usize = 16;

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TokenKind {
    /// Exchanged once for an access token and its successor.
    Refresh,
    /// A signed-in browser.
    Session,
    /// Sets a new password, once.
    PasswordReset,
    /// Gets a first certificate, once.
    Enrolment,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Refresh, Self::Session, Self::PasswordReset, Self::Enrolment];

    /// What its tokens begin with, so that people and secret scanners know one when they see it.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "mbr_",
            Self::Session => "mbs_",
            Self::PasswordReset => "mbp_",
            Self::Enrolment => "mbe_",
        }
    }
}

/// A token, well-formed and of a known kind; whether it is anybody's, the store knows.
#[derive(Clone, Debug)]
pub struct Token {
    kind: TokenKind,
    text: Secret<String>,
}

impl Token {
    /// A new one.
    pub fn generate(kind: TokenKind) -> Self {
        let random = Zeroizing::new(random::random_array::<32>());
        Self::of(kind, &random[..])
    }

    /// A new refresh token of this family.
    pub fn refresh(family: [u8; NAME], key: &SearchKey) -> Self {
        let mut bytes = Zeroizing::new([0; 3 * NAME]);
        bytes[..NAME].copy_from_slice(&family);
        bytes[NAME..2 * NAME].copy_from_slice(&random::random_array::<NAME>());
        let tag = key.tag(&bytes[..2 * NAME]);
        bytes[2 * NAME..].copy_from_slice(&tag);
        Self::of(TokenKind::Refresh, &bytes[..])
    }

    fn of(kind: TokenKind, bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(kind.prefix().len() + IN_FAMILY_LEN);
        text.push_str(kind.prefix());
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        Self { kind, text: Secret::new(text) }
    }

    /// Reads a token of this kind. `None` for anything else, also for a token of another kind.
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let random = text.strip_prefix(kind.prefix())?;
        if random.len() != RANDOM_LEN && (random.len() != IN_FAMILY_LEN || kind != TokenKind::Refresh) {
            return None;
        }
        URL_SAFE_NO_PAD.decode(random).map(Zeroizing::new).ok()?;
        Some(Self { kind, text: Secret::new(text.to_owned()) })
    }

    /// The family that it names, if whoever holds the key made it so.
    pub fn family(&self, key: &SearchKey) -> Option<[u8; NAME]> {
        let text = self.text.expose().strip_prefix(self.kind.prefix())?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let (named, tag) = bytes.split_at_checked(2 * NAME)?;
        verify_slices_are_equal(&key.tag(named), tag).ok()?;
        named.first_chunk().copied()
    }

    /// What it is for.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The text that its holder gets, once.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// What the store keeps: SHA-256 of the text, prefix included.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[self.text.expose().as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_read_as_its_own_kind_alone() {
        for kind in TokenKind::ALL {
            let token = Token::generate(kind);
            for other in TokenKind::ALL {
                let read = Token::parse(other, token.expose());
                assert_eq!(
                    read.map(|read| read.digest()),
                    (kind == other).then(|| token.digest()),
                    "{kind:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn the_same_random_bytes_have_another_digest_in_each_kind() {
        let token = Token::generate(TokenKind::Refresh);
        let as_session = token.expose().replacen("mbr_", "mbs_", 1);
        let session = Token::parse(TokenKind::Session, &as_session).expect("well-formed");
        assert_ne!(session.digest(), token.digest());
    }

    #[test]
    fn tokens_differ_and_are_never_shown() {
        let token = Token::generate(TokenKind::Session);
        assert_ne!(token.expose(), Token::generate(TokenKind::Session).expose());
        assert_eq!(token.expose().len(), 47);
        assert!(!format!("{token:?}").contains(&token.expose()[4..]));
    }

    #[test]
    fn a_refresh_token_names_its_family_and_nobody_makes_it_name_another() {
        let key = SearchKey::generate();
        let token = Token::refresh([7; 16], &key);
        let read = Token::parse(TokenKind::Refresh, token.expose()).expect("well-formed");
        assert_eq!((read.family(&key), read.digest()), (Some([7; 16]), token.digest()));
        assert_eq!(read.family(&SearchKey::generate()), None, "another's key");
        assert_ne!(token.expose(), Token::refresh([7; 16], &key).expose());
        let bytes = URL_SAFE_NO_PAD.decode(&token.expose()[4..]).expect("base64");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let text = format!("mbr_{}", URL_SAFE_NO_PAD.encode(changed));
            let changed = Token::parse(TokenKind::Refresh, &text).expect("well-formed");
            assert_eq!(changed.family(&key), None, "{at}");
        }
        assert_eq!(Token::generate(TokenKind::Refresh).family(&key), None, "an older one names none");
        let as_session = token.expose().replacen("mbr_", "mbs_", 1);
        assert!(Token::parse(TokenKind::Session, &as_session).is_none());
    }

    #[test]
    fn a_digest_is_the_sha256_of_the_text() {
        let text = format!("mbr_{}", "A".repeat(43));
        let token = Token::parse(TokenKind::Refresh, &text).expect("well-formed");
        assert_eq!(mb_core::hex::encode(&token.digest()), GOLDEN);
    }

    /// SHA-256 of `mbr_` and 43 `A`, by sha256sum.
    const GOLDEN: &str = "f3be8d0161dd66f071d8b1dccf0169694ae41b619b3511fba79e43218a3f6c1c";

    #[test]
    fn what_only_looks_like_a_token_is_refused() {
        let good = Token::generate(TokenKind::Refresh).expose().to_owned();
        let bad = [
            String::new(),
            "mbr_".to_owned(),
            good[4..].to_owned(),
            good[..46].to_owned(),
            format!("{good}A"),
            format!("{good}="),
            format!(" {good}"),
            format!("{good}\n"),
            good.to_uppercase(),
            // The last character carries four bits; set spare ones would be a second text for the same bytes.
            format!("mbr_{}B", "A".repeat(42)),
        ];
        for text in bad {
            assert!(Token::parse(TokenKind::Refresh, &text).is_none(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_reading_fail_and_what_is_read_is_kept(text in "(mb[rsp]_)?[A-Za-z0-9_=+/-]{40,46}|.{0,60}") {
            for kind in TokenKind::ALL {
                if let Some(token) = Token::parse(kind, &text) {
                    prop_assert_eq!(token.expose(), text.as_str());
                    prop_assert!(text.starts_with(kind.prefix()));
                }
            }
        }
    }
}
