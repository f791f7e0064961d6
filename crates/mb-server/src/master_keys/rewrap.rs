//! Sealing anew, in steps: settings, then data keys, then values of rows. Each step is done when it is answered, so that it
//! can be broken off anywhere and begun again: what is sealed under the active key is passed by.

use mb_api::dto::RewrapProgress;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::KeyId;
use mb_core::envelope::SignedKey;
use mb_crypto::audit::CHAIN_KEY_CONTEXT;
use mb_crypto::master::{MasterKeys, reseal};
use mb_crypto::sealed_value::{self, Purpose};
use mb_crypto::{CryptoError, search};
use mb_store::{DataKeyRow, SealedColumn, SealedRow, StoreError};
use serde_json::json;

use super::with_files;
use crate::app::App;
use crate::routes::store_fault;
use crate::shared_secrets::{CHAIN_KEY, SEARCH_KEY};

/// Rows of one step: it takes well under a second.
const STEP: u32 = 200;

/// The settings that are sealed, with what for.
pub(super) const SETTINGS: [(&str, &str); 2] = [(SEARCH_KEY, search::CONTEXT), (CHAIN_KEY, CHAIN_KEY_CONTEXT)];

/// Where values of a purpose lie; nowhere: for minutes only.
const fn places(purpose: Purpose) -> &'static [SealedColumn] {
    match purpose {
        Purpose::TotpSecret => &[SealedColumn::TotpSecret],
        Purpose::MailBody => &[SealedColumn::MailBody],
        Purpose::OtpToken => &[],
        Purpose::WebhookSecret => {
            &[SealedColumn::WebhookSecret, SealedColumn::PreviousWebhookSecret, SealedColumn::OlderWebhookSecret]
        }
        Purpose::WebhookClientKey => &[SealedColumn::WebhookClientKey],
        Purpose::AttemptAnswer => &[SealedColumn::AttemptAnswer],
    }
}

fn columns() -> Vec<(Purpose, SealedColumn)> {
    let of = |purpose| places(purpose).iter().map(move |column| (purpose, *column));
    Purpose::ALL.into_iter().flat_map(of).collect()
}

/// Where a step begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Settings,
    /// Behind a data key.
    DataKeys(KeyId),
    /// Behind a row of the column with this number.
    Values(usize, i64),
}

const FIRST_KEY: KeyId = KeyId::from_bytes([0; 16]);

impl Place {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('.')? {
            ("keys", id) => KeyId::parse(id).map(Self::DataKeys),
            (column, row) => Some(Self::Values(column.parse().ok()?, row.parse().ok()?)),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Settings => String::new(),
            Self::DataKeys(id) => format!("keys.{id}"),
            Self::Values(column, row) => format!("{column}.{row}"),
        }
    }
}

/// What a step did.
#[derive(Default)]
struct Done {
    rewrapped: u64,
    unreadable: u64,
    next: Option<Place>,
}

/// Does the step behind `cursor`, or the first one.
///
/// # Errors
/// `malformed_request` for a cursor of something else, `unavailable`.
pub(crate) async fn rewrap(app: &App, cursor: Option<&str>, actor: &str) -> Result<RewrapProgress, ApiError> {
    let place = match cursor {
        None => Place::Settings,
        Some(text) => Place::parse(text)
            .ok_or_else(|| ApiError::new(ProblemCode::MalformedRequest, "cursor is none of an earlier answer"))?,
    };
    let done = match place {
        Place::Settings => settings(app).await?,
        Place::DataKeys(after) => data_keys(app, after).await?,
        Place::Values(column, after) => values(app, column, after).await?,
    };
    if done.rewrapped > 0 {
        let detail = json!({ "count": done.rewrapped, "unreadable": done.unreadable });
        let active = app.master.active().id().to_string();
        app.store.audit(actor, "keys.rewrap", &active, detail).await.map_err(store_fault)?;
    }
    Ok(RewrapProgress {
        rewrapped: done.rewrapped,
        unreadable: done.unreadable,
        left: left(app).await.map_err(store_fault)?,
        next: done.next.map(Place::text),
    })
}

/// How many are not sealed under the active key.
async fn left(app: &App) -> Result<u64, StoreError> {
    let active = app.master.active().id();
    let uses = app.store.master_key_uses().await?;
    let rows: u64 = uses.into_iter().filter(|(id, _)| *id != active).map(|(_, count)| count).sum();
    let settings = setting_keys(app).await?.into_iter().filter(|id| *id != active).count();
    Ok(rows + settings as u64)
}

/// The master keys that the settings need.
pub(super) async fn setting_keys(app: &App) -> Result<Vec<KeyId>, StoreError> {
    let mut keys = Vec::new();
    for (name, _) in SETTINGS {
        let sealed = app.store.setting(name).await?;
        keys.extend(sealed.and_then(|sealed| sealed_value::master_key_id(&sealed).ok()));
    }
    Ok(keys)
}

async fn settings(app: &App) -> Result<Done, ApiError> {
    let mut done = Done { next: Some(Place::DataKeys(FIRST_KEY)), ..Done::default() };
    for (name, context) in SETTINGS {
        let Some(sealed) = app.store.setting(name).await.map_err(store_fault)? else { continue };
        match app.master.rewrap_secret(context, &sealed) {
            Ok(None) => {}
            Ok(Some(again)) => {
                let replaced = app.store.exchange_setting(name, &sealed, &again).await.map_err(store_fault)?;
                done.rewrapped += u64::from(replaced);
            }
            Err(error) => done.passed_by(name, &error),
        }
    }
    Ok(done)
}

async fn data_keys(app: &App, after: KeyId) -> Result<Done, ApiError> {
    let active = app.master.active().id();
    let rows = app.store.data_keys_not_under(active, after, STEP).await.map_err(store_fault)?;
    let full = rows.len() == STEP as usize;
    let next = rows.last().filter(|_| full).map_or(Place::Values(0, 0), |row| Place::DataKeys(row.key_id));
    let outcomes =
        with_files(app, move |keys| Ok(rows.into_iter().map(|row| (data_key(keys, &row), row)).collect::<Vec<_>>()));
    let (mut done, mut again) = (Done { next: Some(next), ..Done::default() }, Vec::new());
    for (outcome, row) in outcomes.await? {
        match outcome {
            Ok(Some(sealed)) => again.push((row, sealed)),
            Ok(None) => {}
            Err(error) => done.passed_by(&format!("data key {}", row.key_id), &error),
        }
    }
    if !again.is_empty() {
        done.rewrapped = app.store.rewrap_data_keys(active, &again).await.map_err(store_fault)?;
    }
    Ok(done)
}

fn data_key(keys: &MasterKeys, row: &DataKeyRow) -> Result<Option<Vec<u8>>, CryptoError> {
    let record = SignedKey::parse(&row.record)
        .map_err(|error| CryptoError::Malformed { what: "data key", detail: error.to_string() })?;
    keys.rewrap(&record, row.rewrapped.as_deref())
}

async fn values(app: &App, number: usize, after: i64) -> Result<Done, ApiError> {
    let Some((purpose, column)) = columns().get(number).copied() else { return Ok(Done::default()) };
    let active = app.master.active().id();
    let rows = app.store.sealed_not_under(column, active, after, STEP).await.map_err(store_fault)?;
    let full = rows.len() == STEP as usize;
    let next = rows.last().filter(|_| full).map_or(Place::Values(number + 1, 0), |row| Place::Values(number, row.id));
    let mut done = Done { next: Some(next), ..Done::default() };
    for row in &rows {
        match reseal(&app.master, purpose, &name(row), &row.sealed) {
            Ok(None) => {}
            Ok(Some(again)) => {
                done.rewrapped += u64::from(app.store.reseal(column, row, &again).await.map_err(store_fault)?);
            }
            Err(error) => done.passed_by(&format!("{column:?} {}", row.id), &error),
        }
    }
    Ok(done)
}

fn name(row: &SealedRow) -> String {
    if row.name.is_empty() { row.id.to_string() } else { row.name.clone() }
}

impl Done {
    fn passed_by(&mut self, what: &str, error: &CryptoError) {
        tracing::error!(what, %error, "not sealed anew: it does not open");
        self.unreadable += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_sealed_values_is_sealed_anew() {
        let known = columns();
        for column in SealedColumn::ALL {
            assert!(known.iter().any(|(_, other)| *other == column), "{column:?}");
        }
    }

    #[test]
    fn places_travel_as_text() {
        for place in [Place::DataKeys(KeyId::from_bytes([0xab; 16])), Place::Values(1, 7)] {
            assert_eq!(Place::parse(&place.text()), Some(place));
        }
        for bad in ["", "keys", "keys.", "keys.7", "x.y", "1.x"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
