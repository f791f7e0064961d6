//! Notices: what a person should know. Of one kind about one thing at most one is open; what raises it again counts it
//! up. Raising is the system's doing and its own record; resolving is recorded in the audit log.

use mb_core::{NoticeId, NoticeKind, NoticeLevel, Timestamp};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::mail::{self, NewMail};
use crate::settings;
use crate::value::{Row, Value};

/// A notice to raise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewNotice {
    /// What kind of thing happened.
    pub kind: NoticeKind,
    /// To which thing: a fingerprint, a name.
    pub key: String,
    /// How serious it is.
    pub level: NoticeLevel,
    /// More, a JSON object.
    pub detail: serde_json::Value,
}

/// A notice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// What kind of thing happened.
    pub kind: NoticeKind,
    /// To which thing.
    pub key: String,
    /// How serious it is.
    pub level: NoticeLevel,
    /// More, a JSON object, as it was when it last happened.
    pub detail: String,
    /// When it first happened.
    pub first_at: Timestamp,
    /// When it last happened.
    pub last_at: Timestamp,
    /// How often it happened.
    pub count: u64,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When it was mailed.
    pub mailed_at: Option<Timestamp>,
}

/// Which notices to list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NoticeFilter {
    /// Those that are not resolved.
    #[default]
    Open,
    /// Every one.
    All,
}

/// Which open notice is resolved.
#[derive(Clone, Copy, Debug)]
pub enum NoticeKey<'a> {
    /// The one with this id.
    Id(NoticeId),
    /// The one of this kind about this thing.
    About(NoticeKind, &'a str),
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, about, level, detail, first_at, last_at, count, resolved_at, mailed_at FROM notices ",
            $rest
        )
    };
}

const OPEN_BY_ID: &str = select!("WHERE id = ? AND is_open = 1");
const OPEN_ABOUT: &str = select!("WHERE kind = ? AND about = ? AND is_open = 1");
const PAGE_OF_OPEN: &str = select!("WHERE is_open = 1 AND id < ? ORDER BY id DESC LIMIT ?");
const PAGE: &str = select!("WHERE id < ? ORDER BY id DESC LIMIT ?");
const OPEN_OF: &str = "SELECT about FROM notices WHERE kind = ? AND about > ? AND is_open = 1 ORDER BY about LIMIT ?";
const UNMAILED: &str = select!("WHERE is_open = 1 AND mailed_at IS NULL ORDER BY id LIMIT ?");

fn read(row: &Row) -> Result<Notice, StoreError> {
    Ok(Notice {
        id: NoticeId::new(row.int(0)?),
        kind: NoticeKind::parse(row.text(1)?).ok_or(StoreError::Damaged("notice kind"))?,
        key: row.text(2)?.to_owned(),
        level: NoticeLevel::parse(row.text(3)?).ok_or(StoreError::Damaged("notice level"))?,
        detail: row.text(4)?.to_owned(),
        first_at: row.time(5)?,
        last_at: row.time(6)?,
        count: row.unsigned(7)?,
        resolved_at: row.optional_time(8)?,
        mailed_at: row.optional_time(9)?,
    })
}

impl Store {
    /// Raises a notice: opens one, or counts up the one that is open and takes over its level and detail. Returns it.
    pub async fn raise_notice(&self, new: &NewNotice) -> Result<Notice, StoreError> {
        let mut tx = self.backend().begin().await?;
        let notice = raise(&mut tx, new, self.now()).await?;
        tx.commit().await?;
        Ok(notice)
    }

    /// Raises a notice of the number `newest` of its kind, unless that or a later one was told of; whether it did. Which
    /// one was is kept with the notice, whoever raised it.
    pub async fn raise_notice_of(&self, new: &NewNotice, newest: u64) -> Result<bool, StoreError> {
        let name = format!("told_{}", new.kind);
        // This is asked for again and again: only what is new is worth a turn to write.
        let told = self.setting(&name).await?.map_or(Ok(0), number)?;
        if newest <= told {
            return Ok(false);
        }
        let mut tx = self.backend().begin().await?;
        if newest <= settings::in_transaction(&mut tx, &name).await?.map_or(Ok(0), number)? {
            tx.rollback().await?;
            return Ok(false);
        }
        settings::put(&mut tx, &name, &newest.to_be_bytes()).await?;
        raise(&mut tx, new, self.now()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// What open notices of a kind are about, in order, behind `after`, at most `limit`.
    pub async fn open_notices(&self, kind: NoticeKind, after: &str, limit: u32) -> Result<Vec<String>, StoreError> {
        let values = [Value::Text(kind.as_str()), Value::Text(after), Value::Int(limit.into())];
        let rows = self.backend().fetch(OPEN_OF, values).await?;
        rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
    }

    /// Resolves an open notice; whether there was one.
    pub async fn resolve_notice(&self, key: NoticeKey<'_>, actor: &str) -> Result<bool, StoreError> {
        let (sql, values) = match key {
            NoticeKey::Id(id) => (OPEN_BY_ID, vec![Value::Int(id.get())]),
            NoticeKey::About(kind, key) => (OPEN_ABOUT, vec![Value::Text(kind.as_str()), Value::Text(key)]),
        };
        // The system resolves what may not be there, and often: only what is there is worth a turn to write.
        if self.backend().fetch_optional(sql, values.iter().copied()).await?.is_none() {
            return Ok(false);
        }
        let mut tx = self.backend().begin().await?;
        let Some(notice) = tx.fetch_optional(sql, values).await?.as_ref().map(read).transpose()? else {
            tx.rollback().await?;
            return Ok(false);
        };
        let sql = "UPDATE notices SET is_open = NULL, resolved_at = ? WHERE id = ?";
        tx.execute(sql, [Value::Time(self.now()), Value::Int(notice.id.get())]).await?;
        let detail = json!({ "kind": notice.kind, "key": notice.key });
        let id = notice.id.to_string();
        audit::insert(&mut tx, &Change::new(self, actor, "notice.resolve", &id).detail(detail)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// At most `limit` notices older than `before` (all if `None`), newest first.
    pub async fn notice_page(
        &self,
        filter: NoticeFilter,
        before: Option<NoticeId>,
        limit: u32,
    ) -> Result<Vec<Notice>, StoreError> {
        let sql = match filter {
            NoticeFilter::Open => PAGE_OF_OPEN,
            NoticeFilter::All => PAGE,
        };
        let values = [Value::Int(before.map_or(i64::MAX, NoticeId::get)), Value::Int(limit.into())];
        self.backend().fetch(sql, values).await?.iter().map(read).collect()
    }

    /// At most `limit` open notices that were not mailed, oldest first.
    pub async fn unmailed_notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.backend().fetch(UNMAILED, [Value::Int(limit.into())]).await?.iter().map(read).collect()
    }

    /// Stores the mails that tell of these notices and marks them as mailed, together. `false`, and nothing is stored, if
    /// one of them was mailed meanwhile: another was faster.
    pub async fn mail_notices(&self, ids: &[NoticeId], mails: &[NewMail]) -> Result<bool, StoreError> {
        let now = self.now();
        let mut tx = self.backend().begin().await?;
        for id in ids {
            if !mark_mailed(&mut tx, *id, now).await? {
                tx.rollback().await?;
                return Ok(false);
            }
        }
        for mail in mails {
            mail::insert(&mut tx, mail, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Removes at most `limit` notices that were resolved before `before`; how many.
    pub async fn sweep_notices(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let sql = "SELECT id FROM notices WHERE resolved_at < ? ORDER BY resolved_at LIMIT ?";
        let mut tx = self.backend().begin().await?;
        let rows = tx.fetch(sql, [Value::Time(before), Value::Int(limit.into())]).await?;
        for row in &rows {
            tx.execute("DELETE FROM notices WHERE id = ?", [Value::Int(row.int(0)?)]).await?;
        }
        tx.commit().await?;
        Ok(rows.len() as u64)
    }
}

async fn mark_mailed(tx: &mut Transaction, id: NoticeId, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE notices SET mailed_at = ? WHERE id = ? AND mailed_at IS NULL";
    Ok(tx.execute(sql, [Value::Time(now), Value::Int(id.get())]).await? == 1)
}

/// Reads what the notice of a number left.
fn number(value: Vec<u8>) -> Result<u64, StoreError> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Damaged("number that was told of"))
}

/// Raises a notice in the transaction of what it is about.
pub(crate) async fn raise(tx: &mut Transaction, new: &NewNotice, now: Timestamp) -> Result<Notice, StoreError> {
    let now = Value::Time(now);
    let about = [Value::Text(new.kind.as_str()), Value::Text(&new.key)];
    let detail = new.detail.to_string();
    let said = [Value::Text(new.level.as_str()), Value::Text(&detail)];
    if let Some(row) = tx.fetch_optional(OPEN_ABOUT, about).await? {
        let sql = "UPDATE notices SET level = ?, detail = ?, last_at = ?, count = count + 1 WHERE id = ?";
        tx.execute(sql, [said[0], said[1], now, Value::Int(row.int(0)?)]).await?;
    } else {
        let sql = "INSERT INTO notices (kind, about, is_open, level, detail, first_at, last_at, count) \
                   VALUES (?, ?, 1, ?, ?, ?, ?, 1)";
        tx.execute(sql, [about[0], about[1], said[0], said[1], now, now]).await?;
    }
    let row = tx.fetch_optional(OPEN_ABOUT, about).await?;
    read(&row.ok_or(StoreError::Damaged("notice"))?)
}
