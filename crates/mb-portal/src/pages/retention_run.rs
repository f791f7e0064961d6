//! Removing at once what was kept for long enough: counted first, then removed, as far as one request goes.

use mb_api::ClientError;
use mb_api::dto::{RetentionProgress, RunRetention};

use crate::form::Form;
use crate::form_page::Confirmation;
use crate::person::{Admin, Person};
use crate::respond::{mend, page};
use crate::shell::Section;
use crate::stop::Answer;
use crate::view::grouped;
use crate::work::{Patience, Step, WorkPage};

/// What is typed so that it is done.
const NAME: &str = "retention";

/// How far a run is; numbers are text, as forms send them.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct SoFar {
    /// Whether it removes, or only counts.
    sure: String,
    #[serde(flatten)]
    confirmation: Confirmation,
    cursor: String,
    bodies: String,
    messages: String,
    dead_letters: String,
    audit_rows: String,
}

pub(crate) async fn post(Admin(person): Admin, Form(so_far): Form<SoFar>) -> Answer {
    let dry_run = so_far.sure != "yes";
    // A count that goes on was begun by nobody who typed anything; what removes asks once, and says so to itself after.
    let errors = so_far.confirmation.check(NAME);
    if !dry_run && !errors.is_empty() {
        let counted = so_far.found();
        let step =
            Step { fields: vec![so_far.confirmation.field(&errors)], ..step(&RetentionProgress::default(), true) };
        return mend(&work(&person, "Remove it now?", &sentence(true, &counted), &counted, Some(step)));
    }
    let before = if dry_run || !so_far.cursor.is_empty() { so_far.found() } else { RetentionProgress::default() };
    let cursor = Some(so_far.cursor.clone()).filter(|cursor| !cursor.is_empty());
    let found = plus(&before, run(&person, dry_run, cursor).await?);
    let text = sentence(dry_run, &found);
    let view = match (dry_run, found.next.is_some()) {
        (true, true) => {
            let step = Step { button: "Go on counting", ..step(&found, false) };
            work(&person, "What would go, so far", &text, &found, Some(step))
        }
        (true, false) if is_nothing(&found) => work(&person, "Nothing is due", &text, &found, None),
        (true, false) => {
            let field = Confirmation::default().field(&crate::errors::Errors::default());
            let mut step = step(&RetentionProgress { next: None, ..found.clone() }, true);
            step.fields.push(field);
            work(&person, "Remove it now?", &text, &found, Some(step))
        }
        (false, true) => {
            let mut step = Step { button: "Go on", ..step(&found, true) };
            step.hidden.push(("confirm", NAME.to_owned()));
            work(&person, "Removing", &text, &found, Some(step))
        }
        (false, false) => work(&person, "Removed", &text, &found, None),
    };
    page(&view)
}

async fn run(person: &Person, dry_run: bool, cursor: Option<String>) -> Result<RetentionProgress, ClientError> {
    let patience = Patience::begin();
    let mut total = RetentionProgress { next: cursor, ..RetentionProgress::default() };
    loop {
        let ask = RunRetention { dry_run, cursor: total.next.take() };
        total = plus(&total, person.client.run_retention(&ask).await?);
        if total.next.is_none() || patience.is_over() {
            return Ok(total);
        }
    }
}

impl SoFar {
    fn found(&self) -> RetentionProgress {
        let number = |text: &str| text.parse().unwrap_or_default();
        RetentionProgress {
            bodies: number(&self.bodies),
            messages: number(&self.messages),
            dead_letters: number(&self.dead_letters),
            audit_rows: number(&self.audit_rows),
            next: None,
        }
    }
}

/// Both together; where to go on says the later one.
fn plus(before: &RetentionProgress, later: RetentionProgress) -> RetentionProgress {
    RetentionProgress {
        bodies: before.bodies.saturating_add(later.bodies),
        messages: before.messages.saturating_add(later.messages),
        dead_letters: before.dead_letters.saturating_add(later.dead_letters),
        audit_rows: before.audit_rows.saturating_add(later.audit_rows),
        next: later.next,
    }
}

const fn is_nothing(found: &RetentionProgress) -> bool {
    found.bodies == 0 && found.messages == 0 && found.dead_letters == 0 && found.audit_rows == 0
}

fn sentence(dry_run: bool, found: &RetentionProgress) -> String {
    let text = match (dry_run, found.next.is_some()) {
        (true, true) => "There is more to count.",
        (true, false) if is_nothing(found) => "Nothing was kept for longer than it should be.",
        (true, false) => {
            "It was kept for long enough, and would go by itself sooner or later. Removed, it is gone for \
                          good. Type retention to confirm."
        }
        (false, true) => "There is more to remove.",
        (false, false) => "It is gone for good.",
    };
    text.to_owned()
}

fn step(found: &RetentionProgress, removes: bool) -> Step {
    let numbers = [
        ("bodies", found.bodies),
        ("messages", found.messages),
        ("dead_letters", found.dead_letters),
        ("audit_rows", found.audit_rows),
    ];
    let mut hidden: Vec<_> = numbers.into_iter().map(|(name, count)| (name, count.to_string())).collect();
    hidden.push(("cursor", found.next.clone().unwrap_or_default()));
    hidden.push(("sure", if removes { "yes".into() } else { String::new() }));
    let action = "/admin/retention/run".into();
    Step { action, hidden, fields: Vec::new(), button: "Remove it", grave: removes }
}

fn work(person: &Person, title: &str, text: &str, found: &RetentionProgress, step: Option<Step>) -> WorkPage {
    WorkPage {
        shell: person.shell(Section::Retention),
        title: title.to_owned(),
        up: ("/admin/retention".into(), "Retention"),
        above: None,
        text: text.to_owned(),
        facts: vec![
            ("Messages", grouped(&found.messages)),
            ("Contents of others", grouped(&found.bodies)),
            ("Dead letters", grouped(&found.dead_letters)),
            ("Rows of the audit log", grouped(&found.audit_rows)),
        ],
        step,
    }
}
