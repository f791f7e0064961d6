//! PKCS#12 (RFC 7292): certificate, key and CA in one file under a password, as Windows, browsers and Java import it.
//!
//! Keys and certificates are sealed by PBES2 (RFC 8018): AES-256-CBC under PBKDF2 with HMAC-SHA-256; the whole is
//! authenticated by HMAC-SHA-256. That is what OpenSSL 3 writes, and what Windows reads since Windows 10 1709 and Server 2019.
//! Files are only written here, never read.

mod der;

use aws_lc_rs::cipher::{AES_256, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{cipher, hmac, pbkdf2};
use mb_core::Secret;
use zeroize::Zeroizing;

use crate::digest::sha256;
use crate::{CryptoError, pem, random};
use der::{bmp_string, explicit, implicit_octets, integer, null, octets, oid, sequence, set};

/// Rounds of key derivation; the password is random, so that they are a second line only.
const ROUNDS: u32 = 10_000;

/// Digits of 5 bits each: 120 bits.
const PASSWORD_LEN: usize = 24;

/// Letters and digits that are not mistaken for each other.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

const DATA: &[u32] = &[1, 2, 840, 113_549, 1, 7, 1];
const ENCRYPTED_DATA: &[u32] = &[1, 2, 840, 113_549, 1, 7, 6];
const KEY_BAG: &[u32] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 2];
const CERTIFICATE_BAG: &[u32] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 3];
const X509_CERTIFICATE: &[u32] = &[1, 2, 840, 113_549, 1, 9, 22, 1];
const FRIENDLY_NAME: &[u32] = &[1, 2, 840, 113_549, 1, 9, 20];
const LOCAL_KEY_ID: &[u32] = &[1, 2, 840, 113_549, 1, 9, 21];
const PBES2: &[u32] = &[1, 2, 840, 113_549, 1, 5, 13];
const PBKDF2: &[u32] = &[1, 2, 840, 113_549, 1, 5, 12];
const HMAC_SHA256: &[u32] = &[1, 2, 840, 113_549, 2, 9];
const AES_256_CBC: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 1, 42];
const SHA256: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];

/// A file and the password that opens it, which is kept nowhere.
#[derive(Debug)]
pub struct Pkcs12 {
    /// DER.
    pub file: Vec<u8>,
    /// Random.
    pub password: Secret<String>,
}

/// Puts a certificate, its key and the CA's certificate together under a new password. `name` is shown by who imports it.
///
/// # Errors
/// [`CryptoError::Malformed`] if a part is broken, [`CryptoError::Library`].
pub fn write(name: &str, chain_pem: &str, key_pem: &Secret<String>, ca_pem: &str) -> Result<Pkcs12, CryptoError> {
    let password = new_password();
    let key = pem::private_key(key_pem.expose())?;
    let leaf = pem::certificates(chain_pem)?.swap_remove(0);
    let key_id = sha256(&[&leaf]);
    let named = set(&[friendly_name(name), attribute(LOCAL_KEY_ID, &octets(&key_id[..20]))].concat());
    let mut certificates = certificate_bag(&leaf, &named);
    for authority in pem::certificates(ca_pem)? {
        certificates.extend(certificate_bag(&authority, &[]));
    }
    let (algorithm, sealed) = seal(password.expose(), key.secret_der())?;
    let shrouded = sequence(&[algorithm, octets(&sealed)].concat());
    let keys = sequence(&sequence(&[oid(KEY_BAG), explicit(0, &shrouded), named].concat()));
    let contents = [encrypted(password.expose(), &sequence(&certificates))?, content(DATA, &octets(&keys))].concat();
    let safe = sequence(&contents);
    let file = sequence(&[integer(3), content(DATA, &octets(&safe)), mac(password.expose(), &safe)].concat());
    Ok(Pkcs12 { file, password })
}

fn new_password() -> Secret<String> {
    let random = Zeroizing::new(random::random_array::<PASSWORD_LEN>());
    Secret::new(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

fn content(kind: &[u32], value: &[u8]) -> Vec<u8> {
    sequence(&[oid(kind), explicit(0, value)].concat())
}

fn attribute(kind: &[u32], value: &[u8]) -> Vec<u8> {
    sequence(&[oid(kind), set(value)].concat())
}

fn friendly_name(name: &str) -> Vec<u8> {
    attribute(FRIENDLY_NAME, &bmp_string(name))
}

fn certificate_bag(certificate: &[u8], attributes: &[u8]) -> Vec<u8> {
    let value = sequence(&[oid(X509_CERTIFICATE), explicit(0, &octets(certificate))].concat());
    sequence(&[oid(CERTIFICATE_BAG), explicit(0, &value), attributes.to_vec()].concat())
}

fn encrypted(password: &str, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let (algorithm, sealed) = seal(password, plain)?;
    let info = sequence(&[oid(DATA), algorithm, implicit_octets(0, &sealed)].concat());
    Ok(content(ENCRYPTED_DATA, &sequence(&[integer(0), info].concat())))
}

/// PBES2 (RFC 8018, section 6.2): the algorithm's identifier and the ciphertext.
fn seal(password: &str, plain: &[u8]) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    let failed = |_| CryptoError::Library("seal a PKCS#12 file");
    let (salt, iv) = (random::random_array::<16>(), random::random_array::<16>());
    let mut key = Zeroizing::new([0; 32]);
    let rounds = std::num::NonZeroU32::new(ROUNDS).ok_or(CryptoError::Library("seal a PKCS#12 file"))?;
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut key[..]);
    let cipher = UnboundCipherKey::new(&AES_256, &key[..]).and_then(PaddedBlockEncryptingKey::cbc_pkcs7);
    let mut sealed = plain.to_vec();
    let context = cipher::EncryptionContext::Iv128(FixedLength::from(iv));
    cipher.and_then(|cipher| cipher.less_safe_encrypt(&mut sealed, context)).map_err(failed)?;
    let prf = sequence(&[oid(HMAC_SHA256), null()].concat());
    let derivation = sequence(&[octets(&salt), integer(u64::from(ROUNDS)), prf].concat());
    let derivation = sequence(&[oid(PBKDF2), derivation].concat());
    let scheme = sequence(&[oid(AES_256_CBC), octets(&iv)].concat());
    let algorithm = sequence(&[oid(PBES2), sequence(&[derivation, scheme].concat())].concat());
    Ok((algorithm, sealed))
}

/// `MacData` (RFC 7292, section 4).
fn mac(password: &str, safe: &[u8]) -> Vec<u8> {
    let salt = random::random_array::<16>();
    let key = mac_key(password, &salt);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key[..]), safe);
    let digest = sequence(&[sequence(&[oid(SHA256), null()].concat()), octets(tag.as_ref())].concat());
    sequence(&[digest, octets(&salt), integer(u64::from(ROUNDS))].concat())
}

/// RFC 7292, appendix B.2, for SHA-256 (u = 32, v = 64), id 3 and 32 bytes of key.
fn mac_key(password: &str, salt: &[u8]) -> Zeroizing<[u8; 32]> {
    const BLOCK: usize = 64;
    let password = Zeroizing::new(password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect::<Vec<_>>());
    let filled =
        |bytes: &[u8]| bytes.iter().copied().cycle().take(bytes.len().div_ceil(BLOCK) * BLOCK).collect::<Vec<_>>();
    let input = Zeroizing::new([filled(salt), filled(&password)].concat());
    let mut key = Zeroizing::new(sha256(&[&[3; BLOCK], &input]));
    for _ in 1..ROUNDS {
        *key = sha256(&[&key[..]]);
    }
    key
}

#[cfg(test)]
mod tests;
