//! What time has ended is removed: sessions, tokens, mails that are done with, notices that were resolved, proxies that are
//! no more. In steps small enough that no request waits for one of them.

use std::time::Duration;

use mb_store::StoreError;

use crate::app::App;

/// Rows of one step.
const STEP: u32 = 500;
/// Steps of one run and kind; what is left has time until the next run.
const STEPS: u32 = 20;
/// How long it can be seen what became of a mail.
const MAIL_KEPT: Duration = Duration::from_hours(7 * 24);
/// How long a resolved notice can be seen.
const NOTICES_KEPT: Duration = Duration::from_hours(90 * 24);
/// How long it can be seen why messages failed and how long they took: three times what is shown.
const TALLIES_KEPT: Duration = Duration::from_hours(90 * 24);
/// How long it can be seen that there was a worker: after each start it has another name.
const WORKERS_KEPT: Duration = Duration::from_hours(24);
/// Nobody waits for a trial for so long.
const PROBES_KEPT: Duration = Duration::from_mins(1);
/// How long it can be seen that there was a proxy: its journal may hold messages for as long.
const PROXIES_KEPT: Duration = Duration::from_hours(30 * 24);

pub(crate) async fn run(app: &App) -> Result<(), StoreError> {
    let kinds = [
        Kind::Expired,
        Kind::Mail,
        Kind::Notices,
        Kind::Proxies,
        Kind::Tallies,
        Kind::Workers,
        Kind::Probes,
        Kind::Tombstones,
    ];
    for kind in kinds {
        for _ in 0..STEPS {
            if kind.step(app).await? == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Ends deliveries whose message has expired, and gives up those of destinations that are disabled or gone.
pub(crate) async fn deliveries(app: &App) -> Result<(), StoreError> {
    for _ in 0..STEPS {
        let expired = app.store.expire_deliveries(&app.instance, STEP).await?;
        if expired + app.store.bury_deliveries(&app.instance, STEP).await? == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Sessions and tokens that are over.
    Expired,
    Mail,
    Notices,
    Proxies,
    Tallies,
    Workers,
    /// Trials of which those who asked are gone.
    Probes,
    /// Of expunged messages of which no copy comes any more.
    Tombstones,
}

impl Kind {
    /// Removes some; how many.
    async fn step(self, app: &App) -> Result<u64, StoreError> {
        let now = app.clock.now();
        match self {
            Self::Expired => app.store.purge_expired(STEP).await,
            Self::Mail => app.store.sweep_mail(now.minus(MAIL_KEPT), STEP).await,
            Self::Notices => app.store.sweep_notices(now.minus(NOTICES_KEPT), STEP).await,
            Self::Proxies => app.store.sweep_proxies(now.minus(PROXIES_KEPT), STEP).await,
            Self::Tallies => app.store.sweep_tallies(TALLIES_KEPT, STEP).await,
            Self::Workers => app.store.sweep_workers(now.minus(WORKERS_KEPT), STEP).await,
            Self::Probes => app.store.sweep_probes(now.minus(PROBES_KEPT)).await,
            Self::Tombstones => app.store.sweep_tombstones(STEP).await,
        }
    }
}
