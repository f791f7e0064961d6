//! One's own account: who one is, how one signs in, where one is signed in.

use askama::Template;
use mb_api::dto::{Profile, SessionRow};
use mb_core::SessionKind;

use crate::field::spoken;
use crate::person::Person;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage {
    shell: Shell,
    profile: Profile,
    sessions: Vec<SessionRow>,
}

pub(crate) async fn get(person: Person) -> Answer {
    let sessions = person.client.profile_sessions().await?.data;
    page(&ProfilePage { shell: person.shell(Section::Profile), profile: person.profile().clone(), sessions })
}

/// What somebody is signed in with, from what that says about itself (`User-Agent`): the browser and the system, if they
/// are well known.
pub(super) fn device(session: &SessionRow) -> String {
    let agent = session.user_agent.as_str();
    let known =
        |words: &[(&str, &'static str)]| words.iter().find(|(word, _)| agent.contains(word)).map(|(_, name)| *name);
    // The order matters: browsers name those they descend from as well.
    let browser = known(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = known(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) if session.kind == SessionKind::Token => "A program".to_owned(),
        (None, None) => "Unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mb_core::{SessionId, Timestamp};

    use super::*;

    #[test]
    fn a_device_is_named_by_its_browser_and_system() {
        let named = |agent: &str| {
            let at = Timestamp::default();
            device(&SessionRow {
                id: SessionId::from_bytes([0; 16]),
                kind: SessionKind::Token,
                current: false,
                created_at: at,
                last_used_at: at,
                expires_at: at,
                peer_address: String::new(),
                user_agent: agent.to_owned(),
            })
        };
        assert_eq!(
            named("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0 Safari/537.36"),
            "Chrome on Linux"
        );
        assert_eq!(named("Mozilla/5.0 (Windows NT 10.0) Chrome/150.0 Safari/537.36 Edg/150.0"), "Edge on Windows");
        assert_eq!(named("curl/8.0"), "curl");
        assert_eq!(named("<script>"), "A program");
    }
}
