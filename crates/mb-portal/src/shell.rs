//! The frame around a page: where one is, who one is, where one may go.

use mb_api::dto::Profile;
use mb_core::{Timestamp, UserRole, ZoneName};

use crate::csrf::CsrfToken;
use crate::view::Moment;
use crate::visit::Visit;
use crate::zone::Zone;

/// The part of the portal that a page belongs to, as the menu marks it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    None,
    Overview,
    Messages,
    Send,
    Profile,
    Users,
    Clients,
    Certificates,
    Domains,
    Destinations,
    DeadLetters,
    Proxies,
    Settings,
    Doctor,
    Queue,
    Database,
    Retention,
    Backups,
    Notices,
    Audit,
}

impl Section {
    /// The word that the menu compares with.
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Overview => "overview",
            Self::Messages => "messages",
            Self::Send => "send",
            Self::Profile => "profile",
            Self::Users => "users",
            Self::Clients => "clients",
            Self::Certificates => "certificates",
            Self::Domains => "domains",
            Self::Destinations => "destinations",
            Self::DeadLetters => "dead-letters",
            Self::Proxies => "proxies",
            Self::Settings => "settings",
            Self::Doctor => "doctor",
            Self::Queue => "queue",
            Self::Database => "database",
            Self::Retention => "retention",
            Self::Backups => "backups",
            Self::Notices => "notices",
            Self::Audit => "audit",
        }
    }
}

/// Who is signed in, as the frame shows it.
#[derive(Clone, Debug)]
struct Who {
    email: String,
    role: UserRole,
    may_send: bool,
    open_notices: Option<String>,
}

/// What every template gets as `shell`.
#[derive(Clone)]
pub(crate) struct Shell {
    csrf: CsrfToken,
    flash: Option<&'static str>,
    section: Section,
    who: Option<Who>,
    zone: Zone,
}

impl Shell {
    /// For somebody who is not signed in.
    pub(crate) fn guest(visit: &Visit) -> Self {
        let flash = visit.flash().map(crate::flash::Flash::text);
        Self { csrf: visit.csrf().clone(), flash, section: Section::None, who: None, zone: Zone::default() }
    }

    /// For somebody signed in; `open_notices` is what the badge shows.
    pub(crate) fn of(visit: &Visit, profile: &Profile, open_notices: Option<String>, section: Section) -> Self {
        let may_send = profile.may_send && profile.client_id.is_some();
        let who = Who { email: profile.email.to_string(), role: profile.role, may_send, open_notices };
        Self { section, who: Some(who), zone: Zone::of(&profile.time_zone), ..Self::guest(visit) }
    }

    /// The token for forms.
    pub(crate) fn csrf(&self) -> &str {
        self.csrf.as_str()
    }

    /// What the page before did.
    pub(crate) const fn flash(&self) -> Option<&'static str> {
        self.flash
    }

    /// The address of who is signed in.
    pub(crate) fn email(&self) -> Option<&str> {
        self.who.as_ref().map(|who| who.email.as_str())
    }

    /// Shows a time as who looks reads it.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(crate) fn when(&self, at: &Timestamp) -> Moment {
        Moment::new(*at, self.zone.clone())
    }

    /// The time zone of who looks.
    pub(crate) const fn zone(&self) -> &ZoneName {
        self.zone.name()
    }

    /// Whether the page belongs to this part.
    pub(crate) fn at(&self, section: &str) -> bool {
        self.section.as_str() == section
    }

    /// Whether the menu shows what admins may do.
    pub(crate) fn is_admin(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.role == UserRole::Admin)
    }

    /// Whether the menu shows messages: user managers never see any.
    pub(crate) fn sees_messages(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.role != UserRole::UserManager)
    }

    /// Whether the menu shows the form for a message.
    pub(crate) fn sends(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.may_send)
    }

    /// Whether the menu shows the users.
    pub(crate) fn manages_users(&self) -> bool {
        self.who.as_ref().is_some_and(|who| matches!(who.role, UserRole::Admin | UserRole::UserManager))
    }

    /// How many notices wait, if any does.
    pub(crate) fn open_notices(&self) -> Option<&str> {
        self.who.as_ref().and_then(|who| who.open_notices.as_deref())
    }
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shell").field("section", &self.section).field("who", &self.who).finish_non_exhaustive()
    }
}
