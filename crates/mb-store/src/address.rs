//! The address of a database, in the forms that people have for it.
//!
//! `sqlite://PATH`, `sqlite:PATH` or a bare path; `mysql://USER:PASSWORD@HOST[:PORT]/DATABASE`, with the names that other
//! programs give the scheme (`mysql+pymysql`, `mariadb`), %-encoded where needed. After `?`: `ssl-mode` (`disabled`,
//! `preferred`, `required`, `verify-ca`, `verify-identity`), `ssl-ca`, `ssl-cert`, `ssl-key` (files), `socket`. Who names
//! an authority means it: `ssl-ca` alone is `verify-identity`.

use std::path::PathBuf;
use std::str::FromStr as _;

use sqlx::mysql::MySqlConnectOptions;

use crate::error::StoreError;

/// Where the database is.
#[derive(Debug)]
pub(crate) enum Address {
    Sqlite(PathBuf),
    MySql(Box<MySqlConnectOptions>),
}

impl Address {
    /// # Errors
    /// [`StoreError::UnknownAddress`], [`StoreError::UnusableAddress`]; neither names a password.
    pub(crate) fn parse(address: &str) -> Result<Self, StoreError> {
        let path = match address.split_once(':') {
            Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
            Some(("mysql" | "mysql+pymysql" | "mysql+mysqldb" | "mariadb" | "mariadb+pymysql", rest))
                if rest.starts_with("//") =>
            {
                let unusable = |reason| StoreError::UnusableAddress { address: without_password(address), reason };
                return mysql(rest).map(|options| Self::MySql(Box::new(options))).map_err(unusable);
            }
            Some((_, rest)) if rest.starts_with("//") => {
                return Err(StoreError::UnknownAddress(without_password(address)));
            }
            _ => address,
        };
        if path.is_empty() || path.starts_with(":memory:") {
            return Err(StoreError::UnknownAddress(address.to_owned()));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

/// Reads what follows the scheme, `//` first.
fn mysql(rest: &str) -> Result<MySqlConnectOptions, String> {
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let database = place.trim_start_matches('/').split_once('/').map_or("", |(_, database)| database);
    if database.is_empty() || database.contains('/') {
        return Err("it names no database, as in mysql://USER:PASSWORD@HOST/DATABASE".to_owned());
    }
    let mut wanted = Vec::new();
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let name = name.to_ascii_lowercase().replace('_', "-");
        match name.as_str() {
            "ssl-mode" => wanted.push(format!("ssl-mode={}", value.replace('-', "_"))),
            "ssl-ca" | "ssl-cert" | "ssl-key" | "socket" => wanted.push(format!("{name}={value}")),
            "charset" if value == "utf8mb4" => {}
            "charset" => return Err("its text is utf8mb4, so charset can be nothing else".to_owned()),
            _ => {
                return Err(format!(
                    "it has the option {name:?}, which is none of ssl-mode, ssl-ca, ssl-cert, ssl-key, socket"
                ));
            }
        }
    }
    let has = |name: &str| wanted.iter().any(|option| option.starts_with(name));
    if has("ssl-ca=") && !has("ssl-mode=") {
        wanted.push("ssl-mode=verify_identity".to_owned());
    }
    MySqlConnectOptions::from_str(&format!("mysql:{place}?{}", wanted.join("&"))).map_err(|error| match error {
        sqlx::Error::Configuration(reason) => reason.to_string(),
        error => error.to_string(),
    })
}

/// A database's address for an error message: what stands before the last `@` may be a password.
fn without_password(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;

    use super::*;

    fn url(address: &str) -> String {
        match Address::parse(address) {
            Ok(Address::MySql(options)) => options.to_url_lossy().to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_guides_address_is_understood() {
        let plain = url("mysql+pymysql://systemuser:Pa%40ss%2Fw%3Aord@localhost/message_system");
        assert!(plain.starts_with("mysql://systemuser:Pa%40ss%2Fw%3Aord@localhost:3306/message_system"), "{plain}");
        assert!(plain.contains("ssl-mode=PREFERRED"), "{plain}");
        assert_eq!(url("mariadb://u@h:3307/d?charset=utf8mb4"), url("mysql://u@h:3307/d"));
    }

    #[test]
    fn who_names_an_authority_means_it() {
        assert!(url("mysql://u@h/d?ssl_ca=ca.crt").contains("ssl-mode=VERIFY_IDENTITY"));
        assert!(url("mysql://u@h/d?ssl-mode=verify-ca&ssl-ca=ca.crt").contains("ssl-mode=VERIFY_CA"));
        assert!(url("mysql://u@h/d?ssl-mode=REQUIRED").contains("ssl-mode=REQUIRED"));
    }

    #[test]
    fn what_is_not_understood_is_told_without_the_password() {
        let cases = [
            ("mysql://root:secret@host", "names no database"),
            ("mysql://root:secret@host/", "names no database"),
            ("mysql://root:secret@host/d?ssl-mod=required", "ssl-mod"),
            ("mysql://root:secret@host/d?ssl-mode=perhaps", "perhaps"),
            ("mysql://root:secret@host/d?charset=latin1", "utf8mb4"),
            ("mysql://root:secret@host:port/d", "port"),
            ("postgres://root:secret@host/d", "not the address"),
            ("sqlite::memory:", "not the address"),
            ("sqlite://", "not the address"),
            ("", "not the address"),
        ];
        for (address, reason) in cases {
            let error = Address::parse(address).expect_err(address);
            assert!(error.to_string().contains(reason), "{address}: {error}");
            assert!(!error.to_string().contains("secret") && !error.is_passing(), "{error}");
        }
    }
}
