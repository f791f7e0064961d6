//! A real browser before the portal: headless Chromium with a profile of its own, driven as people use it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::webdriver::{By, Session};
use crate::harness::{Broker, PATIENCE};

pub(super) const ADMIN: &str = "admin@example.org";
pub(super) const PASSWORD: &str = "Correct-Horse-7";

/// A broker whose first admin is known.
pub(super) fn broker() -> Broker {
    Broker::start_with(&[
        ("ADMIN_EMAIL", ADMIN),
        ("ADMIN_PASSWORD", PASSWORD),
        // Without it a notice says that no backups are made.
        ("MB_BACKUP__PASSPHRASE", "what seals a backup"),
    ])
}

/// A browser.
pub(super) struct Browser {
    session: Session,
    origin: String,
}

impl Browser {
    /// A fresh browser before the portal on `port`.
    pub(super) fn open(port: u16) -> Self {
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
        ];
        let session = Session::start(&json!({
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        }));
        Self { session, origin: format!("https://localhost:{port}") }
    }

    /// Ends the browser, and asserts that no page made it complain.
    pub(super) fn close(self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    /// What the console says (an extension of Chromium's driver), but for the statuses that refusals have on purpose.
    fn complaints(&self) -> Vec<String> {
        let log = self.session.post("se/log", &json!({ "type": "browser" })).expect("the console is read");
        let lines = log.as_array().cloned().unwrap_or_default();
        let grave = lines.iter().filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
        let texts = grave.filter_map(|line| line["message"].as_str().map(str::to_owned));
        texts.filter(|text| !text.contains("the server responded with a status of")).collect()
    }

    pub(super) fn goto(&self, path: &str) {
        self.session.post("url", &json!({ "url": format!("{}{path}", self.origin) })).expect("the page loads");
    }

    /// The address after the host.
    pub(super) fn path(&self) -> String {
        let url = self.session.text("url").expect("an address");
        url.strip_prefix(&self.origin).unwrap_or(&url).to_owned()
    }

    pub(super) fn source(&self) -> String {
        self.session.text("source").expect("a page")
    }

    /// What the page says.
    pub(super) fn text(&self) -> String {
        self.text_of("main")
    }

    pub(super) fn text_of(&self, css: &str) -> String {
        let found = self.session.find(By::Css(css));
        self.session.ask(&found, "text").expect("text")
    }

    pub(super) fn count(&self, css: &str) -> usize {
        self.session.find_all(By::Css(css)).len()
    }

    /// A property of an element, such as the value of a field.
    pub(super) fn prop(&self, css: &str, name: &str) -> String {
        let found = self.session.find(By::Css(css));
        self.session.ask(&found, &format!("property/{name}")).expect("asked")
    }

    /// Empties a field and types into it.
    pub(super) fn fill(&self, id: &str, text: &str) {
        let field = self.session.find(By::Css(&format!("#{id}")));
        self.session.tell(&field, "clear", &json!({}));
        self.session.tell(&field, "value", &json!({ "text": text }));
    }

    pub(super) fn choose(&self, id: &str, value: &str) {
        let option = self.session.find(By::Css(&format!("#{id} option[value='{value}']")));
        self.session.tell(&option, "click", &json!({}));
    }

    /// Clicks a button or link by what it says, and waits for the page that it leads to.
    pub(super) fn click(&self, words: &str) {
        let path = format!("//main//*[self::a or self::button][normalize-space()='{words}']");
        self.follow(By::XPath(&path));
    }

    /// The driver returns from a click before the page that a form leads to has come, if that takes its time.
    fn follow(&self, to: By<'_>) {
        let before = self.session.find(By::Css("html"));
        let found = self.session.find(to);
        self.session.tell(&found, "click", &json!({}));
        let give_up = Instant::now() + PATIENCE;
        let loaded = || {
            let state =
                self.session.post("execute/sync", &json!({ "script": "return document.readyState", "args": [] }));
            self.session.ask(&before, "name").is_err() && state.is_ok_and(|state| state == "complete")
        };
        while !loaded() {
            assert!(Instant::now() < give_up, "{to:?} leads nowhere");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn sign_in(&self, email: &str, password: &str) {
        self.fill("email", email);
        self.fill("password", password);
        self.click("Sign in");
    }

    /// Signs out by the button in the bar.
    pub(super) fn sign_out(&self) {
        self.follow(By::Css(".account button"));
    }

    /// Reloads until the page says `words`.
    pub(super) fn wait_for(&self, words: &str) {
        let give_up = Instant::now() + PATIENCE;
        while !self.text().contains(words) {
            assert!(Instant::now() < give_up, "{words} in {}", self.text());
            self.session.post("refresh", &json!({})).expect("reloaded");
        }
    }
}
