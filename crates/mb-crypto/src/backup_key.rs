//! What seals a backup: files in the age format (<https://age-encryption.org/v1>), so that they can be opened without this
//! program too.
//!
//! A passphrase seals and opens. A key file as `age-keygen` writes it does both as well; one that holds a recipient alone
//! (`age1...`) only seals, so that the machine that is backed up cannot read its own backups.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr as _;

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, scrypt, x25519};
use mb_core::Secret;

use crate::{CryptoError, files};

/// A passphrase that is found by trying is none: what guards every message is at least this long.
const MIN_PASSPHRASE: usize = 12;

/// The key of a backup.
pub struct BackupKey(Kind);

enum Kind {
    Passphrase(SecretString),
    Identity(Box<x25519::Identity>),
    Recipient(Box<x25519::Recipient>),
}

impl BackupKey {
    /// A passphrase of at least 12 characters.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`]: it is shorter.
    pub fn from_passphrase(passphrase: &Secret<String>) -> Result<Self, CryptoError> {
        if passphrase.expose().chars().count() < MIN_PASSPHRASE {
            return Err(CryptoError::Invalid(format!(
                "a backup's passphrase has at least {MIN_PASSPHRASE} characters"
            )));
        }
        Ok(Self(Kind::Passphrase(SecretString::from(passphrase.expose().as_str()))))
    }

    /// A file with a line `AGE-SECRET-KEY-1...`, which nobody else may read, or with a line `age1...`.
    ///
    /// # Errors
    /// [`CryptoError::File`], [`CryptoError::Exposed`], [`CryptoError::Malformed`].
    pub fn from_file(path: &Path) -> Result<Self, CryptoError> {
        let text = files::read_public(path)?;
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("");
        if line.starts_with("AGE-SECRET-KEY-1") {
            let text = files::read_private(path)?;
            let key = text.expose().lines().map(str::trim).find(|line| line.starts_with("AGE-SECRET-KEY-1"));
            return x25519::Identity::from_str(key.unwrap_or(""))
                .map(|key| Self(Kind::Identity(Box::new(key))))
                .map_err(|error| CryptoError::malformed("a backup's key file", error));
        }
        x25519::Recipient::from_str(line).map(|key| Self(Kind::Recipient(Box::new(key)))).map_err(|_| {
            CryptoError::malformed(
                "a backup's key file",
                "no line AGE-SECRET-KEY-1... or age1...: `age-keygen -o FILE` makes one",
            )
        })
    }

    /// How a backup is sealed, for who looks at it: `passphrase`, or the recipient `age1...`.
    pub fn describe(&self) -> String {
        match &self.0 {
            Kind::Passphrase(_) => "passphrase".to_owned(),
            Kind::Identity(key) => key.to_public().to_string(),
            Kind::Recipient(key) => key.to_string(),
        }
    }

    /// Seals what is written. [`Sealing::finish`] ends it; without that it cannot be opened.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn seal<W: Write>(&self, output: W) -> io::Result<Sealing<W>> {
        let encryptor = match &self.0 {
            Kind::Passphrase(passphrase) => to_passphrase(passphrase)?,
            Kind::Identity(key) => to_one(&key.to_public())?,
            Kind::Recipient(key) => to_one(key)?,
        };
        encryptor.wrap_output(output).map(Sealing)
    }

    /// Opens what [`BackupKey::seal`] has written. What is read is genuine; an end that is cut off is an error.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] if it was sealed to another key or this one only seals, [`CryptoError::Malformed`] if it is no
    /// sealed file.
    pub fn open<'a, R: Read + 'a>(&self, input: R) -> Result<Box<dyn Read + 'a>, CryptoError> {
        let decryptor = Decryptor::new(input).map_err(|error| refused(&error))?;
        let reader = match &self.0 {
            Kind::Passphrase(passphrase) => {
                let mut identity = scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(MAX_WORK_FACTOR);
                decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
            }
            Kind::Identity(key) => decryptor.decrypt(std::iter::once(key.as_ref() as &dyn age::Identity)),
            Kind::Recipient(_) => {
                return Err(CryptoError::Invalid(
                    "the key file holds a recipient, which only seals: opening takes the file with AGE-SECRET-KEY-1..."
                        .into(),
                ));
            }
        };
        reader.map(|reader| Box::new(reader) as Box<dyn Read + 'a>).map_err(|error| refused(&error))
    }
}

/// 2^22 steps of scrypt, 4 GiB: more than anybody's machine chose when it sealed.
const MAX_WORK_FACTOR: u8 = 22;

/// 2^17 steps of scrypt, 128 MiB for a moment (OWASP's advice for storing passwords): the same on every machine, so that
/// what a large one sealed opens on a small one.
const WORK_FACTOR: u8 = 17;

fn to_passphrase(passphrase: &SecretString) -> io::Result<Encryptor> {
    let mut recipient = scrypt::Recipient::new(passphrase.clone());
    recipient.set_work_factor(WORK_FACTOR);
    Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).map_err(io::Error::other)
}

fn to_one(recipient: &x25519::Recipient) -> io::Result<Encryptor> {
    Encryptor::with_recipients(std::iter::once(recipient as &dyn age::Recipient)).map_err(io::Error::other)
}

fn refused(error: &DecryptError) -> CryptoError {
    match error {
        DecryptError::DecryptionFailed | DecryptError::NoMatchingKeys | DecryptError::KeyDecryptionFailed => {
            CryptoError::Invalid("the backup was sealed with another passphrase or key".into())
        }
        error => CryptoError::malformed("a sealed file", error),
    }
}

impl fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupKey(..)")
    }
}

/// Seals what is written to it.
pub struct Sealing<W: Write>(age::stream::StreamWriter<W>);

impl<W: Write> Sealing<W> {
    /// Writes the end.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> fmt::Debug for Sealing<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(key: &BackupKey, content: &[u8]) -> Vec<u8> {
        let mut sealing = key.seal(Vec::new()).expect("seals");
        sealing.write_all(content).expect("writes");
        sealing.finish().expect("ends")
    }

    fn opened(key: &BackupKey, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        key.open(bytes).ok()?.read_to_end(&mut content).ok()?;
        Some(content)
    }

    fn key_file(text: &str) -> Result<BackupKey, CryptoError> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("backup.key");
        files::write_private(&path, text.as_bytes()).expect("writes");
        BackupKey::from_file(&path)
    }

    #[test]
    fn only_the_key_opens_and_only_the_whole() {
        let content = vec![7; 200_000];
        let secret = x25519::Identity::generate();
        let text = age::secrecy::ExposeSecret::expose_secret(&secret.to_string()).to_owned();
        let key = key_file(&format!("# created: today\n{text}\n")).expect("a key");
        let bytes = sealed(&key, &content);
        assert_eq!(opened(&key, &bytes).as_deref(), Some(content.as_slice()));
        assert!(!bytes.windows(64).any(|window| window == [7; 64]));
        assert_eq!(opened(&key, &bytes[..bytes.len() - 1]), None, "a cut end is seen");
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        assert_eq!(opened(&key, &flipped), None);
        let another = BackupKey(Kind::Identity(Box::new(x25519::Identity::generate())));
        assert!(matches!(another.open(bytes.as_slice()), Err(CryptoError::Invalid(_))));

        let recipient = key_file(&secret.to_public().to_string()).expect("a recipient");
        let bytes = sealed(&recipient, &content);
        assert!(matches!(recipient.open(bytes.as_slice()), Err(CryptoError::Invalid(_))), "it only seals");
        assert_eq!(opened(&key, &bytes), Some(content));
        assert_eq!(recipient.describe(), key.describe());
    }

    #[test]
    fn a_passphrase_opens_what_it_sealed() {
        let key = BackupKey::from_passphrase(&Secret::new("correct horse battery".into())).expect("long enough");
        let bytes = sealed(&key, b"content");
        assert_eq!(opened(&key, &bytes).as_deref(), Some(b"content".as_slice()));
        let another = BackupKey::from_passphrase(&Secret::new("correct horse batterz".into())).expect("long enough");
        assert!(matches!(another.open(bytes.as_slice()), Err(CryptoError::Invalid(_))));
        assert!(BackupKey::from_passphrase(&Secret::new("short".into())).is_err());
        assert!(key_file("nonsense").is_err());
        assert!(matches!(key.open(b"no age file".as_slice()), Err(CryptoError::Malformed { .. })));
    }
}
