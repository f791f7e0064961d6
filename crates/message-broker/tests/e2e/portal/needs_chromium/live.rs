//! What is brought up to date while it is looked at, and what is left of it without scripts.

use std::process::Command;

use crate::harness::submit;
use crate::portal::browser::{ADMIN, Browser, PASSWORD, broker};

#[test]
fn the_live_tail_shows_a_message_that_a_client_submits_meanwhile() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/messages?topic=default");
    browser.sign_in(ADMIN, PASSWORD);
    browser.click("Live");
    assert_eq!(browser.path(), "/messages?topic=default&live=on", "the filter stays");
    browser.see("#rows", "Nothing yet.");
    let mut demo = broker.demo();
    let first = submit(&mut demo, "seen as it comes");
    browser.see("#rows", &first);
    let second = submit(&mut demo, "and the next");
    browser.see("#rows", &second);
    browser.see("#rows", &first);
    browser.click("Live");
    assert_eq!(browser.path(), "/messages?topic=default");
    assert_eq!(browser.count("tbody tr"), 2);
    browser.close();
}

#[test]
fn figures_follow_and_say_when_the_session_is_over() {
    let broker = broker();
    let (here, there) = (Browser::open(broker.ports.portal), Browser::open(broker.ports.portal));
    for browser in [&here, &there] {
        browser.goto("/");
        browser.sign_in(ADMIN, PASSWORD);
    }
    here.see("#figures", "No message has arrived yet.");
    let id = submit(&mut broker.demo(), "counted");
    here.see("#figures", &id);
    here.see("#last-24h", "1");
    there.goto("/profile");
    there.click("Sign out everywhere");
    here.see("#figures", "Your session has ended.");
    here.click("Sign in");
    assert_eq!(here.path(), "/login");
    here.close();
    there.close();
}

#[test]
fn every_page_works_without_scripts() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.forbid_scripts();
    let id = submit(&mut broker.demo(), "no script needed");
    broker.wait_delivered(std::slice::from_ref(&id));
    browser.goto("/");
    browser.sign_in(ADMIN, PASSWORD);
    assert!(browser.text().contains("Last 24 hours") && browser.text().contains(&id), "{}", browser.text());
    browser.goto("/messages?live=on");
    assert!(browser.text().contains("Without JavaScript, reload the page."));
    browser.click(&id);
    browser.click("Reveal the content");
    assert_eq!(browser.text_of("#body"), "no script needed");
    browser.close();
}

#[test]
fn what_a_browser_loads_at_first_is_small() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/");
    browser.sign_in(ADMIN, PASSWORD);
    // Headers count for all, bodies as they came over the wire.
    let script = "return performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource')\
                  .filter(one => one.initiatorType !== 'fetch')).map(one => one.transferSize).reduce((a, b) => a + b, 0)";
    let bytes = browser.script(script).as_u64().expect("a number");
    assert!((1..60_000).contains(&bytes), "{bytes}");
    browser.close();
}

#[test]
fn an_admin_exports_what_the_filter_finds() {
    let broker = broker();
    let mut demo = broker.demo();
    let ids: Vec<String> = (0..3).map(|at| submit(&mut demo, &format!("number {at}"))).collect();
    broker.wait_delivered(&ids);
    let browser = Browser::open(broker.ports.portal);
    browser.goto(&format!("/messages?q={}", ids[1]));
    browser.sign_in(ADMIN, PASSWORD);
    let script = "const done = arguments[arguments.length - 1];\
        const form = document.querySelector('form.export');\
        fetch(form.querySelector('button').formAction, { method: 'POST', body: new URLSearchParams(new FormData(form)) })\
        .then(answer => answer.text().then(text => done([answer.status, answer.headers.get('content-disposition'), text])))";
    let answer = browser.script_async(script);
    assert_eq!((&answer[0], &answer[1]), (&200.into(), &"attachment; filename=\"messages.csv\"".into()), "{answer}");
    let lines: Vec<_> = answer[2].as_str().expect("text").lines().collect();
    assert_eq!((lines.len(), lines[1].starts_with(&ids[1])), (2, true), "{lines:?}");
    assert!(!answer[2].to_string().contains("15112345678"), "numbers stay masked");
    browser.goto("/admin/audit?action=messages.export");
    assert!(browser.text().contains(ADMIN) && browser.text().contains(&ids[1]), "{}", browser.text());
    browser.close();
}

#[test]
fn times_are_of_the_zone_that_the_profile_names() {
    let broker = broker();
    let browser = Browser::open(broker.ports.portal);
    browser.goto("/profile/time-zone");
    browser.sign_in(ADMIN, PASSWORD);
    browser.choose("time_zone", "Asia/Tokyo");
    browser.click("Save");
    assert!(browser.text().contains("The time zone was saved.") && browser.text().contains("Asia/Tokyo"));
    let exact = browser.prop("time", "title");
    let date = |zone: &str| {
        let words = ["-d", &exact, "+%Y-%m-%d %H:%M:%S"];
        let output = Command::new("date").env("TZ", zone).args(words).output().expect("date runs");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    assert_eq!(browser.text_of("time"), date("JST-9"), "{exact}");
    browser.close();
}
