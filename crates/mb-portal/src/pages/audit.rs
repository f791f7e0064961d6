//! The audit log: who did what.

use askama::Template;
use mb_api::Query;
use mb_api::dto::{AuditQuery, AuditRow};

use crate::errors::Errors;
use crate::field::{Field, Input};
use crate::paging::{Paging, Place};
use crate::person::Admin;
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::zone::Zone;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    above: Option<String>,
    fields: Vec<Field>,
    rows: Vec<AuditRow>,
    paging: Paging,
    filtered: bool,
}

/// The filters as the form sends them.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    actor: String,
    action: String,
    object: String,
    from: String,
    to: String,
    cursor: String,
    back: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(filter): Query<Filter>) -> Answer {
    let place = Place::new(&filter.cursor, &filter.back);
    let (query, mut errors) = filter.parse(&place, &person.zone());
    let found = if errors.is_empty() {
        match person.client.audit(&query).await {
            Ok(found) => Some(found),
            Err(error) => {
                errors = Errors::from_refusal(error)?;
                None
            }
        }
    } else {
        None
    };
    let (rows, next) = found.map(|found| (found.data, found.next)).unwrap_or_default();
    let pairs = filter.pairs();
    let view = AuditPage {
        shell: person.shell(Section::Audit),
        above: errors.above(&pairs.map(|(name, _)| name)).map(str::to_owned),
        fields: filter.fields(&errors),
        rows,
        paging: Paging::new("/admin/audit", &pairs, &place, next.as_deref()),
        filtered: pairs.iter().any(|(_, value)| !value.is_empty()),
    };
    if errors.is_empty() { page(&view) } else { mend(&view) }
}

impl Filter {
    fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("actor", &self.actor),
            ("action", &self.action),
            ("object", &self.object),
            ("from", &self.from),
            ("to", &self.to),
        ]
    }

    fn parse(&self, place: &Place, zone: &Zone) -> (AuditQuery, Errors) {
        let mut errors = Errors::default();
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut moment = |given: &str, name: &str| {
            text(given).and_then(|given| errors.need(name, zone.read(&given), "Enter a day and a time"))
        };
        let (from, to) = (moment(&self.from, "from"), moment(&self.to, "to"));
        let query = AuditQuery {
            actor: text(&self.actor),
            action: text(&self.action),
            object: text(&self.object),
            from,
            to,
            limit: None,
            cursor: place.cursor.clone(),
        };
        (query, errors)
    }

    fn fields(&self, errors: &Errors) -> Vec<Field> {
        let fields = [
            Field::line("actor", "Who", &self.actor, errors),
            Field::line("action", "Action begins with", &self.action, errors),
            Field::line("object", "To what", &self.object, errors),
            Field::new("from", "From", Input::Line("datetime-local"), &self.from, errors),
            Field::new("to", "Until", Input::Line("datetime-local"), &self.to, errors),
        ];
        fields.into_iter().map(|field| Field { required: false, quiet: true, ..field }).collect()
    }
}

/// A row's further details as `name: value` pairs.
fn details(row: &AuditRow) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = row.detail.iter().filter(|(_, value)| !value.is_null());
    told.map(|(name, value)| (name.replace('_', " "), text(value))).collect()
}
