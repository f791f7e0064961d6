//! PEM (RFC 7468) to DER, with errors that say what was expected.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::CryptoError;

/// Every certificate in the text, in order; at least one.
///
/// # Errors
/// [`CryptoError::Malformed`] if there is none or one is broken.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, CryptoError> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CryptoError::malformed("certificate", error))?;
    if found.is_empty() {
        return Err(CryptoError::malformed("certificate", "no -----BEGIN CERTIFICATE----- in it"));
    }
    Ok(found)
}

/// The first private key in the text (PKCS#8 or SEC 1), wiped when dropped.
///
/// # Errors
/// [`CryptoError::Malformed`] if there is none; the error never shows the text.
pub fn private_key(pem: &str) -> Result<Zeroizing<PrivateKeyDer<'static>>, CryptoError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| CryptoError::malformed("private key", "no unencrypted private key in PEM in it"))
}

/// The first revocation list in the text.
///
/// # Errors
/// [`CryptoError::Malformed`] if there is none.
pub fn revocation_list(pem: &str) -> Result<Vec<u8>, CryptoError> {
    CertificateRevocationListDer::from_pem_slice(pem.as_bytes())
        .map(|list| list.to_vec())
        .map_err(|error| CryptoError::malformed("revocation list", error))
}

/// Every revocation list in the text, in order.
///
/// # Errors
/// [`CryptoError::Malformed`] if one is broken.
pub fn revocation_lists(pem: &str) -> Result<Vec<Vec<u8>>, CryptoError> {
    CertificateRevocationListDer::pem_slice_iter(pem.as_bytes())
        .map(|list| list.map(|list| list.to_vec()).map_err(|error| CryptoError::malformed("revocation list", error)))
        .collect()
}
