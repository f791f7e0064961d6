//! Every page as it looks: narrow and wide, light and dark. Each is held to what WCAG asks for, as far as axe-core sees it,
//! fits its window, and is written to `target/screenshots`, where people look at it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{Broker, accepted_id, submit};
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker_with};
use crate::receiver::{Receiver, TAKEN};

const ANN: &str = "ann@example.org";

/// axe-core; the licence stands beside it.
const AXE: &str = include_str!("../axe/axe.min.js");

/// What is wrong with a page, gravely: rule and element.
const ASK_AXE: &str = "const done = arguments[arguments.length - 1];\n\
    axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })\n\
    .then(found => done(found.violations.filter(one => ['serious', 'critical'].includes(one.impact))\n\
    .map(one => one.id + ': ' + one.nodes.map(node => node.html.slice(0, 160) + ' ' + (node.failureSummary || '')).join(' | '))),\n\
    error => done(['axe failed: ' + error]));";

/// Width, height, scheme.
const SHOWN: [(u32, u64, &str); 5] =
    [(1280, 800, "light"), (1280, 800, "dark"), (360, 740, "light"), (360, 740, "dark"), (3840, 2160, "light")];

/// Pages beside those that the menu leads to.
const ADMIN_PAGES: [&str; 16] = [
    "/?period=7d",
    "/?period=30d",
    "/messages?live=on",
    "/messages?status=failed&limit=25",
    "/messages?sender=123",
    "/messages?topic=none",
    "/profile",
    "/profile/password",
    "/profile/time-zone",
    "/profile/two-factor",
    "/admin/users/new",
    "/admin/users/1",
    "/admin/certificates/new",
    "/admin/clients/demo",
    "/admin/domains/default",
    "/nowhere",
];

/// Those by which the broker is run.
const RUNNING_PAGES: [&str; 13] = [
    "/admin/enrolments/new",
    "/admin/certificates?show=expiring",
    "/admin/certificates/renew?name=demo",
    "/admin/destinations/new",
    "/admin/destinations/new?kind=pull",
    "/admin/destinations/1",
    "/admin/destinations/1/edit",
    "/admin/destinations/1/replay",
    "/admin/destinations/1/delete",
    "/admin/dead-letters/redrive?all=yes",
    "/admin/dead-letters/purge?all=yes",
    "/admin/dead-letters?reason=none",
    "/admin/settings?show=all",
];

struct Gallery {
    browser: Browser,
    folder: PathBuf,
    faults: Vec<String>,
}

impl Gallery {
    fn new(browser: Browser) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        Self { browser, folder, faults: Vec::new() }
    }

    /// Looks at the page where the browser is.
    fn look(&mut self, name: &str) {
        self.browser.script(AXE);
        for (width, height, scheme) in SHOWN {
            self.browser.show(width, height, scheme);
            let of = |what: &str| self.browser.script(&format!("return document.documentElement.{what}")).as_u64();
            let (whole, inner) = (of("scrollWidth").unwrap_or(0), of("clientWidth").unwrap_or(0));
            if whole > inner {
                self.faults.push(format!("{name} at {width}: {whole} wide"));
            }
            let tall = of("scrollHeight").unwrap_or(height).clamp(height, 6000);
            self.browser.show(width, tall, scheme);
            if width > 3000 {
                // How a wall of it looks is seen on few pages; that it fits, on each.
                continue;
            }
            let png = STANDARD.decode(self.browser.picture()).expect("base64");
            std::fs::write(self.folder.join(format!("{name}-{width}-{scheme}.png")), png).expect("written");
            let found = self.browser.script_async(ASK_AXE);
            for fault in found.as_array().into_iter().flatten() {
                self.faults.push(format!("{name} at {width}, {scheme}: {}", fault.as_str().unwrap_or_default()));
            }
        }
    }

    fn visit(&mut self, path: &str) {
        self.browser.goto(path);
        let name: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let name = name.trim_matches('_');
        self.look(if name.is_empty() { "overview" } else { name });
    }

    /// Where the menu leads to.
    fn menu(&self) -> Vec<String> {
        let script = "return [...document.querySelectorAll('nav.side a')].map(a => a.getAttribute('href'))";
        let found = self.browser.script(script);
        found.as_array().into_iter().flatten().filter_map(|href| href.as_str().map(str::to_owned)).collect()
    }
}

/// Something of everything: messages that were delivered, that failed and that wait, users, certificates.
fn furnish(broker: &Broker, receiver: &Receiver, refusing: &Receiver) -> (String, String) {
    for name in ["branch-7", "till-5"] {
        broker.run_ok(&["ca", "issue", name]);
    }
    broker.run_ok(&["admin", "destinations", "create", "crm", "--url", &receiver.url, "--topics", "orders.**"]);
    let retry = ["--retry", "fixed:1s*2"];
    let create = ["admin", "destinations", "create", "billing", "--url", &refusing.url, "--topics", "invoices.**"];
    broker.run_ok(&[&create[..], &retry[..]].concat());
    let create = ["admin", "users", "create", "--email", ANN, "--password", PASSWORD, "--role", "user", "--may-send"];
    broker.run_ok(&[&create[..], &["--client-id", "demo"]].concat());
    let mut demo = broker.demo();
    let mut post = |topic: &str, text: &str| {
        let body = serde_json::json!({ "sender_number": "+4915112345678", "message_body": text, "topic": topic });
        accepted_id(&demo.post("/api/v1/messages", &body.to_string()).expect("answered"))
    };
    let delivered: Vec<String> = (0..12).map(|n| post("orders.new", &format!("Order {n} is ready"))).collect();
    let failed: Vec<String> = (0..3).map(|n| post("invoices.sent", &format!("Invoice {n} is due"))).collect();
    submit(&mut broker.client("branch-7"), "The till was opened at 08:00");
    broker.wait_delivered(&delivered);
    (delivered[3].clone(), failed[1].clone())
}

/// A gallery of an admin's pages, and a message that was delivered and one that failed.
fn open(broker: &Broker) -> (Gallery, String, String) {
    let receiver = Receiver::start(Duration::ZERO);
    let refusing = Receiver::answering(|_| TAKEN.replace("200 OK", "422 Unprocessable Entity"));
    let (delivered, failed) = furnish(broker, &receiver, &refusing);
    let gallery = Gallery::new(Browser::open(broker.ports.portal));
    gallery.browser.goto(&format!("/messages/{failed}"));
    gallery.browser.sign_in(ADMIN, PASSWORD);
    gallery.browser.wait_for("Given up");
    (gallery, delivered, failed)
}

fn furnished() -> Broker {
    broker_with(&[("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8")])
}

impl Gallery {
    /// Asserts that nothing was found.
    fn close(self) {
        assert!(self.faults.is_empty(), "{}", self.faults.join("\n"));
        self.browser.close();
    }
}

#[test]
fn the_pages_of_an_admins_menu_can_be_shown_to_anybody() {
    let broker = furnished();
    let (mut gallery, ..) = open(&broker);
    for path in gallery.menu() {
        gallery.visit(&path);
    }
    gallery.close();
}

#[test]
fn the_pages_behind_an_admins_menu_can_be_shown_to_anybody() {
    let broker = furnished();
    let (mut gallery, ..) = open(&broker);
    for path in ADMIN_PAGES {
        gallery.visit(path);
    }
    gallery.close();
}

#[test]
fn a_messages_and_a_users_pages_can_be_shown_to_anybody() {
    let broker = furnished();
    let (mut gallery, delivered, failed) = open(&broker);
    for (id, name) in [(&delivered, "message_delivered"), (&failed, "message_failed")] {
        gallery.browser.goto(&format!("/messages/{id}"));
        gallery.look(name);
    }
    gallery.browser.click("Reveal the content");
    gallery.look("message_revealed");
    gallery.browser.goto(&format!("/messages/{failed}/replay"));
    gallery.look("message_replay");
    gallery.browser.goto(&format!("/messages/{failed}/cancel"));
    gallery.look("message_cancel");
    gallery.browser.show(1280, 800, "light");
    gallery.browser.sign_out();
    gallery.look("login");
    gallery.browser.goto("/forgot-password");
    gallery.look("forgot_password");
    gallery.browser.goto("/");
    gallery.browser.sign_in(ANN, PASSWORD);
    gallery.look("user_overview");
    gallery.browser.goto("/send");
    gallery.look("user_send");
    gallery.browser.goto("/admin/users");
    gallery.look("user_forbidden");
    gallery.close();
}

#[test]
fn the_pages_by_which_the_broker_is_run_can_be_shown_to_anybody() {
    let broker = furnished();
    let (mut gallery, ..) = open(&broker);
    for path in RUNNING_PAGES {
        gallery.visit(path);
    }
    gallery.close();
}

/// The pages that answer a form: what is shown once, what was found, what is under way.
#[test]
fn the_answers_to_an_admins_forms_can_be_shown_to_anybody() {
    let broker = furnished();
    let (mut gallery, ..) = open(&broker);
    for (page, filled, button, name) in [
        ("/admin/destinations/2", None, "Send a trial", "destination_trial"),
        ("/admin/destinations/2/rotate", None, "Rotate the secret", "destination_secret"),
        ("/admin/certificates/new", Some(("client_id", "till-9")), "Issue the certificate", "certificate_issued"),
        ("/admin/certificates/new", Some(("client_id", "No Name")), "Issue the certificate", "certificate_complaint"),
        ("/admin/enrolments/new", Some(("client_id", "till-10")), "Make the token", "enrolment_token"),
        ("/admin/doctor", None, "Examine it", "doctor_found"),
        ("/admin/retention", None, "Count what would go …", "retention_counted"),
        ("/admin/backups", None, "Back up now", "backup_job"),
        ("/admin/audit", None, "Verify the log", "audit_verified"),
    ] {
        gallery.browser.show(1280, 800, "light");
        gallery.browser.goto(page);
        if let Some((field, text)) = filled {
            gallery.browser.fill(field, text);
        }
        gallery.browser.click(button);
        gallery.look(name);
    }
    gallery.close();
}
