//! Any sequence of what happens to one account's tokens, against a model that knows only which of them should be good.

use std::time::Duration;

use mb_api::paths;
use mb_core::{Timestamp, UserRole};
use mb_store::{User, UserChange};
use proptest::prelude::*;
use serde_json::json;

use super::super::fixture::{Fixture, NOW};
use super::{PASSWORD, text};

const ACCESS: Duration = Duration::from_mins(30);
const REFRESH: Duration = Duration::from_hours(30 * 24);

#[derive(Clone, Copy, Debug)]
enum Step {
    LogIn,
    /// With one of the refresh tokens so far, used or not.
    Refresh(prop::sample::Index),
    LogOut(prop::sample::Index),
    EndSessions,
    SetPassword,
    Deactivate,
    Activate,
    AccountEndsIn(u64),
    AccountNeverEnds,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::LogIn),
        8 => any::<prop::sample::Index>().prop_map(Step::Refresh),
        2 => any::<prop::sample::Index>().prop_map(Step::LogOut),
        1 => Just(Step::EndSessions),
        1 => Just(Step::SetPassword),
        1 => Just(Step::Deactivate),
        2 => Just(Step::Activate),
        1 => (0_u64..3_000).prop_map(Step::AccountEndsIn),
        1 => Just(Step::AccountNeverEnds),
        3 => prop_oneof![0_u64..40, Just(43_200)].prop_map(Step::Pass),
    ]
}

/// A refresh token as it should be.
struct Known {
    text: String,
    family: usize,
    used: bool,
    ends: Timestamp,
}

struct Model {
    now: Timestamp,
    active: bool,
    ends: Option<Timestamp>,
    /// Whether each family still stands.
    families: Vec<bool>,
    refresh: Vec<Known>,
    /// Text, family, end.
    access: Vec<(String, usize, Timestamp)>,
}

impl Model {
    fn may_sign_in(&self) -> bool {
        self.active && self.ends.is_none_or(|end| self.now < end)
    }

    /// Another end; one that had come by then has ended what there was.
    fn take_end(&mut self, ends: Option<Timestamp>) {
        if [self.ends, ends].into_iter().flatten().any(|end| end <= self.now) {
            self.end_all();
        }
        self.ends = ends;
    }

    fn end_all(&mut self) {
        self.families.fill(false);
    }

    /// A family stands until its newest refresh token ends.
    fn stands(&self, family: usize) -> bool {
        let alive = self.refresh.iter().any(|known| known.family == family && !known.used && self.now < known.ends);
        self.families[family] && alive && self.may_sign_in()
    }

    fn took(&mut self, body: &serde_json::Value, family: usize) {
        self.access.push((text(&body["access_token"]), family, self.now.plus(ACCESS)));
        let text = text(&body["refresh_token"]);
        self.refresh.push(Known { text, family, used: false, ends: self.now.plus(REFRESH) });
    }
}

async fn change(fixture: &Fixture, user: &User, change: UserChange) {
    fixture.store.change_user(user.id, &change, &UserRole::ALL, "test").await.expect("changes");
}

async fn take(fixture: &Fixture, user: &User, model: &mut Model, step: Step) {
    match step {
        Step::LogIn => {
            let answer = fixture.log_in(&user.email, PASSWORD).await;
            assert_eq!(answer.status == 200, model.may_sign_in(), "{answer:?}");
            if answer.status == 200 {
                model.families.push(true);
                model.took(&answer.body, model.families.len() - 1);
            }
        }
        Step::Refresh(index) if !model.refresh.is_empty() => {
            let at = index.index(model.refresh.len());
            let (family, spent) = (model.refresh[at].family, model.refresh[at].used);
            let expected = model.stands(family) && !spent;
            let answer = fixture.refresh(&model.refresh[at].text).await;
            assert_eq!(answer.status == 200, expected, "{answer:?}");
            if expected {
                model.refresh[at].used = true;
                model.took(&answer.body, family);
            } else if spent {
                model.families[family] = false;
            }
        }
        Step::LogOut(index) if !model.refresh.is_empty() => {
            let known = &model.refresh[index.index(model.refresh.len())];
            let ask = json!({ "refresh_token": known.text });
            fixture.from("192.0.2.1").post(paths::AUTH_LOGOUT, ask).await.ok(204);
            model.families[known.family] = false;
        }
        Step::Refresh(_) | Step::LogOut(_) => {}
        Step::EndSessions => {
            change(fixture, user, UserChange::EndSessions).await;
            model.end_all();
        }
        Step::SetPassword => {
            change(fixture, user, UserChange::PasswordHash(user.password_hash.clone())).await;
            model.end_all();
        }
        Step::Deactivate => {
            change(fixture, user, UserChange::Active(false)).await;
            model.active = false;
            model.end_all();
        }
        Step::Activate => {
            change(fixture, user, UserChange::Active(true)).await;
            model.active = true;
        }
        Step::AccountEndsIn(minutes) => {
            model.take_end(Some(model.now.plus(Duration::from_mins(minutes))));
            change(fixture, user, UserChange::ExpiresAt(model.ends)).await;
        }
        Step::AccountNeverEnds => {
            model.take_end(None);
            change(fixture, user, UserChange::ExpiresAt(None)).await;
        }
        Step::Pass(minutes) => {
            model.now = model.now.plus(Duration::from_mins(minutes));
            fixture.clock.set(model.now);
        }
    }
}

async fn run(steps: Vec<Step>) {
    let fixture = Fixture::new().await;
    let user = fixture.user("ann@x.org", UserRole::User).await;
    let mut model =
        Model { now: NOW, active: true, ends: None, families: Vec::new(), refresh: Vec::new(), access: Vec::new() };
    for step in steps {
        // Tries are held by another rule, which has tests of its own.
        fixture.server.app.people.throttle(|throttle| *throttle = mb_core::throttle::Throttle::new());
        take(&fixture, &user, &mut model, step).await;
        for (text, family, ends) in &model.access {
            let expected = model.stands(*family) && model.now < *ends;
            assert_eq!(fixture.knows(text).await, expected, "after {step:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn exactly_the_tokens_that_should_be_good_are(steps in prop::collection::vec(step(), 1..24)) {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(run(steps));
    }
}
