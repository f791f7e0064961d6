//! The installation that a main server runs in.

use std::time::Duration;

use http::Method;

use super::{Client, ClientError, bare};
use crate::dto::{FindingRow, SettingRow};
use crate::page::Page;
use crate::paths;

/// How long an examination may take: some of what it asks is answered late, or not at all.
const EXAMINATION: Duration = Duration::from_secs(45);

impl Client {
    /// The settings in effect at the main server.
    pub async fn settings(&self) -> Result<Page<SettingRow>, ClientError> {
        self.get(paths::SETTINGS).await
    }

    /// Examines the main server's machine.
    pub async fn examine(&self) -> Result<Page<FindingRow>, ClientError> {
        self.json(bare(Method::POST, paths::DOCTOR)?, EXAMINATION).await
    }
}
