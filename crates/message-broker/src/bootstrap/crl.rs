//! `certs/crl.pem`, for those outside who ask for a revocation list: inside, the policy decides.
//!
//! The lists follow from the store and the CAs alone, so whoever holds both can write them at any time, and one that was
//! not written because of a crash is noticed: it is older than the newest revocation.
//!
//! The other way round, a file that names more than the store is from before a restore. What it names is revoked again
//! before the file is replaced, and as a main server starts, before anybody is answered.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use mb_core::{Clock, Policy, Timestamp};
use mb_server::authority::{RENEW_AFTER, RevocationList};
use mb_server::{Authority, MainServer, ServerError};
use mb_store::Store;
use tokio::sync::watch;

use crate::layout::Layout;

/// Keeps the file current for as long as it is polled: at once after a revocation, and daily so that it does not run out.
/// How old it is, is asked `every` so often.
pub async fn keep_crl(layout: Layout, server: MainServer, clock: Clock, every: Duration) {
    let mut policy = server.policy();
    let said = |policy: &mut watch::Receiver<Arc<Policy>>| {
        let policy = policy.borrow_and_update();
        (policy.revoked.clone(), policy.ca_pem.clone())
    };
    let mut listed = said(&mut policy);
    let mut pause = every;
    loop {
        let written = match tokio::time::timeout(pause, policy.changed()).await {
            Err(_) => refresh_crl(&layout, server.authority(), &clock).await,
            Ok(Err(_)) => return,
            Ok(Ok(())) => {
                let now = said(&mut policy);
                if now == listed {
                    continue;
                }
                let written = write_crl(&layout, server.authority()).await;
                if written.is_ok() {
                    listed = now;
                }
                written
            }
        };
        // What could not be written is older than the newest revocation, and written at the next look.
        pause = if written.is_ok() { every } else { every / 10 };
        if let Err(error) = written {
            tracing::warn!(error = format!("{error:#}"), "crl.pem not written");
        }
    }
}

/// Revokes again what the file names and the store does not. A file that cannot be read says nothing.
///
/// # Errors
/// The store cannot be read or written.
pub async fn take_in(layout: &Layout, trusted: &str, store: &Store) -> Result<u64> {
    let Some(lists) = text(layout).await? else { return Ok(0) };
    sound(mb_server::authority::take_in(store, trusted.to_owned(), lists).await)
}

/// A broken file is written anew, and is no reason to do nothing else.
fn sound(taken_in: Result<u64, ServerError>) -> Result<u64> {
    match taken_in {
        Err(ServerError::Crypto(error)) => {
            tracing::warn!(%error, "crl.pem is no revocation list");
            Ok(0)
        }
        other => other.context("take the revocation list back"),
    }
}

async fn text(layout: &Layout) -> Result<Option<String>> {
    let path = layout.crl();
    let reading = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
    Ok(reading.await.context("read crl.pem")?.ok())
}

/// Writes the lists anew if they are missing, broken, older than a day or older than the newest revocation.
///
/// # Errors
/// As [`write_crl`].
pub async fn refresh_crl(layout: &Layout, authority: &Authority, clock: &Clock) -> Result<()> {
    keep_listed(layout, authority).await?;
    let list = authority.revocation_list().await.context("sign the revocation list")?;
    let now = clock.now();
    let path = layout.crl();
    let sound = tokio::task::spawn_blocking(move || is_sound(&path)).await.context("read crl.pem")?;
    let fresh = sound
        && written_at(&layout.crl()).is_some_and(|written| {
            list.newest.is_none_or(|at| at < written) && written <= now && now.since(written) < RENEW_AFTER
        });
    if fresh { Ok(()) } else { write(layout, list).await }
}

/// Signs the lists of what is revoked now and writes them.
///
/// # Errors
/// The store cannot be read, the file cannot be written.
pub async fn write_crl(layout: &Layout, authority: &Authority) -> Result<()> {
    keep_listed(layout, authority).await?;
    write(layout, authority.revocation_list().await.context("sign the revocation list")?).await
}

async fn write(layout: &Layout, list: RevocationList) -> Result<()> {
    let path = layout.crl();
    let writing = tokio::task::spawn_blocking(move || mb_crypto::files::write_public(&path, &list.pem));
    writing.await.context("write crl.pem")?.context("write crl.pem")
}

/// What the file names stays revoked.
async fn keep_listed(layout: &Layout, authority: &Authority) -> Result<()> {
    let Some(lists) = text(layout).await? else { return Ok(()) };
    sound(authority.take_in(lists).await).map(drop)
}

/// Whether a list can be read from the file, whatever it says.
fn is_sound(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| mb_crypto::pem::revocation_list(&text).is_ok())
}

fn written_at(path: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    let since = modified.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok().map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use mb_core::Role;
    use mb_runtime::metrics::Metrics;
    use mb_server::authority::{Order, Which};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::config::Resolved;

    #[tokio::test]
    async fn a_list_is_signed_anew_when_it_is_a_day_old_and_not_before() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let layout = Layout::new(dir.path());
        layout.create().expect("created");
        let resolved = Resolved::load(dir.path(), &[]).expect("the defaults");
        let begun = Clock::System.now();
        let clock = Clock::manual(begun);
        let stopping = CancellationToken::new();
        let (server, store) =
            crate::bootstrap::main_server(&layout, &resolved, &clock, &mut Metrics::default(), stopping)
                .await
                .expect("opens");
        let signed = || std::fs::read(layout.crl()).expect("written");
        let first = signed();
        clock.set(begun.plus(RENEW_AFTER).minus(Duration::from_mins(1)));
        refresh_crl(&layout, server.authority(), &clock).await.expect("looks");
        assert_eq!(signed(), first, "it is good for this day");
        std::fs::write(layout.crl(), "no list").expect("written");
        refresh_crl(&layout, server.authority(), &clock).await.expect("looks");
        assert_eq!(signed(), first, "a broken one is no list");
        let every = Duration::from_millis(10);
        let keeping = keep_crl(layout.clone(), server.clone(), clock.clone(), every);
        // The file's own time is the system's.
        clock.set(begun.plus(RENEW_AFTER).plus(Duration::from_mins(1)));
        let anew = async {
            while signed() == first {
                tokio::time::sleep(every).await;
            }
        };
        let anew = tokio::time::timeout(Duration::from_mins(1), anew);
        tokio::select! {
            () = keeping => panic!("it goes on"),
            anew = anew => anew.expect("signed anew by itself"),
        }
        store.close().await;
    }

    #[tokio::test]
    async fn what_the_file_names_is_revoked_before_anybody_is_answered() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let layout = Layout::new(dir.path());
        layout.create().expect("created");
        let resolved = Resolved::load(dir.path(), &[]).expect("the defaults");
        let open = async || {
            let (clock, stopping) = (Clock::System, CancellationToken::new());
            let opened =
                crate::bootstrap::main_server(&layout, &resolved, &clock, &mut Metrics::default(), stopping).await;
            opened.expect("opens")
        };
        let issue = async |server: &MainServer, name: &str| {
            let (name, role) = (name.to_owned(), Role::Client);
            let order = Order { name, role, domain: None, sans: Vec::new(), validity: None };
            server.authority().issue(order, "test").await.expect("issues").identity
        };
        let (server, store) = open().await;
        let lost = issue(&server, "lost").await;
        store.close().await;
        let (database, copy) = (resolved.config.store_path(dir.path()), dir.path().join("copy"));
        std::fs::copy(&database, &copy).expect("copied");
        let (server, store) = open().await;
        let late = issue(&server, "late").await;
        for name in ["lost", "late"] {
            let which = Which::Name(name.into(), None);
            assert_eq!(
                server.authority().revoke(&which, "key_compromise", "test").await.expect("revokes").certificates.len(),
                1
            );
        }
        write_crl(&layout, server.authority()).await.expect("written");
        store.close().await;
        // The database is one from before the revocation, and knows nothing of the second certificate.
        std::fs::copy(&copy, &database).expect("copied");
        let (server, store) = open().await;
        let policy = server.policy().borrow().clone();
        assert!(policy.is_revoked(&lost) && policy.is_revoked(&late), "{policy:?}");
        let signed = std::fs::read_to_string(layout.crl()).expect("written");
        let listed = mb_crypto::ca::listed(&signed, &server.authority().ca_pem()).expect("read");
        assert_eq!(listed.len(), 2, "{listed:?}");
        store.close().await;
    }
}
