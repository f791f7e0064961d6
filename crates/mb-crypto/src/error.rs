//! What can go wrong, told apart where a caller acts differently: bad input of an operator is shown, a forgery is
//! refused, an unknown master key waits for an admin, a library's failure ends the request.

use std::path::PathBuf;

use mb_core::{KeyId, Role};

/// The crate's error.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// Bytes or text are not what they should be: a certificate, a key, a key file.
    #[error("read {what}: {detail}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// A request breaks a rule that its author can follow: a name, a validity, a password.
    #[error("{0}")]
    Invalid(String),
    /// A certificate is not valid at the time that counts.
    #[error("the certificate is not valid at that time")]
    OutsideValidity,
    /// A token that was good once.
    #[error("the token has expired")]
    Expired,
    /// A certificate does not chain to a trusted CA, or may not be used for this.
    #[error("the certificate is not trusted: {0}")]
    Untrusted(String),
    /// A certificate is trusted, but its role does not allow this.
    #[error("a certificate of role {0} may not do this")]
    WrongRole(Role),
    /// A signature or a seal does not verify.
    #[error("the signature or the seal does not verify")]
    Forged,
    /// Sealed to a master key that this system does not hold.
    #[error("sealed to master key {0}, which is not here")]
    UnknownMasterKey(KeyId),
    /// A private file that other users can read.
    #[error("{} can be read by others (mode {mode:o}): make it readable by its owner alone", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file operation failed.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried, as verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The cryptographic library refused; on valid input only if memory or entropy ran out.
    #[error("{0}: the cryptographic library failed")]
    Library(&'static str),
}

impl CryptoError {
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` hands an error over by value")]
    pub(crate) fn malformed(what: &'static str, detail: impl ToString) -> Self {
        Self::Malformed { what, detail: detail.to_string() }
    }
}
