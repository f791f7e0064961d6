//! Reading revocation lists back (RFC 5280, section 5): what this installation has said once in its own name.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use mb_core::Timestamp;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
use x509_parser::revocation_list::RevokedCertificate;

use super::{RevocationReason, Revoked};
use crate::digest::{head, sha256};
use crate::{CryptoError, pem};

/// What the lists in `lists_pem` name, with the issuer ([`mb_core::Identity::issuer`]) whose list it is. A list counts if
/// one of the authorities in `ca_pem` has signed it, however old it is; others are passed over.
///
/// # Errors
/// [`CryptoError::Malformed`] if either text is broken.
pub fn listed(lists_pem: &str, ca_pem: &str) -> Result<Vec<([u8; 16], Revoked)>, CryptoError> {
    let bundle = pem::certificates(ca_pem)?;
    let authorities = bundle
        .iter()
        .map(|der| X509Certificate::from_der(der).map(|(_, certificate)| certificate))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CryptoError::malformed("CA certificate", error))?;
    let mut found = Vec::new();
    for der in pem::revocation_lists(lists_pem)? {
        let (_, list) = CertificateRevocationList::from_der(&der)
            .map_err(|error| CryptoError::malformed("revocation list", error))?;
        let Some(signer) = authorities.iter().find(|authority| has_signed(authority, &list)) else { continue };
        let issuer = head(&sha256(&[signer.public_key().raw]));
        found.extend(list.iter_revoked_certificates().map(|entry| (issuer, revoked(entry))));
    }
    Ok(found)
}

/// Authorities of this system sign with ECDSA P-256 and SHA-256.
fn has_signed(authority: &X509Certificate<'_>, list: &CertificateRevocationList<'_>) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &authority.public_key().subject_public_key.data);
    key.verify(list.tbs_cert_list.as_ref(), &list.signature_value.data).is_ok()
}

fn revoked(entry: &RevokedCertificate<'_>) -> Revoked {
    let serial = entry.raw_serial();
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    let code = entry.reason_code().map(|(_, code)| u64::from(code.0));
    let reason = RevocationReason::ALL.into_iter().find(|reason| reason.number() == code);
    Revoked {
        serial: serial[zeros..].to_vec(),
        at: Timestamp::from_micros(entry.revocation_date.timestamp().saturating_mul(1_000_000)),
        reason: reason.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ca::Ca;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    #[test]
    fn what_an_authority_has_listed_is_read_back_and_nobody_elses_word_counts() {
        let (ours, next, other) = (ca(), ca(), ca());
        let entries: Vec<Revoked> = RevocationReason::ALL
            .into_iter()
            .zip(1..)
            .map(|(reason, n): (_, u8)| Revoked {
                serial: vec![n, 0, 0xff],
                at: NOW.minus(Duration::from_mins(1)),
                reason,
            })
            .collect();
        let lists = [&ours, &other, &next].map(|ca| ca.crl(&entries, 7, NOW).expect("signed")).concat();
        let trusted = [ours.certificate_pem(), next.certificate_pem()].concat();
        let expected: Vec<_> = [ours.issuer_id(), next.issuer_id()]
            .into_iter()
            .flat_map(|issuer| entries.iter().map(move |entry| (issuer, entry.clone())))
            .collect();
        assert_eq!(listed(&lists, &trusted).expect("read"), expected);
        assert_eq!(listed(&ours.crl(&[], 8, NOW).expect("signed"), &trusted).expect("read"), []);
        assert!(listed("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", &trusted).is_err());
    }

    #[test]
    fn a_list_that_was_changed_is_no_list() {
        let ours = ca();
        let entry = Revoked { serial: vec![1; 16], at: NOW, reason: RevocationReason::KeyCompromise };
        let mut der = pem::revocation_list(&ours.crl(&[entry], 7, NOW).expect("signed")).expect("a list");
        let at = der.windows(16).position(|bytes| bytes == [1; 16]).expect("its serial");
        der[at] = 2;
        let changed = pem_rfc(&der);
        assert_eq!(listed(&changed, ours.certificate_pem()).expect("read"), []);
    }

    fn ca() -> Ca {
        Ca::create("a CA", NOW).expect("a CA")
    }

    fn pem_rfc(der: &[u8]) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
    }
}
