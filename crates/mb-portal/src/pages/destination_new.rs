//! Adding a destination. Its secret is shown once, on the page that the answer is.

use mb_api::Query;
use mb_api::dto::CreateDestination;
use mb_core::{DestinationKind, DestinationName, DomainName};

use super::destination_form::{DestinationForm, Typed};
use super::destination_secret::SecretPage;
use super::domains::domain_field;
use crate::errors::Errors;
use crate::field::Field;
use crate::flash::Flash;
use crate::form::Form;
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::{Answer, Stop};

/// Which of the two forms.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Which {
    kind: String,
}

impl Which {
    fn kind(&self) -> DestinationKind {
        DestinationKind::parse(&self.kind).unwrap_or(DestinationKind::Webhook)
    }
}

/// A destination as it is typed.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(crate) struct New {
    #[serde(default)]
    name: String,
    #[serde(default)]
    domain: String,
    #[serde(flatten)]
    settings: Typed,
}

pub(crate) async fn get(Admin(person): Admin, Query(which): Query<Which>) -> Answer {
    page(&form(&person, which.kind(), &New::default(), &Errors::default()).await?)
}

pub(crate) async fn post(Admin(person): Admin, Query(which): Query<Which>, Form(new): Form<New>) -> Answer {
    let kind = which.kind();
    let ask = match parse(&new, kind) {
        Ok(ask) => ask,
        Err(errors) => return mend(&form(&person, kind, &new, &errors).await?),
    };
    match person.client.create_destination(&ask).await {
        Ok(created) => {
            let shown = format!("/admin/destinations/{}", created.row.id);
            match created.secret {
                None => Ok(done(&shown, Flash::DestinationAdded)),
                Some(secret) => page(&SecretPage::new(&person, created.row, secret, None)),
            }
        }
        Err(error) => mend(&form(&person, kind, &new, &Errors::from_refusal(error)?).await?),
    }
}

fn parse(new: &New, kind: DestinationKind) -> Result<CreateDestination, Errors> {
    let mut errors = Errors::default();
    let complaint = "Lower-case letters, digits, dots, hyphens and underscores; a letter or digit first";
    let name = errors.need("name", DestinationName::parse(new.name.trim()), complaint);
    let domain = errors.need("domain", DomainName::parse(new.domain.trim()), "Choose a domain");
    let settings = new.settings.parse(kind, None, &mut errors);
    match (name, domain) {
        (Some(name), Some(domain)) if errors.is_empty() => Ok(CreateDestination { name, domain, kind, settings }),
        _ => Err(errors),
    }
}

async fn form(person: &Person, kind: DestinationKind, new: &New, errors: &Errors) -> Result<DestinationForm, Stop> {
    let usual = DomainName::default();
    let domain = if new.domain.is_empty() { usual.as_str() } else { &new.domain };
    let first = vec![
        Field::line("name", "Name", &new.name, errors).hint("For instance warehouse; one of a kind in its domain."),
        domain_field(person, None, domain, errors).await?.hint("The tenant whose messages it takes."),
    ];
    let names = [&["name", "domain"], Typed::NAMES.as_slice()].concat();
    Ok(DestinationForm {
        shell: person.shell(Section::Destinations),
        title: "Add a destination".into(),
        up: ("/admin/destinations".into(), "Destinations"),
        action: format!("/admin/destinations/new?kind={kind}"),
        above: errors.above(&names).map(str::to_owned),
        kind,
        fresh: true,
        parts: new.settings.parts(kind, first, errors),
        button: "Add the destination",
    })
}
