//! The forms on a user's page, one for each thing that may be changed.

use axum::extract::Path;
use mb_api::ClientError;
use mb_api::dto::{
    SecretText, SetUserClient, SetUserExpiry, SetUserPassword, SetUserRole, SetUserSending, SetUserStatus,
};
use mb_core::{ClientName, UserId, UserRole};

use super::user::{again, id_of};
use super::user_new::end_of_account;
use crate::errors::Errors;
use crate::flash::Flash;
use crate::form::{Empty, Form};
use crate::person::{Admin, Person, UserManager};
use crate::respond::done;
use crate::stop::Answer;

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct RoleForm {
    role: String,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct ClientForm {
    client_id: String,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct ExpiryForm {
    expires_at: String,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct StatusForm {
    active: String,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct SendingForm {
    may_send: String,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct PasswordForm {
    new_password: SecretText,
}

pub(crate) async fn role(Admin(person): Admin, Path(id): Path<String>, Form(form): Form<RoleForm>) -> Answer {
    let id = id_of(&id)?;
    let mut errors = Errors::default();
    let Some(role) = errors.need("role", UserRole::parse(&form.role), "Choose a role") else {
        return again(&person, id, &errors).await;
    };
    let outcome = person.client.set_user_role(&id, &SetUserRole { role }).await;
    changed(&person, id, outcome, Flash::UserChanged).await
}

pub(crate) async fn client(Admin(person): Admin, Path(id): Path<String>, Form(form): Form<ClientForm>) -> Answer {
    let id = id_of(&id)?;
    let name = form.client_id.trim();
    let mut errors = Errors::default();
    let client_id =
        (!name.is_empty()).then(|| errors.need("client_id", ClientName::parse(name), "No client has such a name"));
    if !errors.is_empty() {
        return again(&person, id, &errors).await;
    }
    let outcome = person.client.set_user_client(&id, &SetUserClient { client_id: client_id.flatten() }).await;
    changed(&person, id, outcome, Flash::UserChanged).await
}

pub(crate) async fn expiry(Admin(person): Admin, Path(id): Path<String>, Form(form): Form<ExpiryForm>) -> Answer {
    let id = id_of(&id)?;
    let mut errors = Errors::default();
    let expires_at = end_of_account(&form.expires_at, &person.zone(), &mut errors);
    if !errors.is_empty() {
        return again(&person, id, &errors).await;
    }
    let outcome = person.client.set_user_expiry(&id, &SetUserExpiry { expires_at }).await;
    changed(&person, id, outcome, Flash::UserChanged).await
}

pub(crate) async fn sending(Admin(person): Admin, Path(id): Path<String>, Form(form): Form<SendingForm>) -> Answer {
    let id = id_of(&id)?;
    let outcome = person.client.set_user_sending(&id, &SetUserSending { may_send: form.may_send == "yes" }).await;
    changed(&person, id, outcome, Flash::UserChanged).await
}

pub(crate) async fn status(
    UserManager(person): UserManager,
    Path(id): Path<String>,
    Form(form): Form<StatusForm>,
) -> Answer {
    let id = id_of(&id)?;
    let outcome = person.client.set_user_status(&id, &SetUserStatus { is_active: form.active == "yes" }).await;
    changed(&person, id, outcome, Flash::UserChanged).await
}

pub(crate) async fn password(
    UserManager(person): UserManager,
    Path(id): Path<String>,
    Form(PasswordForm { new_password }): Form<PasswordForm>,
) -> Answer {
    let id = id_of(&id)?;
    let outcome = person.client.set_user_password(&id, &SetUserPassword { new_password }).await;
    changed(&person, id, outcome, Flash::UserPassword).await
}

pub(crate) async fn two_factor(Admin(person): Admin, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    let id = id_of(&id)?;
    let outcome = person.client.reset_user_two_factor(&id).await;
    changed(&person, id, outcome, Flash::UserTwoFactor).await
}

pub(crate) async fn sessions(Admin(person): Admin, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    let id = id_of(&id)?;
    let outcome = person.client.end_user_sessions(&id).await;
    changed(&person, id, outcome, Flash::UserChanged).await
}

/// Back to the user's page: with what was done, or with what is wrong.
async fn changed(person: &Person, id: UserId, outcome: Result<(), ClientError>, flash: Flash) -> Answer {
    match outcome {
        Ok(()) => Ok(done(&format!("/admin/users/{id}"), flash)),
        Err(error) => again(person, id, &Errors::from_refusal(error)?).await,
    }
}
