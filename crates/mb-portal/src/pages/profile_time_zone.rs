//! Choosing the time zone in which one reads times.

use mb_api::dto::SetTimeZone;
use mb_core::ZoneName;

use crate::errors::Errors;
use crate::field::{Choice, Field, Input};
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::Person;
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::Answer;
use crate::zone::Zone;

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct ZoneForm {
    time_zone: String,
}

pub(crate) async fn get(person: Person) -> Answer {
    page(&form(&person, person.profile().time_zone.as_str(), &Errors::default()))
}

pub(crate) async fn post(person: Person, Form(ZoneForm { time_zone }): Form<ZoneForm>) -> Answer {
    let mut errors = Errors::default();
    let zone = ZoneName::parse(&time_zone).and_then(|name| Zone::known(&name));
    let Some(zone) = errors.need("time_zone", zone, "Choose a zone") else {
        return mend(&form(&person, &time_zone, &errors));
    };
    person.client.set_time_zone(&SetTimeZone { time_zone: zone.name().clone() }).await?;
    Ok(done("/profile", Flash::TimeZone))
}

fn form(person: &Person, chosen: &str, errors: &Errors) -> FormPage {
    let label = |name: &ZoneName| Choice::new(name.as_str(), name.as_str().replace('_', " "));
    let zones = Zone::names().iter().map(label).collect();
    FormPage {
        shell: person.shell(Section::Profile),
        title: "Time zone".into(),
        up: Some(("/profile".into(), "Profile")),
        action: "/profile/time-zone".into(),
        above: errors.above(&["time_zone"]).map(str::to_owned),
        intro: Some("Pages show times, and forms take them, as a clock of this zone shows them.".into()),
        fields: vec![Field::new("time_zone", "Time zone", Input::Choice(zones), chosen, errors)],
        button: "Save",
        grave: false,
    }
}
