//! Where the audit log begins: at its first row, or behind the cut that retention made.
//!
//! A beginning that cannot be used counts as none: then the rows that are gone are missed, as they are to be if somebody
//! else has removed them.

use mb_crypto::audit::Start;
use mb_store::StoreError;

use crate::app::App;

/// What the store says of the beginning.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    pub(crate) start: Start,
    /// As it is stored.
    pub(super) text: Option<Vec<u8>>,
    /// It is stored and not genuine.
    pub(super) is_broken: bool,
}

pub(crate) async fn read(app: &App) -> Result<Beginning, StoreError> {
    let Some(text) = app.store.audit_start().await? else { return Ok(Beginning::default()) };
    let read = std::str::from_utf8(&text).ok().map(|text| Start::from_text(text, &app.audit.key));
    Ok(match read {
        Some(Ok(start)) => Beginning { start, text: Some(text), is_broken: false },
        Some(Err(_)) | None => Beginning { start: Start::default(), text: Some(text), is_broken: true },
    })
}

impl Beginning {
    /// How many checkpoints there ever were.
    pub(super) async fn checkpoints(&self, app: &App) -> Result<u64, StoreError> {
        Ok(self.start.checkpoints + app.store.checkpoint_count(self.start.position).await?)
    }
}
