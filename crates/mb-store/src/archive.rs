//! All rows as one stream, from any database into any other: what a backup keeps and a restore puts back.
//!
//! The stream is a picture of one moment, taken beside the writers. It holds what the tables hold, sealed bodies and
//! wrapped keys included, and no clear text that they do not have; its reader is sealed and stored by others. What lives
//! for a moment only (sign-ins, leases, mail on its way) stays out: a restored store revives nothing of that.
//!
//! Putting a stream back empties the database first. Until it is whole the store says that it is not
//! ([`Store::is_half_restored`]), so that nobody takes half a store for a whole one; the last transaction of a restore
//! mints a new epoch, upon which proxies offer again all that they keep.

mod export;
mod format;
mod import;
mod tables;

use std::collections::BTreeMap;

use crate::Store;
use crate::error::StoreError;

use tables::TABLES;

pub(crate) use export::Snapshot;

/// How many rows each table has.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Contents(pub BTreeMap<String, u64>);

impl Store {
    /// How many rows each table has that an archive keeps; reads all of them.
    pub async fn contents(&self) -> Result<Contents, StoreError> {
        let mut contents = Contents::default();
        for table in TABLES {
            let row = self.backend().fetch_optional(table.count(), []).await?;
            let count = row.ok_or(StoreError::Damaged("count"))?.unsigned(0)?;
            contents.0.insert(table.name.to_owned(), count);
        }
        Ok(contents)
    }
}
