//! A client withdraws a message while it is on its way to the main server.

use mb_api::dto::CancelRequest;
use mb_api::{ApiError, ProblemCode, RequestId};

use super::*;

/// Withdraws what the main server knows.
pub(super) async fn cancel(State(server): State<Arc<MainServer>>, Json(ask): Json<CancelRequest>) -> Response {
    let mut known = server.known.lock().expect("no panic while held");
    if known.contains(&ask.message_id) {
        return StatusCode::NO_CONTENT.into_response();
    }
    if server.registers.load(Ordering::Relaxed) {
        known.push(ask.message_id);
    }
    ApiError::new(ProblemCode::NotFound, "no such message").render(&RequestId::fresh())
}

impl Rig {
    async fn withdraw(&self, id: MessageId) -> (u16, serde_json::Value) {
        let path = paths::MESSAGE.replace("{id}", &id.to_string());
        let (status, answer) = self.send("DELETE", &path, "", Body::empty()).await;
        (status.as_u16(), if status == StatusCode::OK { answer["status"].clone() } else { answer["code"].clone() })
    }
}

#[tokio::test]
async fn a_message_that_may_be_on_its_way_is_never_said_to_be_unknown() {
    let rig = Rig::start().await;
    let (later, none) = ((503, "status_unavailable".into()), (404, "not_found".into()));
    let waiting = rig.submit().await;
    assert_eq!(rig.withdraw(waiting).await, later, "it is not handed over");
    rig.settle().await;
    assert_eq!(rig.withdraw(waiting).await, later, "it is, and the main server does not show it yet");
    let mut young = *waiting.as_bytes();
    young[15] ^= 1;
    assert_eq!(rig.withdraw(MessageId::from_bytes(young)).await, later, "another proxy may have it");
    assert_eq!(rig.withdraw(MessageId::v8(&[7; 32])).await, later);
    assert_eq!(rig.withdraw(MessageId::parse("01890000-0000-7000-8000-000000000000").expect("an id")).await, none);
    rig.server.registers.store(true, Ordering::Relaxed);
    assert_eq!(rig.withdraw(waiting).await, (200, "cancelled".into()), "it was registered in between");
}
