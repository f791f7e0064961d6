//! Whom a name means. Certificates of different roles may bear one name: a client that is called as an administrator is, or,
//! from before that was refused, as a component is. What is done by name is done to one of them.

use std::collections::BTreeSet;

use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{Role, Timestamp};
use mb_store::{CertificateRow, CertificateStatus};

/// The roles in which valid certificates are held.
pub(super) fn held(rows: &[CertificateRow], now: Timestamp) -> BTreeSet<Role> {
    let valid = rows.iter().filter(|row| row.status(now) == CertificateStatus::Valid);
    valid.map(|row| row.role).collect()
}

/// The roles that are meant by `name` where nothing else is `said`: a component's own name means that component, and a
/// client is the same one with all its certificates, also those that fetch messages.
///
/// # Errors
/// `conflict` if that leaves several.
pub(super) fn meant(name: &str, said: Option<Role>, held: &BTreeSet<Role>) -> Result<Vec<Role>, ApiError> {
    if let Some(role) = said.or_else(|| Role::of_component(name)) {
        return Ok(vec![role]);
    }
    let tenants: Vec<Role> = Role::ALL.into_iter().filter(|role| role.has_domain()).collect();
    let others: Vec<Role> = held.iter().copied().filter(|role| !role.has_domain()).collect();
    match (&others[..], held.len() > others.len()) {
        ([], _) => Ok(tenants),
        ([one], false) => Ok(vec![*one]),
        _ => Err(ambiguous(name, held)),
    }
}

/// The one role whose certificate is meant by `name`.
///
/// # Errors
/// `conflict` if there are several, `not_found` if there is none.
pub(super) fn one(name: &str, said: Option<Role>, held: &BTreeSet<Role>) -> Result<Role, ApiError> {
    let held_and_meant = |role: &Role| said.or_else(|| Role::of_component(name)).is_none_or(|meant| meant == *role);
    let found: Vec<Role> = held.iter().copied().filter(held_and_meant).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(ApiError::new(ProblemCode::NotFound, format!("{name} has no valid certificate to renew"))),
        _ => Err(ambiguous(name, held)),
    }
}

fn ambiguous(name: &str, held: &BTreeSet<Role>) -> ApiError {
    let roles: Vec<_> = held.iter().map(|role| role.as_str()).collect();
    let detail = format!("{name} has certificates of the roles {}: say which role is meant", roles.join(", "));
    ApiError::new(ProblemCode::Conflict, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(roles: &[Role]) -> BTreeSet<Role> {
        roles.iter().copied().collect()
    }

    #[test]
    fn a_name_means_one_holder() {
        let tenants = vec![Role::Consumer, Role::Client];
        let same = |roles: Result<Vec<Role>, ApiError>| of(&roles.expect("one holder"));
        assert_eq!(same(meant("till", None, &of(&[Role::Client]))), of(&tenants));
        assert_eq!(same(meant("till", None, &of(&[]))), of(&tenants), "a token alone");
        assert_eq!(same(meant("ops", None, &of(&[Role::Admin]))), of(&[Role::Admin]));
        assert_eq!(same(meant("proxy", None, &of(&[Role::Client, Role::Proxy]))), of(&[Role::Proxy]));
        assert_eq!(same(meant("proxy", Some(Role::Client), &of(&[Role::Client, Role::Proxy]))), of(&[Role::Client]));
        let both = of(&[Role::Client, Role::Admin]);
        assert_eq!(meant("ops", None, &both).expect_err("two").code(), ProblemCode::Conflict);
        assert_eq!(same(meant("ops", Some(Role::Admin), &both)), of(&[Role::Admin]));
        assert_eq!(one("ops", None, &both).expect_err("two").code(), ProblemCode::Conflict);
        assert_eq!(one("proxy", None, &of(&[Role::Client])).expect_err("none").code(), ProblemCode::NotFound);
        assert_eq!(one("till", None, &of(&[Role::Client])).expect("one"), Role::Client);
    }
}
