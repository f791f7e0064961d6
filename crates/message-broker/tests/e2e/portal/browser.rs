//! A real browser, driven over `WebDriver` on loopback: headless Chromium with a profile of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

use crate::harness::{Broker, PATIENCE};

pub(super) const ADMIN: &str = "admin@example.org";
pub(super) const PASSWORD: &str = "Correct-Horse-7";

/// A broker whose first admin is known.
pub(super) fn broker() -> Broker {
    Broker::start_with(&[("ADMIN_EMAIL", ADMIN), ("ADMIN_PASSWORD", PASSWORD)])
}

/// A browser and its driver; both end with it.
pub(super) struct Browser {
    client: Client,
    driver: Driver,
    origin: String,
}

struct Driver {
    child: Child,
    port: u16,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Driver {
    /// Starts the driver on a port of its choice, which it prints.
    fn start() -> Self {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut lines = lines.map_while(Result::ok);
        let port =
            lines.find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        // What it prints later goes nowhere, and must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port: port.expect("chromedriver says its port") }
    }
}

impl Browser {
    /// A fresh browser before the portal on `port`.
    pub(super) async fn open(port: u16) -> Self {
        let driver = Driver::start();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
        ];
        let capabilities = json!({
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        });
        let capabilities: Capabilities = capabilities.as_object().expect("an object").clone();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("a browser starts");
        Self { client, driver, origin: format!("https://localhost:{port}") }
    }

    /// Ends the browser before its driver, and asserts that no page made it complain.
    pub(super) async fn close(self) {
        let complaints = self.complaints().await;
        self.client.close().await.expect("the browser ends");
        drop(self.driver);
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    /// What the console says, but for the statuses that refusals have on purpose.
    async fn complaints(&self) -> Vec<String> {
        let log = self.client.issue_cmd(ConsoleLog).await.expect("the console is read");
        let lines = log.as_array().cloned().unwrap_or_default();
        let grave = lines.iter().filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
        let texts = grave.filter_map(|line| line["message"].as_str().map(str::to_owned));
        texts.filter(|text| !text.contains("the server responded with a status of")).collect()
    }

    pub(super) async fn goto(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.origin)).await.expect("the page loads");
    }

    /// The address after the host.
    pub(super) async fn path(&self) -> String {
        let url = self.client.current_url().await.expect("an address");
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    pub(super) async fn source(&self) -> String {
        self.client.source().await.expect("a page")
    }

    /// What the page says.
    pub(super) async fn text(&self) -> String {
        self.text_of("main").await
    }

    pub(super) async fn text_of(&self, css: &str) -> String {
        let found = self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        found.text().await.expect("text")
    }

    pub(super) async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.expect("looked for").len()
    }

    /// A property of an element, such as the value of a field.
    pub(super) async fn prop(&self, css: &str, name: &str) -> String {
        let found = self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        found.prop(name).await.expect("asked").unwrap_or_default()
    }

    /// Empties a field and types into it.
    pub(super) async fn fill(&self, id: &str, text: &str) {
        let field = self.client.find(Locator::Id(id)).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        field.clear().await.expect("cleared");
        field.send_keys(text).await.expect("typed");
    }

    pub(super) async fn choose(&self, id: &str, value: &str) {
        let field = self.client.find(Locator::Id(id)).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        field.select_by_value(value).await.expect("chosen");
    }

    /// Clicks a button or link by what it says, and waits for the page that it leads to.
    pub(super) async fn click(&self, words: &str) {
        let path = format!("//main//*[self::a or self::button][normalize-space()='{words}']");
        self.follow(Locator::XPath(&path)).await;
    }

    /// The driver returns from a click before the page that a form leads to has come, if that takes its time.
    async fn follow(&self, to: Locator<'_>) {
        let before = self.client.find(Locator::Css("html")).await.expect("a page");
        let found = self.client.find(to).await.unwrap_or_else(|error| panic!("{to:?}: {error}"));
        found.click().await.expect("clicked");
        let give_up = Instant::now() + PATIENCE;
        let loaded = async || {
            let state = self.client.execute("return document.readyState", Vec::new()).await;
            before.tag_name().await.is_err() && state.is_ok_and(|state| state == "complete")
        };
        while !loaded().await {
            assert!(Instant::now() < give_up, "{to:?} leads nowhere");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn sign_in(&self, email: &str, password: &str) {
        self.fill("email", email).await;
        self.fill("password", password).await;
        self.click("Sign in").await;
    }

    /// Signs out by the button in the bar.
    pub(super) async fn sign_out(&self) {
        self.follow(Locator::Css(".account button")).await;
    }

    /// Reloads until the page says `words`.
    pub(super) async fn wait_for(&self, words: &str) {
        let give_up = Instant::now() + PATIENCE;
        while !self.text().await.contains(words) {
            assert!(Instant::now() < give_up, "{words} in {}", self.text().await);
            self.client.refresh().await.expect("reloaded");
        }
    }
}

/// The console's messages since it was last asked; an extension of Chromium's driver.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        let body: Value = json!({ "type": "browser" });
        (Method::POST, Some(body.to_string()))
    }
}
