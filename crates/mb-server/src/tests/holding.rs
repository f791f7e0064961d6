//! What workers hold when its destination changes, or it is somebody else's.

use mb_api::dto::RegisterResult::Stored;
use mb_api::dto::delivery::{HeldDelivery, KnownTarget, LeaseRequest, ReportAnswer, ReportRequest};
use mb_core::{LeaseId, Role};
use serde_json::json;

use super::delivering::{lease, of, webhook, with_domain};

#[tokio::test]
async fn a_worker_is_told_at_once_what_became_of_the_destinations_that_it_sends_to() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let worker = fixture.client(Role::Worker).await;
    let (number, _) = webhook(&admin, "hook").await;
    assert_eq!(fixture.register(&[fixture.key.message(1)]).await, [Stored]);
    let leased = lease(&worker).await;
    let (target, delivery) = (&leased.targets[0], &leased.deliveries[0]);
    let held =
        HeldDelivery { message_id: delivery.message_id, destination: delivery.destination, lease: delivery.lease };
    let known = KnownTarget { id: target.id, version: target.version };
    let told = async |held: HeldDelivery| -> ReportAnswer {
        let (held, targets) = (vec![held], vec![known]);
        let report = ReportRequest { worker: "w".into(), held, targets, ..ReportRequest::default() };
        worker.report_deliveries(&report).await.expect("is heard")
    };
    let as_before = told(held).await;
    assert!(as_before.closed.is_empty() && as_before.targets.is_empty() && as_before.lost.is_empty());
    assert_eq!(as_before.version, leased.version);
    let stranger = HeldDelivery { lease: LeaseId::from_bytes([9; 16]), ..held };
    assert_eq!(told(stranger).await.lost, [stranger]);
    admin.put(&of(&number, ""), json!({ "url": "https://elsewhere.example/" })).await.ok(200);
    let moved = told(held).await;
    assert_eq!(moved.targets.iter().map(|target| &*target.url).collect::<Vec<_>>(), ["https://elsewhere.example/"]);
    assert!(moved.version > as_before.version && moved.lost.is_empty());
    // Whoever waits for deliveries is told that there is something to know.
    let ask = |knows| LeaseRequest { worker: "w".into(), limit: 0, except: Vec::new(), wait_seconds: 30, knows };
    assert_eq!(worker.lease_deliveries(&ask(leased.version)).await.expect("answers").version, moved.version);
    // It goes by that, too: nobody waits for it.
    lease(&worker).await;
    for state in ["paused", "disabled"] {
        admin.put(&of(&number, "/state"), json!({ "state": state })).await.ok(200);
        let closed = told(held).await;
        assert_eq!((closed.closed, closed.lost), (vec![target.id], vec![held]), "{state}");
    }
    assert_eq!(admin.delete(&of(&number, "")).await.status, 204);
    assert_eq!(told(held).await.closed, [target.id]);
}
