//! The chain's head outside the database: who can cut the log's end off together with its checkpoints cannot make this
//! file say that there never was more.
//!
//! Each main server keeps its own. The file only ever moves on: what contradicts it leaves it as it is, so that the check
//! still shows it, until an operator who put back an older database on purpose removes the file.

use std::path::PathBuf;

use mb_crypto::audit::{ChainKey, Head};
use mb_crypto::{CryptoError, files};
use mb_runtime::logging;
use mb_store::{AuditHead, StoreError};

use super::start::Beginning;
use super::{at, start};
use crate::app::App;

/// Where the head is kept.
#[derive(Clone, Debug)]
pub(crate) struct HeadFile(PathBuf);

/// What the file says.
#[derive(Debug)]
pub(crate) enum Kept {
    Absent,
    /// It cannot be read, or is not genuine.
    Unusable(CryptoError),
    Head(Head),
}

impl HeadFile {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn read(&self, key: &ChainKey) -> Kept {
        match files::read_public(&self.0).and_then(|text| Head::from_text(&text, key)) {
            Ok(head) => Kept::Head(head),
            Err(CryptoError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Kept::Absent,
            Err(error) => Kept::Unusable(error),
        }
    }

    /// It is flushed to the disk, which no thread that serves requests waits for.
    async fn write(&self, head: &Head, key: &ChainKey) {
        let (path, text) = (self.0.clone(), head.to_text(key));
        let writing = tokio::task::spawn_blocking(move || files::write_private(&path, text.as_bytes()));
        let failed = match writing.await {
            Ok(written) => written.err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed {
            logging::limited("audit head", || tracing::error!(error, "audit head not written"));
        }
    }
}

/// What the database lacks of what `head` says, in words.
pub(crate) async fn lacks(
    app: &App,
    head: &Head,
    beginning: &Beginning,
    checkpoints: u64,
) -> Result<Option<String>, StoreError> {
    let (place, start) = (head.position, &beginning.start);
    let hash = match place {
        // This process did not run for so long that what was the end then is no part of the log any more.
        _ if place < start.position => Some(head.hash),
        _ if place == start.position => Some(start.hash),
        _ => at(&app.store, place).await?.map(|row| row.hash),
    };
    Ok(match hash {
        None => Some(format!("the log reached row {place} at {}, which is gone", head.at)),
        Some(hash) if hash != head.hash => {
            Some(format!("the row that stood at the log's end at {} is another now", head.at))
        }
        Some(_) if checkpoints < head.checkpoints => {
            Some(format!("there were {} checkpoints at {}, {checkpoints} are left", head.checkpoints, head.at))
        }
        Some(_) => None,
    })
}

/// Takes the head down in the file, after each pass over the chain.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// `None` until they were counted, and after one was added.
    checkpoints: Option<u64>,
    /// A contradiction stays until somebody sees to it, and is said once.
    said: bool,
}

impl Witness {
    /// Whether nothing was taken down yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.checkpoints.is_none()
    }

    /// A checkpoint was added.
    pub(crate) const fn count_anew(&mut self) {
        self.checkpoints = None;
    }

    /// Brings the file to where the chain ends, if nothing contradicts it.
    pub(crate) async fn note(&mut self, app: &App) -> Result<(), StoreError> {
        let Some(file) = &app.audit.head else { return Ok(()) };
        let last = match file.read(&app.audit.key) {
            Kept::Head(head) => Some(head),
            Kept::Absent => None,
            Kept::Unusable(error) => {
                logging::limited("audit head", || tracing::error!(%error, "audit head cannot be used"));
                return Ok(());
            }
        };
        let AuditHead { position, hash } = app.store.audit_head().await?;
        let beginning = start::read(app).await?;
        let checkpoints = match self.checkpoints {
            Some(count) => count,
            None => beginning.checkpoints(app).await?,
        };
        self.checkpoints = Some(checkpoints);
        let known = last.map_or((0, hash, checkpoints), |last| (last.position, last.hash, last.checkpoints));
        if known == (position, hash, checkpoints) {
            return Ok(());
        }
        if let Some(last) = last
            && let Some(detail) = lacks(app, &last, &beginning, checkpoints).await?
        {
            if !std::mem::replace(&mut self.said, true) {
                tracing::error!(
                    detail,
                    "audit log cut off; remove secrets/audit.head if an older database was put back"
                );
            }
            return Ok(());
        }
        self.said = false;
        let head = Head { position, hash, checkpoints, at: app.clock.now() };
        file.write(&head, &app.audit.key).await;
        Ok(())
    }
}
