//! Power cuts at every operation: what was acknowledged is recovered, in order and with its key, and nothing is invented.

use std::collections::HashSet;
use std::time::Duration;

use mb_core::MessageId;
use proptest::prelude::*;

use super::support::*;
use crate::Append;

#[derive(Clone, Debug)]
enum Action {
    /// Appends this many entries of this size in one call.
    Append(u32, usize),
    /// The same, with failing syncs on the way.
    AppendFailing(u32),
    /// Delivers and confirms some.
    Deliver,
    /// The keeper's turn.
    Tidy,
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1..6_u32, prop_oneof![10..200_usize, 500..3000_usize]).prop_map(|(count, len)| Action::Append(count, len)),
        1 => (1..3_u32).prop_map(Action::AppendFailing),
        1 => Just(Action::Deliver),
        1 => Just(Action::Tidy),
        1 => Just(Action::Restart),
    ]
}

/// What the world knows of a run.
#[derive(Default)]
struct History {
    next: u32,
    /// In the order of their appends.
    acknowledged: Vec<MessageId>,
    /// Told to have failed, and something was acknowledged afterwards.
    failed: HashSet<MessageId>,
    undecided: HashSet<MessageId>,
    confirmed: HashSet<MessageId>,
}

impl History {
    fn entries(&mut self, count: u32, len: usize) -> Vec<Append> {
        let first = self.next;
        self.next += count;
        // A new data key every ten messages.
        let entry = |n: u32| {
            let key = u8::try_from(n / 10 % 200).expect("small");
            Append { id: id(n), envelope: envelope(id(n), NOW, key, len), key: signed_key(key), tag: None }
        };
        (first..self.next).map(entry).collect()
    }
}

/// Runs the actions until the power goes; what is known then.
async fn run(rig: &Rig, actions: &[Action]) -> History {
    let mut history = History::default();
    let opened = crate::Journal::open(rig.config.clone(), rig.clock.clone(), crate::Disk::Simulated(rig.sim.clone()));
    let Ok((mut journal, _)) = opened else { return history };
    for action in actions {
        match action {
            Action::Append(count, len) => append(&journal, &mut history, *count, *len).await,
            Action::AppendFailing(syncs) => {
                rig.sim.fail_syncs(u64::from(*syncs));
                append(&journal, &mut history, 2, 100).await;
                rig.sim.fail_syncs(0);
            }
            Action::Deliver => deliver_some(rig, &journal, &mut history).await,
            Action::Tidy => tidy(&journal),
            Action::Restart => {
                close(journal).await;
                let disk = crate::Disk::Simulated(rig.sim.clone());
                let Ok((reopened, _)) = crate::Journal::open(rig.config.clone(), rig.clock.clone(), disk) else {
                    return history;
                };
                journal = reopened;
            }
        }
        if rig.sim.is_powerless() {
            break;
        }
    }
    close(journal).await;
    history
}

async fn append(journal: &crate::Journal, history: &mut History, count: u32, len: usize) {
    let entries = history.entries(count, len);
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    if journal.append(entries).await.is_ok() {
        history.acknowledged.extend(ids);
        // What failed before something that was acknowledged is void for good; the first entries of a call that failed
        // later may have been stored.
        history.failed.extend(history.undecided.drain());
    } else if count <= 2 {
        history.undecided.extend(ids);
    }
}

async fn deliver_some(rig: &Rig, journal: &crate::Journal, history: &mut History) {
    let depth = usize::try_from(journal.status().depth).expect("small");
    if depth == 0 || rig.sim.is_powerless() {
        return;
    }
    let Ok(asked) = tokio::time::timeout(Duration::ZERO, journal.unconfirmed(3)).await else {
        let queue = crate::Queue::Embedded(journal.clone());
        let claim = queue.claim("w", crate::Claim { entries: 3, bytes: u64::MAX });
        if let Ok(claimed) = tokio::time::timeout(Duration::ZERO, claim).await {
            journal.ack(&claimed.entries.iter().map(|entry| entry.tag).collect::<Vec<_>>());
        }
        return;
    };
    history.confirmed.extend(asked.iter().map(|(_, id)| *id));
    journal.confirm(EPOCH, &asked, &HashSet::new());
}

async fn check(rig: &Rig, history: &History) {
    let mut before = None;
    for _ in 0..2 {
        let (journal, report) = rig.open_with_report();
        assert_eq!(report.damaged, 0, "a power cut damages nothing that was acknowledged");
        let recovered = tokio::time::timeout(Duration::from_secs(20), take_all(&journal)).await;
        let recovered = recovered.expect("what is said to wait can be claimed");
        let ids = ids_of(&recovered);
        let present: HashSet<_> = ids.iter().copied().collect();
        assert_eq!(present.len(), ids.len(), "nothing is there twice");
        assert!(ids.is_sorted(), "in order");
        for id in &history.acknowledged {
            assert!(present.contains(id) || history.confirmed.contains(id), "{id} was acknowledged and is lost");
        }
        for (id, entry) in ids.iter().zip(&recovered.entries) {
            assert!(!history.failed.contains(id), "{id} was refused and came back");
            let n = u32::from_be_bytes(id.as_bytes()[12..].try_into().expect("four bytes"));
            assert!(n < history.next, "{id} was never appended");
            let key = u8::try_from(n / 10 % 200).expect("small");
            assert!(recovered.keys.contains(&signed_key(key)), "{id} came without its key");
            assert_eq!(
                entry.envelope[45..],
                envelope(*id, NOW, key, entry.envelope.len() - envelope(*id, NOW, key, 0).len())[45..]
            );
        }
        close(journal).await;
        assert!(before.is_none_or(|before| before == ids), "recovering twice gives the same");
        before = Some(ids);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives_a_power_cut_anywhere(
        actions in proptest::collection::vec(action(), 1..12),
        cut in 0.0..1.0_f64,
        seed in any::<u64>(),
    ) {
        runtime().block_on(async {
            let whole = Rig::new();
            run(&whole, &actions).await;
            let operations = whole.sim.operations();
            let rig = Rig::new();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short run")]
            rig.sim.cut_power_at((operations as f64 * cut) as u64 + 1);
            let history = run(&rig, &actions).await;
            check(&rig.after_power_cut(seed), &history).await;
        });
    }
}

/// One fixed run, cut at each of its operations, several times with different losses.
#[test]
fn every_crash_point_of_one_run_is_survived() {
    let actions = [
        Action::Append(3, 100),
        Action::Append(2, 2500),
        Action::AppendFailing(1),
        Action::Append(4, 2500),
        Action::Deliver,
        Action::Deliver,
        Action::Tidy,
        Action::Append(1, 50),
        Action::Restart,
        Action::Append(2, 100),
    ];
    runtime().block_on(async {
        let whole = Rig::new();
        run(&whole, &actions).await;
        for cut in 1..=whole.sim.operations() {
            let rig = Rig::new();
            rig.sim.cut_power_at(cut);
            let history = run(&rig, &actions).await;
            for seed in 0..3 {
                check(&rig.after_power_cut(seed), &history).await;
            }
        }
    });
}

/// What was only prepared when a first start ended is no segment that is missing later.
#[test]
fn a_segment_that_was_never_written_is_not_missed() {
    runtime().block_on(async {
        let first = Rig::new();
        let journal = first.open();
        tidy(&journal);
        let again = || first.after_power_cut(1);
        let whole = again();
        run(&whole, &[Action::Append(2, 100)]).await;
        assert!(whole.segments().len() == 1, "{:?}", whole.segments());
        for cut in 1..=whole.sim.operations() {
            let rig = again();
            rig.sim.cut_power_at(cut);
            let history = run(&rig, &[Action::Append(2, 100)]).await;
            check(&rig.after_power_cut(2), &history).await;
        }
        close(journal).await;
    });
}
