//! The list of users. A user manager sees plain users only; that the main server decides.

use askama::Template;
use mb_api::Query;
use mb_api::dto::{UserQuery, UserRow};
use mb_core::account::{UserAction, may_manage};
use mb_core::{ClientName, Email, Timestamp, UserRole};

use crate::errors::Errors;
use crate::field::{Choice, Field, Input, spoken};
use crate::paging::{Paging, Place};
use crate::person::UserManager;
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::view::standing;

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    shell: Shell,
    above: Option<String>,
    fields: Vec<Field>,
    rows: Vec<UserRow>,
    paging: Paging,
    filtered: bool,
    may_create: bool,
    now: Timestamp,
}

/// The filters as the form sends them.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    email: String,
    role: String,
    active: String,
    client_id: String,
    cursor: String,
    back: String,
}

pub(crate) async fn get(UserManager(person): UserManager, Query(filter): Query<Filter>) -> Answer {
    let place = Place::new(&filter.cursor, &filter.back);
    let (query, errors) = filter.parse(&place);
    let found = if errors.is_empty() { Some(person.client.users(&query).await?) } else { None };
    let (rows, next) = found.map(|found| (found.data, found.next)).unwrap_or_default();
    let pairs = filter.pairs();
    let view = UsersPage {
        shell: person.shell(Section::Users),
        above: errors.above(&pairs.map(|(name, _)| name)).map(str::to_owned),
        fields: filter.fields(&errors, person.is_admin()),
        rows,
        paging: Paging::new("/admin/users", &pairs, &place, next.as_deref()),
        filtered: pairs.iter().any(|(_, value)| !value.is_empty()),
        may_create: may_manage(person.profile().role, UserRole::User, UserAction::Create),
        now: person.now,
    };
    if errors.is_empty() { page(&view) } else { mend(&view) }
}

impl Filter {
    fn pairs(&self) -> [(&'static str, &str); 4] {
        [("email", &self.email), ("role", &self.role), ("active", &self.active), ("client_id", &self.client_id)]
    }

    fn parse(&self, place: &Place) -> (UserQuery, Errors) {
        let mut errors = Errors::default();
        let mut query = UserQuery { cursor: place.cursor.clone(), ..UserQuery::default() };
        if !self.email.trim().is_empty() {
            query.email = errors.need("email", Email::parse(self.email.trim()), "Enter a whole e-mail address");
        }
        if !self.role.is_empty() {
            query.role = errors.need("role", UserRole::parse(&self.role), "Choose a role");
        }
        if !self.active.is_empty() {
            query.is_active = Some(self.active == "yes");
        }
        if !self.client_id.trim().is_empty() {
            query.client_id =
                errors.need("client_id", ClientName::parse(self.client_id.trim()), "No client has such a name");
        }
        (query, errors)
    }

    fn fields(&self, errors: &Errors, admin: bool) -> Vec<Field> {
        let roles = Choice::any_of("Any", UserRole::ALL.iter().map(|role| role.as_str()));
        let active = vec![Choice::new("", "Any"), Choice::new("yes", "Active"), Choice::new("no", "Disabled")];
        let mut fields = vec![Field::new("email", "E-mail address", Input::Line("text"), &self.email, errors)];
        if admin {
            fields.push(Field::new("role", "Role", Input::Choice(roles), &self.role, errors));
        }
        fields.push(Field::new("active", "Status", Input::Choice(active), &self.active, errors));
        fields.push(Field::line("client_id", "Client", &self.client_id, errors));
        fields.into_iter().map(|field| Field { required: false, quiet: true, ..field }).collect()
    }
}
