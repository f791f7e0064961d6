//! Revoking one certificate, by the name in it.

use axum::extract::Path;
use mb_api::Query;
use mb_api::dto::RevokeCertificate;
use mb_core::ClientName;

use crate::errors::Errors;
use crate::field::Field;
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::{Answer, Stop};

/// The name in the certificate, for the person to type; what is revoked the serial number says.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Named {
    name: String,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(crate) struct Typed {
    confirm: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn get(
    Admin(person): Admin,
    Path(serial): Path<String>,
    Query(Named { name }): Query<Named>,
) -> Answer {
    page(&form(&person, &check(&serial, &name)?, &Typed::default(), &Errors::default()))
}

pub(crate) async fn post(
    Admin(person): Admin,
    Path(serial): Path<String>,
    Query(Named { name }): Query<Named>,
    Form(typed): Form<Typed>,
) -> Answer {
    let target = check(&serial, &name)?;
    if typed.confirm.trim() != target.name.as_str() {
        let mut errors = Errors::default();
        errors.add("confirm", format!("Type {} to confirm", target.name));
        return mend(&form(&person, &target, &typed, &errors));
    }
    let reason = typed.reason.trim();
    let ask = RevokeCertificate {
        client_id: None,
        role: None,
        serial: Some(target.serial.clone()),
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
        successors: false,
    };
    match person.client.revoke_certificate(&ask).await {
        Ok(_) => Ok(done("/admin/certificates", Flash::CertificateRevoked)),
        Err(error) => mend(&form(&person, &target, &typed, &Errors::from_refusal(error)?)),
    }
}

struct Target {
    serial: String,
    name: ClientName,
}

fn check(serial: &str, name: &str) -> Result<Target, Stop> {
    let hex = (1..=64).contains(&serial.len()) && serial.bytes().all(|b| b.is_ascii_hexdigit());
    let name = ClientName::parse(name).filter(|_| hex).ok_or_else(Stop::not_found)?;
    Ok(Target { serial: serial.to_owned(), name })
}

fn form(person: &Person, target: &Target, typed: &Typed, errors: &Errors) -> FormPage {
    let Target { serial, name } = target;
    FormPage {
        shell: person.shell(Section::Certificates),
        title: format!("Revoke the certificate of {name}?"),
        up: Some(("/admin/certificates".into(), "Certificates")),
        action: format!("/admin/certificates/{serial}/revoke?name={name}"),
        above: errors.above(&["confirm", "reason"]).map(str::to_owned),
        intro: Some(format!(
            "It is refused from its next request, and its open connections are closed. This cannot be undone. Serial number {serial}."
        )),
        fields: vec![
            Field::line("confirm", "Type its name to confirm", &typed.confirm, errors),
            Field::line("reason", "Reason", &typed.reason, errors).optional(),
        ],
        button: "Revoke it",
        grave: true,
    }
}
