//! Who is signed in: asked of the main server on every request, so that what was taken away is gone at once.

use std::time::Duration;

use axum::extract::FromRequestParts;
use http::header::{HOST, REFERER};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, Uri};
use mb_api::credentials::Credentials;
use mb_api::dto::{NoticeQuery, PortalSession, Profile, SecretText};
use mb_api::{Client, RequestId};
use mb_core::{Timestamp, UserRole};

use crate::Portal;
use crate::cookies;
use crate::next::LocalPath;
use crate::shell::{Section, Shell};
use crate::stop::Stop;
use crate::visit::Visit;
use crate::zone::Zone;

/// The most open notices that are counted for the badge.
const COUNTED: u32 = 99;
/// How long it is asked who somebody is: if that takes longer, the main server hangs, and so would every page.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// Somebody signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Asks the main server as this person.
    pub(crate) client: Client,
    /// The session.
    pub(crate) session: PortalSession,
    /// When the request came.
    pub(crate) now: Timestamp,
    visit: Visit,
    open_notices: Option<String>,
}

/// Somebody signed in whose page watches by itself, which keeps no session alive.
#[derive(Clone, Debug)]
pub(crate) struct Watcher(pub(crate) Person);

/// An admin signed in.
#[derive(Clone, Debug)]
pub(crate) struct Admin(pub(crate) Person);

/// Somebody signed in who manages users.
#[derive(Clone, Debug)]
pub(crate) struct UserManager(pub(crate) Person);

impl Person {
    /// The account.
    pub(crate) const fn profile(&self) -> &Profile {
        &self.session.user
    }

    /// Whether the person is an admin.
    pub(crate) fn is_admin(&self) -> bool {
        self.profile().role == UserRole::Admin
    }

    /// Whether the person may send messages as its client.
    pub(crate) fn may_send(&self) -> bool {
        self.profile().may_send && self.profile().client_id.is_some()
    }

    /// In which time zone the person reads and writes times.
    pub(crate) fn zone(&self) -> Zone {
        Zone::of(&self.profile().time_zone)
    }

    /// The frame of a page.
    pub(crate) fn shell(&self, section: Section) -> Shell {
        Shell::of(&self.visit, self.profile(), self.open_notices.clone(), section)
    }

    /// Who is behind `client`, the main server through the request's session.
    async fn behind(client: Option<Client>, parts: &mut Parts, portal: &Portal) -> Result<Self, Stop> {
        let visit = Visit::from_request_parts(parts, portal).await?;
        let sign_in = || Stop::SignIn { next: way_back(parts) };
        let client = client.ok_or_else(sign_in)?;
        let session = client.with_patience(PATIENCE).session().await.map_err(|error| match Stop::from(error) {
            Stop::SignIn { .. } => sign_in(),
            error @ Stop::Error(_) => error,
        })?;
        let open_notices = if session.user.role == UserRole::Admin { open_notices(&client).await } else { None };
        let person = Self { client, session, now: portal.clock.now(), visit, open_notices };
        person.visit.keep(person.shell(Section::None));
        Ok(person)
    }
}

/// The main server through the session in the request's cookie; `None` without one.
pub(crate) fn client_of(parts: &Parts, portal: &Portal) -> Option<Client> {
    let token = cookies::read(&parts.headers, cookies::SESSION)?;
    let credentials = Credentials::Session(SecretText::new(token.to_owned()));
    // A cookie that no session can have is none.
    credentials.header_value()?;
    let client = portal.client.with_credentials(credentials);
    Some(match parts.extensions.get::<RequestId>() {
        Some(id) => client.with_request_id(id.clone()),
        None => client,
    })
}

impl FromRequestParts<Portal> for Person {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Stop> {
        Self::behind(client_of(parts, portal), parts, portal).await
    }
}

impl FromRequestParts<Portal> for Watcher {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Stop> {
        let client = client_of(parts, portal).map(|client| client.watching());
        Person::behind(client, parts, portal).await.map(Self)
    }
}

impl FromRequestParts<Portal> for Admin {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Stop> {
        let person = Person::from_request_parts(parts, portal).await?;
        if person.is_admin() { Ok(Self(person)) } else { Err(Stop::forbidden()) }
    }
}

impl FromRequestParts<Portal> for UserManager {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Stop> {
        let person = Person::from_request_parts(parts, portal).await?;
        let manages = person.profile().role != UserRole::User;
        if manages { Ok(Self(person)) } else { Err(Stop::forbidden()) }
    }
}

/// What the badge shows. A page is not refused because its badge cannot be counted.
async fn open_notices(client: &Client) -> Option<String> {
    let query = NoticeQuery { limit: Some(COUNTED), ..NoticeQuery::default() };
    let page = client.with_patience(PATIENCE).notices(&query).await.ok()?;
    let more = if page.next.is_some() { "+" } else { "" };
    (!page.data.is_empty()).then(|| format!("{}{more}", page.data.len()))
}

/// Where to go on after the sign-in: to the page that was asked for, or to the one whose form was sent.
fn way_back(parts: &Parts) -> LocalPath {
    let path = if parts.method == Method::GET {
        parts.uri.path_and_query().and_then(|path| LocalPath::parse(path.as_str()))
    } else {
        form_page(&parts.headers, &parts.uri)
    };
    path.unwrap_or_else(LocalPath::home)
}

/// The page whose form was sent, if the browser says that it is one of this host's.
fn form_page(headers: &HeaderMap, uri: &Uri) -> Option<LocalPath> {
    let referer: Uri = headers.get(REFERER)?.to_str().ok()?.parse().ok()?;
    let host = uri.authority().map(Authority::as_str);
    let host = host.or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok()))?;
    (referer.authority()?.as_str() == host).then(|| LocalPath::parse(referer.path_and_query()?.as_str())).flatten()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn way(request: http::request::Builder) -> LocalPath {
        way_back(&request.body(()).expect("a request").into_parts().0)
    }

    #[test]
    fn a_guest_comes_back_to_where_he_was() {
        assert_eq!(way(Request::get("/messages?status=failed")).as_str(), "/messages?status=failed");
        assert_eq!(way(Request::get("//evil.example/")), LocalPath::home());
        let post = |referer: &str| {
            way(Request::post("/profile/sessions/end").header(HOST, "here:5000").header(REFERER, referer))
        };
        assert_eq!(post("https://here:5000/profile?x=1").as_str(), "/profile?x=1");
        assert_eq!(post("https://evil.example/profile"), LocalPath::home());
        assert_eq!(post("https://here:5000//evil.example/"), LocalPath::home());
    }
}
