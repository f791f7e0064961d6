//! Sending dead letters again: how many first, then as far as one request goes.

use mb_api::dto::{ChooseDeadLetters, DeadLettersDone};
use mb_api::{ClientError, Query};

use super::dead_letters::Names;
use super::dead_letters_chosen::{Chosen, Pairs};
use crate::form::Form;
use crate::person::{Admin, Person};
use crate::respond::page;
use crate::shell::Section;
use crate::stop::{Answer, Stop};
use crate::view::grouped;
use crate::work::{Patience, Step, WorkPage};

pub(crate) async fn get(Admin(person): Admin, Query(pairs): Query<Pairs>) -> Answer {
    let chosen = Chosen::of(&pairs);
    let Some(ask) = chosen.ask(&person.zone()).map_err(|errors| unreadable(&errors))? else {
        return page(&nothing(&person, "redriven"));
    };
    let found = person.client.redrive_dead_letters(&ChooseDeadLetters { preview: true, ..ask }).await?;
    let names = Names::of(&person).await?;
    let work = WorkPage {
        title: "Redrive dead letters?".into(),
        text: format!(
            "{} Deliveries begin anew where their destination still takes messages.",
            counted(&found, "would be sent again")
        ),
        facts: chosen.facts(&names),
        step: (found.found > 0).then(|| step(&chosen, 0, "Redrive them")),
        ..empty(&person)
    };
    page(&work)
}

pub(crate) async fn post(Admin(person): Admin, Form(pairs): Form<Pairs>) -> Answer {
    let chosen = Chosen::of(&pairs);
    let Some(ask) = chosen.ask(&person.zone()).map_err(|errors| unreadable(&errors))? else {
        return page(&nothing(&person, "redriven"));
    };
    let before: u64 = pairs.get("so_far").and_then(|text| text.parse().ok()).unwrap_or_default();
    let done = go(&person, &ask).await?;
    let total = before.saturating_add(done.done);
    let stayed = done.found.saturating_sub(done.done);
    let names = Names::of(&person).await?;
    let facts = [chosen.facts(&names), vec![("Sent again", grouped(&total))]].concat();
    let work = if done.more && done.done > 0 {
        WorkPage {
            title: "Redriving dead letters".into(),
            text: "There are more of them.".into(),
            step: Some(step(&chosen, total, "Go on")),
            facts,
            ..empty(&person)
        }
    } else {
        let text = if stayed == 0 {
            "They are under way.".to_owned()
        } else {
            format!(
                "{} stayed: their destination is gone or disabled, their time is over, or what was kept can be no message.",
                grouped(&stayed)
            )
        };
        WorkPage { title: "Dead letters redriven".into(), text, facts, ..empty(&person) }
    };
    page(&work)
}

/// Steps until nothing more is found, nothing more helps, or the time is over.
async fn go(person: &Person, ask: &ChooseDeadLetters) -> Result<DeadLettersDone, ClientError> {
    let patience = Patience::begin();
    let mut total = 0_u64;
    loop {
        let step = person.client.redrive_dead_letters(ask).await?;
        total = total.saturating_add(step.done);
        if !step.more || step.done == 0 || patience.is_over() {
            // What stayed is found by every step anew, so the last one says how many those are.
            let found = total.saturating_add(step.found.saturating_sub(step.done));
            return Ok(DeadLettersDone { found, done: total, more: step.more && step.done > 0, ..step });
        }
    }
}

fn step(chosen: &Chosen, so_far: u64, button: &'static str) -> Step {
    let hidden = chosen.hidden().into_iter().chain([("so_far", so_far.to_string())]).collect();
    let action = "/admin/dead-letters/redrive".into();
    Step { action, hidden, fields: Vec::new(), button, grave: false }
}

/// How many there are, in a sentence.
pub(super) fn counted(found: &DeadLettersDone, what: &str) -> String {
    let more = if found.more { "More than " } else { "" };
    match found.found {
        0 => "There are none of these any more.".to_owned(),
        1 => format!("1 dead letter {what}."),
        count => format!("{more}{} dead letters {what}.", grouped(&count)),
    }
}

/// A page that says nothing yet.
pub(super) fn empty(person: &Person) -> WorkPage {
    WorkPage {
        shell: person.shell(Section::DeadLetters),
        title: String::new(),
        up: ("/admin/dead-letters".into(), "Dead letters"),
        above: None,
        text: String::new(),
        facts: Vec::new(),
        step: None,
    }
}

/// Nothing was ticked.
pub(super) fn nothing(person: &Person, what: &str) -> WorkPage {
    let text = format!("Nothing is {what}: tick the boxes of those that you mean, or choose all.");
    WorkPage { title: "No dead letter was ticked".into(), text, ..empty(person) }
}

/// A filter that was not shown to anybody as it stands.
pub(super) fn unreadable(errors: &crate::errors::Errors) -> Stop {
    let detail = errors.above(&[]).unwrap_or("the filter cannot be read").to_owned();
    Stop::Error(mb_api::ApiError::new(mb_api::ProblemCode::MalformedRequest, detail))
}
