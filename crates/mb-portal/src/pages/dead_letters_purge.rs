//! Removing dead letters for good, by the name of what they have in common.

use mb_api::dto::{ChooseDeadLetters, DeadLettersDone};
use mb_api::{ClientError, Query};

use super::dead_letters::Names;
use super::dead_letters_chosen::{Chosen, Pairs};
use super::dead_letters_redrive::{counted, empty, nothing, unreadable};
use crate::errors::Errors;
use crate::field::Field;
use crate::form::Form;
use crate::person::{Admin, Person};
use crate::respond::{mend, page};
use crate::stop::{Answer, Stop};
use crate::view::grouped;
use crate::work::{Patience, Step, WorkPage};

pub(crate) async fn get(Admin(person): Admin, Query(pairs): Query<Pairs>) -> Answer {
    let chosen = Chosen::of(&pairs);
    let Some(ask) = chosen.ask(&person.zone()).map_err(|errors| unreadable(&errors))? else {
        return page(&nothing(&person, "purged"));
    };
    page(&preview(&person, &chosen, ask, "", &Errors::default()).await?)
}

pub(crate) async fn post(Admin(person): Admin, Form(pairs): Form<Pairs>) -> Answer {
    let chosen = Chosen::of(&pairs);
    let Some(ask) = chosen.ask(&person.zone()).map_err(|errors| unreadable(&errors))? else {
        return page(&nothing(&person, "purged"));
    };
    let names = Names::of(&person).await?;
    let (name, typed) = (chosen.name(&names), pairs.get("confirm").map(|typed| typed.trim()).unwrap_or_default());
    if typed != name {
        let mut errors = Errors::default();
        errors.add("confirm", format!("Type {name} to confirm"));
        return mend(&preview(&person, &chosen, ask, typed, &errors).await?);
    }
    let before: u64 = pairs.get("so_far").and_then(|text| text.parse().ok()).unwrap_or_default();
    let done = go(&person, &ask).await?;
    let total = before.saturating_add(done.done);
    let facts = [chosen.facts(&names), vec![("Removed", grouped(&total))]].concat();
    if !done.more {
        let text = "They are gone for good.".to_owned();
        return page(&WorkPage { title: "Dead letters purged".into(), text, facts, ..empty(&person) });
    }
    let mut step = step(&chosen, Vec::new(), "Go on");
    step.hidden.extend([("so_far", total.to_string()), ("confirm", name)]);
    let text = "There are more of them.".to_owned();
    page(&WorkPage { title: "Purging dead letters".into(), text, facts, step: Some(step), ..empty(&person) })
}

async fn go(person: &Person, ask: &ChooseDeadLetters) -> Result<DeadLettersDone, ClientError> {
    let patience = Patience::begin();
    let mut done = 0_u64;
    loop {
        let step = person.client.purge_dead_letters(ask).await?;
        done = done.saturating_add(step.done);
        let more = step.more && step.done > 0;
        if !more || patience.is_over() {
            return Ok(DeadLettersDone { done, more, ..step });
        }
    }
}

async fn preview(
    person: &Person,
    chosen: &Chosen,
    ask: ChooseDeadLetters,
    typed: &str,
    errors: &Errors,
) -> Result<WorkPage, Stop> {
    let found = person.client.purge_dead_letters(&ChooseDeadLetters { preview: true, ..ask }).await?;
    let names = Names::of(person).await?;
    let name = chosen.name(&names);
    let field = Field::line("confirm", "Type their name to confirm", typed, errors);
    Ok(WorkPage {
        title: "Purge dead letters?".into(),
        text: format!(
            "{} What never became a message is lost with them; deliveries stay given up.",
            counted(&found, "would be removed for good")
        ),
        facts: [chosen.facts(&names), vec![("Their name", name)]].concat(),
        step: (found.found > 0).then(|| step(chosen, vec![field], "Purge them")),
        ..empty(person)
    })
}

fn step(chosen: &Chosen, fields: Vec<Field>, button: &'static str) -> Step {
    Step { action: "/admin/dead-letters/purge".into(), hidden: chosen.hidden(), fields, button, grave: true }
}
