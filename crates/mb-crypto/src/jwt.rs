//! Access tokens: JSON Web Tokens (RFC 7519) in compact serialization (RFC 7515, section 7.1), HS256 and nothing else.
//!
//! The header is one constant: it is compared, never parsed, so that no token can choose how it is checked (RFC 8725,
//! section 3.1). The claims are read only after the signature has verified. `typ` says in the claims that it is an access
//! token; refresh, session and reset tokens are opaque (see [`crate::token`]) and cannot pass for one.
//!
//! A library would do the same behind a clock of its own and with a leeway; here time is a parameter, as everywhere.

mod secret;

use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mb_core::{Secret, SessionId, Timestamp, UserId, UserRole};
use serde::{Deserialize, Serialize};

use crate::CryptoError;

pub use secret::{JWT_SECRET_RULE, JwtSecret};

/// How long an access token is good (contract, section 4).
pub const ACCESS_LIFETIME: Duration = Duration::from_mins(30);

/// How far ahead another main server's clock may be. A token from further ahead was made while a clock was wrong, and
/// would live too long.
const SKEW: Duration = Duration::from_mins(1);

/// A longer text is no token of this system.
const MAX_LEN: usize = 1024;

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const ISSUER: &str = "message-broker";
const AUDIENCE: &str = "message-broker-api";
const TYPE: &str = "access";

/// Whom an access token names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessClaims {
    /// `sub`.
    pub user: UserId,
    /// `role` when it was issued. What the user may do now, the store knows.
    pub role: UserRole,
    /// `gen`: the user's generation when it was issued; it is void once that has moved on.
    pub generation: u64,
    /// `sid`: the session that it was issued in; it is void once that has ended.
    pub session: SessionId,
}

#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    typ: &'a str,
    role: UserRole,
    r#gen: u64,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

impl JwtSecret {
    /// Signs an access token that is good for [`ACCESS_LIFETIME`] from `now`.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn issue(&self, claims: &AccessClaims, now: Timestamp) -> Result<Secret<String>, CryptoError> {
        let payload = Payload {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: &claims.user.to_string(),
            typ: TYPE,
            role: claims.role,
            r#gen: claims.generation,
            sid: claims.session,
            iat: now.seconds(),
            exp: now.plus(ACCESS_LIFETIME).seconds(),
        };
        let payload = serde_json::to_vec(&payload).map_err(|_| CryptoError::Library("write an access token"))?;
        Ok(Secret::new(self.sign(HEADER.as_bytes(), &payload)))
    }

    /// Whom a token names, if it is an access token of this system and good at `now`.
    ///
    /// # Errors
    /// [`CryptoError::Expired`] if it was good once, [`CryptoError::Forged`] for everything else.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, CryptoError> {
        let payload = self.open(token).ok_or(CryptoError::Forged)?;
        let payload: Payload<'_> = serde_json::from_slice(&payload).map_err(|_| CryptoError::Forged)?;
        let lifetime = i64::try_from(ACCESS_LIFETIME.as_secs()).unwrap_or(i64::MAX);
        let is_ours = payload.iss == ISSUER && payload.aud == AUDIENCE && payload.typ == TYPE;
        let is_sound =
            payload.exp.checked_sub(payload.iat) == Some(lifetime) && payload.iat <= now.plus(SKEW).seconds();
        let user = payload.sub.parse().ok().filter(|id: &i64| id.to_string() == payload.sub).map(UserId::new);
        let Some(user) = user.filter(|_| is_ours && is_sound) else { return Err(CryptoError::Forged) };
        if payload.exp <= now.seconds() {
            return Err(CryptoError::Expired);
        }
        Ok(AccessClaims { user, role: payload.role, generation: payload.r#gen, session: payload.sid })
    }

    fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let tag = hmac::sign(&self.key(), token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        token
    }

    /// The payload's bytes, if header and signature are right.
    fn open(&self, token: &str) -> Option<Vec<u8>> {
        if token.len() > MAX_LEN {
            return None;
        }
        let (signed, tag) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if URL_SAFE_NO_PAD.decode(header).ok()? != HEADER.as_bytes() {
            return None;
        }
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        // aws-lc-rs compares in constant time.
        hmac::verify(&self.key(), signed.as_bytes(), &tag).ok()?;
        URL_SAFE_NO_PAD.decode(payload).ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(HMAC_SHA256, self.bytes())
    }
}

#[cfg(test)]
mod tests;
