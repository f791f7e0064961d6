//! Messages with an idempotency key: the journal knows them as long as it holds them.

use super::support::*;
use crate::{AppendError, Appended};

const REPLAYED: Appended = Appended::Replayed { queued_at: NOW };

#[tokio::test]
async fn a_repeat_is_recognised_and_other_content_is_a_conflict() {
    let journal = Rig::new().open();
    assert_eq!(journal.append_one(tagged(1, 1)).await, Ok(Appended::Stored { depth: 1 }));
    assert_eq!(journal.append_one(tagged(1, 1)).await, Ok(REPLAYED));
    assert_eq!(journal.append_one(tagged(1, 2)).await, Ok(Appended::Conflict));
    assert_eq!(journal.append_one(tagged(2, 2)).await, Ok(Appended::Stored { depth: 2 }));
    assert_eq!(journal.status().depth, 2);
}

#[tokio::test]
async fn repeats_within_one_group_are_recognised_too() {
    let rig = Rig::new();
    let journal = rig.open();
    let entries = vec![tagged(1, 1), message(0), tagged(1, 1), tagged(1, 2), tagged(2, 1)];
    let answers = journal.append(entries).await.expect("stored");
    let stored = |depth| Appended::Stored { depth };
    assert_eq!(answers, [stored(1), stored(2), REPLAYED, Appended::Conflict, stored(3)]);
    let journal = rig.reopen(journal).await;
    assert_eq!(journal.status().depth, 3);
}

#[tokio::test]
async fn repeats_are_recognised_after_the_segment_is_sealed_and_after_a_restart() {
    let rig = Rig::new();
    let journal = rig.open();
    for n in 0..100 {
        journal.append_one(tagged(n, 1)).await.expect("stored");
        journal.append_one(message(u32::from(n))).await.expect("stored");
    }
    tidy(&journal);
    assert!(rig.segments().len() > 3);
    for n in 0..100 {
        assert_eq!(journal.append_one(tagged(n, 1)).await, Ok(REPLAYED));
    }
    deliver(&journal, 200).await;
    let journal = rig.reopen(journal).await;
    for n in 0..100 {
        assert_eq!(journal.append_one(tagged(n, 1)).await, Ok(REPLAYED));
        assert_eq!(journal.append_one(tagged(n, 9)).await, Ok(Appended::Conflict));
    }
    assert_eq!(journal.append_one(tagged(200, 1)).await, Ok(Appended::Stored { depth: 1 }));
}

#[tokio::test]
async fn a_message_that_was_refused_is_not_known() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append_one(message(0)).await.expect("stored");
    // The next segment is there, so the sync that fails is the one of the append.
    tidy(&journal);
    rig.sim.fail_syncs(1);
    let both = journal.append(vec![tagged(1, 1), tagged(1, 1)]).await;
    assert_eq!(both, Err(AppendError::Failed.into()));
    assert_eq!(journal.append_one(tagged(1, 2)).await, Ok(Appended::Stored { depth: 2 }));
}
