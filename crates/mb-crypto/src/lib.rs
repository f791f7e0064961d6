//! Every use of cryptography in message-broker: certificates, TLS configurations, sealing, passwords, key files.
//!
//! Nothing here is invented: X.509 by rcgen, x509-parser and rustls-webpki, TLS and HPKE (RFC 9180) by rustls, everything
//! else by aws-lc-rs, which is also the one provider below rustls and rcgen. This crate decides which algorithm is used
//! for what, how the inputs are laid out, and which secrets may be read by whom; no other crate names an algorithm.
//!
//! Secrets are [`mb_core::Secret`] or live in a type that wipes itself; none is shown by `Debug`.

pub mod audit;
pub mod backup_key;
pub mod ca;
pub mod data_key;
mod digest;
mod error;
pub mod files;
#[cfg(test)]
mod fixture;
pub mod idempotency;
pub mod identity;
pub mod jwt;
pub mod master;
pub mod otp_token;
pub mod password;
pub mod pem;
pub mod pkcs12;
pub mod random;
pub mod sealed_value;
pub mod search;
mod signature;
pub mod tls;
pub mod token;
pub mod totp;
pub mod trust;
pub mod webhook;

pub use digest::Sha256;
pub use error::CryptoError;
pub use trust::TrustAnchors;
