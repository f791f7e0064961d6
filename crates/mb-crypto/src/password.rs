//! Passwords: the rule (contract, section 6), their hash, and generated ones.
//!
//! Argon2id (RFC 9106) with the OWASP Password Storage Cheat Sheet's parameters: 19 MiB, 2 passes, 1 lane. One hash takes
//! tens of milliseconds and its memory: callers run it off the reactor threads and bound how many run at once.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use mb_core::Secret;

use crate::{CryptoError, random};

/// What a password must have, for error messages.
pub const PASSWORD_RULE: &str =
    "a password has 8 to 256 characters, with an upper-case letter, a lower-case letter and a digit";

/// More would only make hashing slow for everyone.
const MAX_BYTES: usize = 1024;

/// The hash of no password anybody knows, with the cost of a real one.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzIQ$q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";

/// Letters and digits that are not mistaken for one another.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

const GENERATED_LEN: usize = 20;

/// Checks [`PASSWORD_RULE`].
///
/// # Errors
/// [`CryptoError::Invalid`] with the rule.
pub fn check_rule(password: &str) -> Result<(), CryptoError> {
    let length = password.chars().count();
    let good = (8..=256).contains(&length)
        && password.len() <= MAX_BYTES
        && password.chars().any(char::is_uppercase)
        && password.chars().any(char::is_lowercase)
        && password.chars().any(|c| c.is_ascii_digit());
    if good { Ok(()) } else { Err(CryptoError::Invalid(PASSWORD_RULE.into())) }
}

/// Hashes a password that obeys the rule, as a PHC string.
///
/// # Errors
/// [`CryptoError::Invalid`] if it breaks the rule.
pub fn hash(password: &str) -> Result<String, CryptoError> {
    check_rule(password)?;
    let salt =
        SaltString::encode_b64(&random::random_array::<16>()).map_err(|_| CryptoError::Library("make a salt"))?;
    argon2()?
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| CryptoError::Library("hash a password"))
}

/// Whether `password` is the one behind `hash`, in constant time.
///
/// # Errors
/// [`CryptoError::Malformed`] if `hash` is no PHC string of argon2.
pub fn verify(password: &str, hash: &str) -> Result<bool, CryptoError> {
    if password.len() > MAX_BYTES {
        return Ok(false);
    }
    let parsed = PasswordHash::new(hash).map_err(|error| CryptoError::malformed("password hash", error))?;
    match argon2()?.verify_password(password.as_bytes(), &parsed) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(error) => Err(CryptoError::malformed("password hash", error)),
    }
}

/// Whether `password` is the one behind `hash`; without a hash the answer is no and takes as long, so that nobody learns
/// from the time which accounts there are.
///
/// # Errors
/// As [`verify`].
pub fn verify_or_dummy(password: &str, hash: Option<&str>) -> Result<bool, CryptoError> {
    let verified = verify(password, hash.unwrap_or(DUMMY))?;
    Ok(verified && hash.is_some())
}

/// A password that obeys the rule: 20 characters, 116 bits.
pub fn generate_password() -> Secret<String> {
    loop {
        let password: String = std::iter::repeat_with(random_character).take(GENERATED_LEN).collect();
        if check_rule(&password).is_ok() {
            return Secret::new(password);
        }
    }
}

fn argon2() -> Result<Argon2<'static>, CryptoError> {
    Params::new(19 * 1024, 2, 1, None)
        .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
        .map_err(|_| CryptoError::Library("set up argon2"))
}

/// Every character is as likely: a byte past the last whole multiple of the alphabet is thrown away.
fn random_character() -> char {
    let whole = 256 / ALPHABET.len() * ALPHABET.len();
    loop {
        let [byte] = random::random_array::<1>();
        if usize::from(byte) < whole {
            return char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_its_own_password_alone() {
        let hash = hash("Correct horse 1").expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify("Correct horse 1", &hash).expect("a hash"));
        assert!(!verify("Correct horse 2", &hash).expect("a hash"));
        assert!(!verify(&"x".repeat(10_000), &hash).expect("a hash"));
        assert!(verify("x", "not a hash").is_err());
    }

    #[test]
    fn without_an_account_no_password_is_right_and_the_work_is_the_same() {
        let hash = hash("Correct horse 1").expect("hashed");
        assert!(verify_or_dummy("Correct horse 1", Some(&hash)).expect("a hash"));
        for password in ["Correct horse 1", "", &"x".repeat(10_000)] {
            assert!(!verify_or_dummy(password, None).expect("a hash"), "{password}");
        }
        let cost = |hash: &str| {
            let parsed = PasswordHash::new(hash).expect("a PHC string");
            let params = Params::try_from(&parsed).expect("parameters");
            let lengths = (parsed.salt.map(|salt| salt.len()), parsed.hash.map(|output| output.len()));
            (parsed.algorithm.to_string(), parsed.version, params.m_cost(), params.t_cost(), params.p_cost(), lengths)
        };
        assert_eq!(cost(DUMMY), cost(&hash));
    }

    #[test]
    fn the_rule_is_held_at_its_borders() {
        for good in ["Abcdefg1", "Ünïcode1", &format!("Aa1{}", "x".repeat(253))] {
            assert!(check_rule(good).is_ok(), "{good}");
        }
        for bad in ["", "Abcdef1", "abcdefg1", "ABCDEFG1", "Abcdefgh", &format!("Aa1{}", "x".repeat(254))] {
            assert!(check_rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn generated_passwords_obey_the_rule_and_differ() {
        let password = generate_password();
        assert!(check_rule(password.expose()).is_ok());
        assert_eq!(password.expose().len(), GENERATED_LEN);
        assert_ne!(password.expose(), generate_password().expose());
    }
}
