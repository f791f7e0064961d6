//! What the database's user may do: all that the product does, and nothing elsewhere.

use super::Finding;

/// What migrations and the main server do.
const NEEDED: [&str; 9] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"];

const FIX: &str = "see the GRANT in deployment/config/database.sql; take the rest back by REVOKE";

/// One GRANT statement.
struct Grant {
    privileges: Vec<String>,
    /// `*.*`, or what stands before the dot without its quotes.
    place: String,
    may_pass_on: bool,
}

/// `None` for a role that was granted: what it holds is not said.
fn parse(statement: &str) -> Option<Grant> {
    let (privileges, rest) = statement.strip_prefix("GRANT ")?.split_once(" ON ")?;
    let (object, rest) = rest.split_once(" TO ")?;
    let privileges = privileges.split(',').map(|privilege| privilege.trim().to_uppercase()).collect();
    let place = if object == "*.*" { object } else { object.split('.').next()? };
    let place = place.trim_matches('`').replace("\\_", "_");
    Some(Grant { privileges, place, may_pass_on: rest.contains("WITH GRANT OPTION") })
}

impl Grant {
    fn is_empty(&self) -> bool {
        self.privileges.iter().all(|privilege| privilege == "USAGE")
    }

    fn gives(&self, needed: &str) -> bool {
        self.privileges.iter().any(|privilege| privilege == needed || privilege.starts_with("ALL"))
    }
}

/// Judges what `SHOW GRANTS` says, for a user of `database`.
pub(super) fn judge(statements: &[String], database: &str) -> Finding {
    let grants: Vec<_> = statements.iter().filter_map(|statement| parse(statement)).collect();
    let roles = statements.len() - grants.len();
    let of_database = |grant: &&Grant| grant.place == "*.*" || grant.place == database;
    let lacks = |needed: &&&str| !grants.iter().filter(of_database).any(|grant| grant.gives(needed));
    let missing: Vec<_> = NEEDED.iter().filter(lacks).copied().collect();
    if !missing.is_empty() && roles == 0 {
        let detail = format!("the user lacks {} on {database}: a migration or a job fails", missing.join(", "));
        return Finding::fail("database grants", detail, FIX);
    }
    let elsewhere = |grant: &&Grant| !grant.is_empty() && (grant.place != database || grant.may_pass_on);
    let more: Vec<_> = grants.iter().filter(elsewhere).map(|grant| grant.place.as_str()).collect();
    if more.is_empty() {
        return Finding::ok("database grants", format!("what is needed on {database}, and nothing elsewhere"));
    }
    let detail = format!(
        "the user may do more than it needs, on {}: whoever breaks into the main server can, too",
        more.join(", ")
    );
    Finding::warn("database grants", detail, FIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    fn status(statements: &[&str]) -> Status {
        judge(&statements.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), "message_system").status
    }

    const USAGE: &str = "GRANT USAGE ON *.* TO `u`@`localhost` IDENTIFIED BY PASSWORD '*AB'";
    const ENOUGH: &str = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER ON \
                          `message\\_system`.* TO `u`@`localhost`";

    #[test]
    fn the_shipped_grants_are_enough_and_not_too_many() {
        assert_eq!(status(&[USAGE, ENOUGH]), Status::Ok);
        assert_eq!(status(&[USAGE, "GRANT ALL PRIVILEGES ON `message_system`.* TO `u`@`%`"]), Status::Ok);
    }

    #[test]
    fn too_few_fail_and_too_many_warn() {
        assert_eq!(status(&[USAGE]), Status::Fail);
        assert_eq!(status(&[USAGE, "GRANT SELECT ON `message_system`.* TO `u`@`%`"]), Status::Fail);
        assert_eq!(status(&[USAGE, "GRANT ALL PRIVILEGES ON `other`.* TO `u`@`%`"]), Status::Fail);
        assert_eq!(status(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"]), Status::Warn);
        assert_eq!(status(&[ENOUGH, "GRANT SELECT ON `mysql`.* TO `u`@`%`"]), Status::Warn);
        assert_eq!(status(&[&format!("{ENOUGH} WITH GRANT OPTION")]), Status::Warn);
    }

    #[test]
    fn what_a_role_holds_is_not_guessed() {
        assert_eq!(status(&["GRANT `writer`@`%` TO `u`@`%`", USAGE]), Status::Ok);
    }
}
