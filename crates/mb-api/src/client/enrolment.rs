//! Certificates for keys that stay with their holders.

use mb_core::ClientName;

use super::{Client, ClientError};
use crate::dto::{
    CreateEnrolment, Enrol, Enrolment, GeneratedCertificate, RenewCertificate, SignCertificate, SignedCertificate,
};
use crate::paths::{self, with_id};

impl Client {
    /// Makes a certificate for the key of a signing request.
    pub async fn sign_certificate(&self, ask: &SignCertificate) -> Result<SignedCertificate, ClientError> {
        self.post(paths::CERTIFICATES_SIGN, ask, None).await
    }

    /// Makes a new certificate and key for a name that has one.
    pub async fn reissue_certificate(&self, ask: &RenewCertificate) -> Result<GeneratedCertificate, ClientError> {
        self.post(paths::CERTIFICATES_RENEW, ask, None).await
    }

    /// Makes a token with which a client gets a certificate.
    pub async fn offer_enrolment(&self, id: &ClientName, ask: &CreateEnrolment) -> Result<Enrolment, ClientError> {
        self.post(&with_id(paths::CLIENT_ENROLL, id), ask, None).await
    }

    /// Gets the certificate that a token is good for.
    pub async fn enrol(&self, ask: &Enrol) -> Result<SignedCertificate, ClientError> {
        self.post(paths::PKI_ENROLL, ask, None).await
    }
}
