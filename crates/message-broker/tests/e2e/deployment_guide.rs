//! Every `sh` block of the deployment guide, in its order, beside a running system.

use crate::harness::Broker;
use crate::manuals::{document, run_blocks};

#[test]
fn every_command_of_the_guide_works_needs_curl() {
    let guide = document("deployment-guide.md");
    for shown in [":8000", ":8001", ":9100", ":5000"] {
        assert!(guide.contains(shown), "{shown}");
    }
    run_blocks(&guide, &Broker::start_with(&[("MB_BACKUP__PASSPHRASE", "what seals a backup")]));
}
