//! Adding a domain.

use mb_api::dto::CreateDomain;
use mb_core::{DomainName, DomainRules};

use super::domain::Rules;
use crate::errors::Errors;
use crate::field::Field;
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::Answer;

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct NewDomain {
    name: String,
    #[serde(flatten)]
    rules: Rules,
}

pub(crate) async fn get(Admin(person): Admin) -> Answer {
    page(&form(&person, "", &Rules::of(DomainRules::default().into()), &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Form(typed): Form<NewDomain>) -> Answer {
    let NewDomain { name, rules } = typed;
    let mut errors = Errors::default();
    let complaint = "Lower-case letters, digits, dots, hyphens and underscores; a letter or digit first";
    let parsed = errors.need("name", DomainName::parse(name.trim()), complaint);
    let ask = match (parsed, rules.parse()) {
        (Some(name), Ok(settings)) => CreateDomain { name, settings: Some(settings) },
        (None, _) => return mend(&form(&person, &name, &rules, &errors)),
        (Some(_), Err(errors)) => return mend(&form(&person, &name, &rules, &errors)),
    };
    match person.client.create_domain(&ask).await {
        Ok(_) => Ok(done("/admin/domains", Flash::DomainAdded)),
        Err(error) => mend(&form(&person, &name, &rules, &Errors::from_refusal(error)?)),
    }
}

fn form(person: &Person, name: &str, rules: &Rules, errors: &Errors) -> FormPage {
    let mut fields = vec![Field::line("name", "Name", name, errors).hint("For instance the tenant's short name.")];
    fields.extend(rules.fields(errors));
    let names: Vec<&str> = std::iter::once("name").chain(Rules::NAMES).collect();
    FormPage {
        shell: person.shell(Section::Domains),
        title: "Add a domain".into(),
        up: Some(("/admin/domains".into(), "Domains")),
        action: "/admin/domains/new".into(),
        above: errors.above(&names).map(str::to_owned),
        intro: None,
        fields,
        button: "Add the domain",
        grave: false,
    }
}
