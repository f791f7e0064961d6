//! Leased deliveries opened for whoever takes them.
//!
//! What does not open is said of that message alone, and to everybody concerned; it is reported as tried, so that it does
//! not come again and again, and becomes a dead letter if its key stays away.

use std::time::Duration;

use mb_api::dto::SecretText;
use mb_api::problem::ApiError;
use mb_core::{AttemptClass, AttemptId};
use mb_crypto::random;
use mb_store::{AttemptReport, Leased, Reporter, Reports};

use super::payload;
use crate::app::App;
use crate::opening::{self, Plain, Unopened};
use crate::routes::store_fault;

/// Who reports what could not be tried.
const REPORTER: &str = "system:main-server";

/// Those that open, with what is sent.
pub(crate) async fn payloads(app: &App, leased: Vec<Leased>) -> Result<Vec<(Leased, SecretText)>, ApiError> {
    let (mut opened, mut broken) = (Vec::with_capacity(leased.len()), Vec::new());
    for delivery in leased {
        let plain = opening::open(app, &delivery.message).await.map_err(store_fault)?;
        let payload = plain.and_then(|plain| sent(&delivery, &plain).ok_or(Unopened::Damaged));
        match payload {
            Ok(payload) => opened.push((delivery, payload)),
            Err(unopened) => {
                opening::report(app, &delivery.message.header, unopened).await;
                broken.push(unsendable(app, &delivery, unopened));
            }
        }
    }
    if !broken.is_empty() {
        let (worker, instance) = (REPORTER, &app.instance);
        let jitter = vec![0.0; broken.len()];
        let reports = Reports {
            by: Reporter::Worker,
            attempts: &broken,
            released: &[],
            expired: &[],
            worker,
            instance,
            jitter: &jitter,
        };
        let reported = app.store.report_attempts(&reports).await.map_err(store_fault)?;
        app.delivering.note(&reported);
    }
    Ok(opened)
}

fn sent(delivery: &Leased, plain: &Plain) -> Option<SecretText> {
    payload::compose(&delivery.message.header, &plain.content()?)
}

fn unsendable(app: &App, delivery: &Leased, unopened: Unopened) -> AttemptReport {
    AttemptReport {
        attempt: AttemptId::from_bytes(random::public_array()),
        message: delivery.message.header.message_id,
        destination: delivery.destination,
        lease: delivery.lease,
        at: app.clock.now(),
        duration: Duration::ZERO,
        class: AttemptClass::Unsendable,
        status: None,
        retry_after: None,
        detail: Some(format!("the message does not open: {}", unopened.detail())),
        answer: None,
    }
}
