//! The installation that the main server runs in. Where settings come from and what a machine should look like the program
//! around it knows; here it is kept, so that administrators can ask for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mb_api::dto::{FindingRow, SettingRow};
use mb_api::problem::{ApiError, ProblemCode};
use tokio::sync::Semaphore;

/// How long an examination may take.
const PATIENCE: Duration = Duration::from_secs(40);

type Examine = dyn Fn() -> Pin<Box<dyn Future<Output = Vec<FindingRow>> + Send>> + Send + Sync;

/// Settings, and how the machine is examined.
pub struct Installation {
    settings: RwLock<Arc<[SettingRow]>>,
    examine: Box<Examine>,
    /// One examination at a time: it takes connections and looks at files.
    examining: Semaphore,
}

impl Installation {
    /// With the settings at the start, and what examines the machine.
    pub fn new<F>(settings: Vec<SettingRow>, examine: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<FindingRow>> + Send + 'static,
    {
        Self {
            settings: RwLock::new(settings.into()),
            examine: Box::new(move || Box::pin(examine())),
            examining: Semaphore::new(1),
        }
    }

    /// Settings were taken up while the main server runs.
    pub(crate) fn set(&self, settings: Vec<SettingRow>) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings.into();
    }

    pub(crate) fn settings(&self) -> Arc<[SettingRow]> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn examine(&self) -> Result<Vec<FindingRow>, ApiError> {
        let Ok(_turn) = self.examining.try_acquire() else {
            return Err(ApiError::new(ProblemCode::Overloaded, "the machine is being examined already"));
        };
        let found = tokio::time::timeout(PATIENCE, (self.examine)()).await;
        found.map_err(|_| ApiError::new(ProblemCode::Unavailable, "the examination did not come to an end"))
    }
}

impl fmt::Debug for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Installation").field("settings", &self.settings().len()).finish_non_exhaustive()
    }
}
