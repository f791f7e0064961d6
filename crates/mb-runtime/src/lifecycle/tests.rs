//! Stopping, draining and dying.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_critical_tasks_return_stops_the_process() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("journal writer", Criticality::Critical, async {});
    lifecycle.run().await.expect_err("the process must not look alive");
    assert!(lifecycle.is_stopping());
}

#[tokio::test(start_paused = true)]
async fn a_critical_tasks_panic_stops_the_process() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("register", Criticality::Critical, async { panic!("on purpose") });
    let error = lifecycle.run().await.expect_err("the process must not look alive");
    assert!(matches!(error, RuntimeError::CriticalTask("register")));
}

#[tokio::test(start_paused = true)]
async fn ordinary_tasks_may_end_and_panic() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("request", Criticality::Ordinary, async { panic!("on purpose") });
    lifecycle.spawn("request", Criticality::Ordinary, async {});
    tokio::task::yield_now().await;
    assert!(!lifecycle.is_stopping());
    lifecycle.drain().await.expect("an orderly stop");
}

#[tokio::test(start_paused = true)]
async fn work_in_progress_finishes_in_the_soft_phase() {
    let lifecycle = Lifecycle::new();
    let done = Arc::new(AtomicBool::new(false));
    let (soft, flag) = (lifecycle.soft(), Arc::clone(&done));
    lifecycle.spawn("writer", Criticality::Critical, async move {
        soft.cancelled().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        flag.store(true, Ordering::SeqCst);
    });
    lifecycle.stop();
    lifecycle.drain().await.expect("an orderly stop");
    assert!(done.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_cut_within_ten_seconds() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let lifecycle = Lifecycle::new();
    let cut = Arc::new(AtomicBool::new(false));
    let guard = Dropped(Arc::clone(&cut));
    lifecycle.spawn("stuck", Criticality::Critical, async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    let begin = tokio::time::Instant::now();
    lifecycle.drain().await.expect("being cut is no failure");
    assert!(cut.load(Ordering::SeqCst));
    assert!(begin.elapsed() <= SOFT + HARD);
}

#[tokio::test]
async fn a_token_that_was_given_away_stops_nobody_else() {
    let lifecycle = Lifecycle::new();
    lifecycle.soft().cancel();
    lifecycle.hard().cancel();
    assert!(!lifecycle.is_stopping());
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_to_leave_works_on_for_the_drain_delay() {
    let lifecycle = Lifecycle::with_drain_delay(Duration::from_secs(5));
    let asked = tokio::time::Instant::now();
    lifecycle.leave();
    assert!(!lifecycle.is_stopping(), "intake goes on");
    lifecycle.run().await.expect("an orderly stop");
    assert_eq!(asked.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn what_ends_last_sees_all_others_gone_and_is_cut_within_ten_seconds() {
    let lifecycle = Lifecycle::new();
    let (done, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (soft, flag) = (lifecycle.soft(), Arc::clone(&done));
    lifecycle.spawn("request", Criticality::Ordinary, async move {
        soft.cancelled().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        flag.store(true, Ordering::SeqCst);
    });
    let (drained, flag, before) = (lifecycle.drained(), Arc::clone(&seen), Arc::clone(&done));
    lifecycle.spawn_last("keeper", Criticality::Critical, async move {
        drained.cancelled().await;
        flag.store(before.load(Ordering::SeqCst), Ordering::SeqCst);
        std::future::pending::<()>().await;
    });
    let begun = tokio::time::Instant::now();
    lifecycle.drain().await.expect("an orderly stop");
    assert!(seen.load(Ordering::SeqCst));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn the_death_of_what_ends_last_stops_the_process() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn_last("keeper", Criticality::Critical, async {});
    lifecycle.run().await.expect_err("the process must not look alive");
}
