//! Deleting a user, by name.

use axum::extract::Path;
use mb_api::dto::UserRow;

use super::user::id_of;
use crate::errors::Errors;
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::{Confirmation, FormPage};
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::Answer;

pub(crate) async fn get(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let user = person.client.user(&id_of(&id)?).await?;
    page(&form(&person, &user, &Confirmation::default(), &Errors::default()))
}

pub(crate) async fn post(
    Admin(person): Admin,
    Path(id): Path<String>,
    Form(confirmation): Form<Confirmation>,
) -> Answer {
    let id = id_of(&id)?;
    let user = person.client.user(&id).await?;
    let errors = confirmation.check(user.email.as_str());
    if !errors.is_empty() {
        return mend(&form(&person, &user, &confirmation, &errors));
    }
    match person.client.delete_user(&id).await {
        Ok(()) => Ok(done("/admin/users", Flash::UserDeleted)),
        Err(error) => mend(&form(&person, &user, &confirmation, &Errors::from_refusal(error)?)),
    }
}

fn form(person: &Person, user: &UserRow, confirmation: &Confirmation, errors: &Errors) -> FormPage {
    FormPage {
        shell: person.shell(Section::Users),
        title: format!("Delete {}?", user.email),
        up: Some((format!("/admin/users/{}", user.id), "The user")),
        action: format!("/admin/users/{}/delete", user.id),
        above: errors.above(&["confirm"]).map(str::to_owned),
        intro: Some(
            "The account goes at once and for good, with its sessions. What the user did stays in the audit log."
                .into(),
        ),
        fields: vec![confirmation.field(errors)],
        button: "Delete the user",
        grave: true,
    }
}
