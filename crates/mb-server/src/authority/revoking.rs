//! Taking certificates back: by name or serial number, with what was renewed over them.

use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{ClientName, FieldError, Role, hex};
use mb_store::{CertificateFilter, CertificateRow, RevokeTarget};

use super::{Authority, roles};
use crate::routes::store_fault;

/// Which certificates to revoke.
#[derive(Clone, Debug)]
pub enum Which {
    /// All valid ones of a client or component; of the one that the name means, if no role is said.
    Name(String, Option<Role>),
    /// The one with this serial number, hexadecimal.
    Serial(String),
}

/// What was taken back.
#[derive(Debug)]
pub struct TakenBack {
    /// The certificates that are revoked from now on.
    pub certificates: Vec<CertificateRow>,
    /// How many tokens for a first certificate are good no more.
    pub tokens: u64,
}

impl Authority {
    /// Revokes what is not revoked yet; it is in the store's revoked set when this returns. Whoever is revoked by name has no
    /// token for another certificate, either, in whatever role if none is said. Repeating it changes nothing.
    ///
    /// # Errors
    /// `not_found` if nothing has that name or serial, `conflict` if the name is of several holders, `unavailable`.
    pub async fn revoke(&self, which: &Which, reason: &str, actor: &str) -> Result<TakenBack, ApiError> {
        let (target, known, tokens) = match which {
            Which::Name(name, role) => {
                // Where the name is of several nothing is changed.
                self.meant(name, *role).await?;
                // First, so that none of them becomes a certificate that is not seen.
                let voided = role.map_or(Role::ALL.to_vec(), |role| vec![role]);
                let tokens = self.store.void_enrolments(name, &voided, actor).await.map_err(store_fault)?;
                let (roles, known) = self.meant(name, *role).await?;
                (RevokeTarget::Name(name.clone(), roles), known || tokens > 0, tokens)
            }
            Which::Serial(serial) => {
                (RevokeTarget::Serial(serial_number(serial)?), !self.aimed_at(which).await?.is_empty(), 0)
            }
        };
        if !known {
            return Err(ApiError::new(ProblemCode::NotFound, "no certificate has that name or serial number"));
        }
        let certificates = self.store.revoke(&target, reason, actor).await.map_err(store_fault)?;
        Ok(TakenBack { certificates, tokens })
    }

    /// The roles in which a name is meant, and whether somebody has it.
    async fn meant(&self, name: &str, role: Option<Role>) -> Result<(Vec<Role>, bool), ApiError> {
        let rows = self.named(name).await?;
        // Who has a token for its first certificate is known as a client.
        let is_client = match ClientName::parse(name) {
            Some(name) => self.store.client(&name).await.map_err(store_fault)?.is_some(),
            None => false,
        };
        let held = roles::held(&rows, self.clock.now());
        Ok((roles::meant(name, role, &held)?, is_client || !rows.is_empty()))
    }

    /// The certificates that are meant, revoked before or not.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn aimed_at(&self, which: &Which) -> Result<Vec<CertificateRow>, ApiError> {
        match which {
            Which::Name(name, _) => self.named(name).await,
            Which::Serial(serial) => {
                let filter = CertificateFilter { serial: Some(serial_number(serial)?), ..CertificateFilter::default() };
                self.store.certificates(&filter).await.map_err(store_fault)
            }
        }
    }

    /// What was renewed over these certificates and is not revoked, without what was renewed over that in turn.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn successors(&self, of: &[CertificateRow]) -> Result<Vec<CertificateRow>, ApiError> {
        let mut found = Vec::new();
        for row in of {
            found.extend(self.store.successors(&row.serial).await.map_err(store_fault)?);
        }
        Ok(found)
    }

    /// Revokes what was renewed over revoked certificates, and over that, and so on; returns it.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn revoke_successors(
        &self,
        of: &[CertificateRow],
        reason: &str,
        actor: &str,
    ) -> Result<Vec<CertificateRow>, ApiError> {
        let (mut revoked, mut next) = (Vec::new(), self.successors(of).await?);
        // What is revoked is followed by nothing more, so this ends.
        while !next.is_empty() {
            for row in &next {
                let target = RevokeTarget::Serial(row.serial.clone());
                revoked.extend(self.store.revoke(&target, reason, actor).await.map_err(store_fault)?);
            }
            next = self.successors(&next).await?;
        }
        Ok(revoked)
    }

    pub(super) async fn named(&self, name: &str) -> Result<Vec<CertificateRow>, ApiError> {
        let filter = CertificateFilter { name: Some(name.to_owned()), ..CertificateFilter::default() };
        self.store.certificates(&filter).await.map_err(store_fault)
    }
}

fn serial_number(text: &str) -> Result<Vec<u8>, ApiError> {
    parse_serial(text).ok_or_else(|| {
        ApiError::invalid(vec![FieldError::new("/serial", "invalid", "serial must be hexadecimal digits")])
    })
}

/// Reads a serial number as `openssl` and `ca list` print it: hexadecimal, colons allowed, leading zeros dropped.
fn parse_serial(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
    if digits.is_empty() || digits.len() > 64 {
        return None;
    }
    let bytes = hex::decode(&digits)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(bytes[zeros..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::parse_serial;

    #[test]
    fn serials_are_read_as_openssl_prints_them() {
        assert_eq!(parse_serial("00:0A:ff"), Some(vec![0x0a, 0xff]));
        assert_eq!(parse_serial("aff"), Some(vec![0x0a, 0xff]));
        for bad in ["", "xyz", "é1", &"a".repeat(66)] {
            assert_eq!(parse_serial(bad), None, "{bad}");
        }
    }
}
