//! What a restore takes back that somebody has decided since the backup: clients that may act again, people who may sign in
//! again. Revocations stay; these do not, for nobody but the database knew them, so whoever restores is told.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use mb_store::{ClientStatus, Store};

/// Who may not act.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ShutOut {
    /// Clients that are suspended or archived.
    pub(super) clients: BTreeSet<String>,
    /// The addresses of those who are disabled.
    pub(super) users: BTreeSet<String>,
}

impl ShutOut {
    /// As the store says now.
    pub(super) async fn of(store: &Store) -> Result<Self> {
        let clients = store.clients(None).await.context("read the clients")?.into_iter();
        let users = store.users().await.context("read the users")?.into_iter();
        Ok(Self {
            clients: clients.filter(|row| row.status != ClientStatus::Active).map(|row| row.name.to_string()).collect(),
            users: users.filter(|user| !user.active).map(|user| user.email).collect(),
        })
    }

    /// Those that are no more among those of `after`.
    pub(super) fn undone(self, after: &Self) -> Self {
        Self { clients: &self.clients - &after.clients, users: &self.users - &after.users }
    }

    /// The same in words.
    pub(super) fn words(&self) -> Vec<String> {
        let all = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let mut words = Vec::new();
        if !self.clients.is_empty() {
            words.push(format!(
                "suspended or archived before the restore and not in the backup: {}",
                all(&self.clients)
            ));
        }
        if !self.users.is_empty() {
            words.push(format!("disabled before the restore and not in the backup: {}", all(&self.users)));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_act_again_is_named() {
        let of = |clients: &[&str], users: &[&str]| ShutOut {
            clients: clients.iter().map(|name| (*name).to_owned()).collect(),
            users: users.iter().map(|name| (*name).to_owned()).collect(),
        };
        let undone = of(&["a", "b"], &["x@example.org"]).undone(&of(&["b", "c"], &[]));
        assert_eq!(undone, of(&["a"], &["x@example.org"]));
        assert_eq!(undone.words().len(), 2);
        assert!(undone.words()[0].ends_with(": a") && of(&[], &[]).words().is_empty());
    }
}
