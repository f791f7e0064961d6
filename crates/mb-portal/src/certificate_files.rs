//! A new certificate as files to save, within the page itself: a `data:` address holds the file, so that nothing has to be
//! kept here for a second request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mb_api::dto::GeneratedCertificate;

use crate::zip;

/// A file to save.
#[derive(Clone)]
pub(crate) struct Download {
    /// Its name.
    pub(crate) file: String,
    /// What it is.
    pub(crate) label: &'static str,
    /// Its content as an address (RFC 2397).
    pub(crate) href: String,
}

impl Download {
    fn new(file: String, label: &'static str, kind: &str, content: &[u8]) -> Self {
        Self { file, label, href: format!("data:{kind};base64,{}", STANDARD.encode(content)) }
    }

    /// Certificate, key and CA, each for itself. The type makes a browser save rather than show.
    pub(crate) fn each(name: &str, issued: &GeneratedCertificate) -> Vec<Self> {
        let label = ["Certificate", "Private key", "CA certificate"];
        let files = files(name, issued).into_iter().zip(label);
        files.map(|((file, content), label)| Self::new(file, label, "application/octet-stream", content)).collect()
    }

    /// The same as one PKCS#12 file (RFC 7292), if it was asked for.
    pub(crate) fn pkcs12(name: &str, issued: &GeneratedCertificate) -> Option<Self> {
        let file = issued.pkcs12.as_ref()?.file.secret().expose();
        let href = format!("data:application/x-pkcs12;base64,{file}");
        Some(Self { file: format!("{name}.p12"), label: "PKCS#12", href })
    }

    /// All three in an archive.
    pub(crate) fn archive(name: &str, issued: &GeneratedCertificate) -> Self {
        Self::new(format!("{name}.zip"), "All as a zip file", "application/zip", &zip::pack(&files(name, issued)))
    }
}

/// The files under the names that they have in a data directory.
fn files<'a>(name: &str, issued: &'a GeneratedCertificate) -> [(String, &'a [u8]); 3] {
    [
        (format!("{name}.crt"), issued.certificate.as_bytes()),
        (format!("{name}.key"), issued.private_key.secret().expose().as_bytes()),
        ("ca.crt".to_owned(), issued.ca_certificate.as_bytes()),
    ]
}

#[cfg(test)]
mod tests {
    use mb_api::dto::SecretText;
    use mb_core::Timestamp;

    use super::*;

    #[test]
    fn every_file_is_whole_under_its_name() {
        let issued = GeneratedCertificate {
            id: "01".into(),
            certificate: "CERT".into(),
            private_key: SecretText::new("KEY".into()),
            ca_certificate: "CA".into(),
            fingerprint: String::new(),
            expires_at: Timestamp::default(),
            pkcs12: None,
        };
        let files = Download::each("branch-7", &issued);
        let content = |at: usize| {
            let (_, data) = files[at].href.split_once(";base64,").expect("a data address");
            String::from_utf8(STANDARD.decode(data).expect("base64")).expect("text")
        };
        assert_eq!((files[0].file.as_str(), content(0).as_str()), ("branch-7.crt", "CERT"));
        assert_eq!((files[1].file.as_str(), content(1).as_str()), ("branch-7.key", "KEY"));
        assert_eq!((files[2].file.as_str(), content(2).as_str()), ("ca.crt", "CA"));
        assert_eq!(Download::archive("branch-7", &issued).file, "branch-7.zip");
    }
}
