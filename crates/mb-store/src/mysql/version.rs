//! Which servers will do, judged by what they say of themselves.

use crate::error::StoreError;

/// From here on `MySQL` compares text byte by byte, blanks included, and leases past locked rows.
const OLDEST_MYSQL: (u32, u32, u32) = (8, 0, 17);

/// The oldest `MariaDB` that is tested; older ones make no random bytes.
const OLDEST_MARIADB: (u32, u32, u32) = (10, 11, 0);

/// Refuses a server that would not keep what the store relies on.
///
/// # Errors
/// [`StoreError::UnusableServer`].
pub(crate) fn accept(version: &str) -> Result<(), StoreError> {
    let refuse = |reason: &'static str| Err(StoreError::UnusableServer { version: version.to_owned(), reason });
    if version.contains("TiDB") {
        return refuse("it ignores SKIP LOCKED, so two servers would take one lease; use MySQL or MariaDB");
    }
    let Some(number) = number(version) else { return refuse("its version is not one of MySQL or MariaDB") };
    if version.contains("MariaDB") {
        return if number < OLDEST_MARIADB { refuse("MariaDB 10.11 is the oldest that will do") } else { Ok(()) };
    }
    if number < OLDEST_MYSQL { refuse("MySQL 8.0.17 is the oldest that will do") } else { Ok(()) }
}

/// The three numbers at the beginning; proxies put `5.5.5-` before `MariaDB`'s.
fn number(version: &str) -> Option<(u32, u32, u32)> {
    let version = version.strip_prefix("5.5.5-").filter(|rest| rest.contains("MariaDB")).unwrap_or(version);
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let mut parts = version[..end].split('.').map(str::parse::<u32>);
    let mut next = || parts.next()?.ok();
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mysql_and_mariadb_of_this_decade_will_do() {
        for version in
            ["9.7.4-2", "8.0.17", "8.4.3", "10.11.14-MariaDB-0+deb12u2", "5.5.5-10.11.6-MariaDB", "11.4.2-MariaDB"]
        {
            accept(version).expect(version);
        }
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        let cases = [
            ("8.0.11-TiDB-v7.5.1", "SKIP LOCKED"),
            ("5.7.44-log", "8.0.17"),
            ("8.0.16", "8.0.17"),
            ("10.6.18-MariaDB", "10.11"),
            ("five", "not one of"),
        ];
        for (version, reason) in cases {
            let error = accept(version).expect_err(version);
            assert!(error.to_string().contains(reason) && !error.is_passing(), "{error}");
        }
    }
}
