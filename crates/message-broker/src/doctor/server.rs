//! The main server as this machine sees it, and how far the two clocks are apart.

use std::time::Duration;

use mb_api::client::{Client, Transport};
use mb_core::{Clock, Timestamp};

use super::{Finding, Patient};
use crate::layout::read_text;
use crate::output;

/// Certificates are backdated by 5 minutes, and one-time passwords live 30 s: a clock further off does harm.
pub(super) const SKEW: Duration = Duration::from_secs(5);

pub(super) async fn check(patient: Patient<'_>) -> Vec<Finding> {
    let url = patient.resolved.config.server.url();
    if patient.preflight {
        return Vec::new();
    }
    let asked = async {
        let ca = read_text(&patient.layout.ca_certificate())?;
        let tls = mb_crypto::tls::main_server_client_config(None, &ca, &patient.layout.listed_as_revoked(&ca))?;
        let began = Clock::System.now();
        let report = Client::new(Transport::mtls(tls, &url)?).health().await?;
        anyhow::Ok((report, began, Clock::System.now()))
    };
    match asked.await {
        Err(error) => {
            let fix = "start the main server, or correct server.url (MAIN_SERVER_URL)";
            vec![Finding::warn("main server", format!("{url} does not answer: {}", output::why(&error)), fix)]
        }
        Ok((report, began, ended)) => {
            let detail = format!("{url} is {:?}, version {}", report.status, report.version).to_lowercase();
            vec![Finding::ok("main server", detail), clocks(report.timestamp, began, ended)]
        }
    }
}

/// The other clock was read between these two moments of ours.
fn clocks(theirs: Timestamp, began: Timestamp, ended: Timestamp) -> Finding {
    let apart = began.since(theirs).max(theirs.since(ended));
    let detail = format!("{:.1} s apart from the main server's clock", apart.as_secs_f64());
    if apart > SKEW {
        let why = format!("{detail}: times of messages and the validity of certificates are judged wrongly");
        Finding::fail("clock", why, "synchronise the clocks: `timedatectl set-ntp true`, on Windows `w32tm /resync`")
    } else {
        Finding::ok("clock", detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_clock_is_apart_in_either_direction_and_the_way_there_does_not_count() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        assert_eq!(clocks(at(10), at(9), at(20)).status, Status::Ok);
        assert_eq!(clocks(at(1), at(9), at(20)).status, Status::Fail);
        assert_eq!(clocks(at(30), at(9), at(20)).status, Status::Fail);
    }
}
