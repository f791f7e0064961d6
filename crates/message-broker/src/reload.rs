//! Settings read again while the process runs: by SIGHUP, or when `config reload` asks through a file in the data
//! directory, which works on every system and gets an answer.
//!
//! Limits and the log level are taken up at once. What else has changed waits for a restart, and is named. Settings that
//! are broken change nothing: the last good ones stay in effect.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mb_proxy::Proxy;
use mb_runtime::lifecycle::Hangups;
use mb_runtime::logging::{Component, Level};
use mb_runtime::{App, Criticality, Lifecycle, Slots};
use mb_server::MainServer;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Resolved, Setting};
use crate::installation;
use crate::layout::Layout;
use crate::weakness;

/// How often it is looked whether `config reload` asks.
const LOOK: Duration = Duration::from_millis(500);

/// What a running process can take up.
#[derive(Clone, Debug)]
pub enum Knob {
    /// `log.level`
    LogLevel(Level),
    /// `proxy.rate_limit`
    ProxyRateLimit(Proxy),
    /// `proxy.in_flight`
    ProxyInFlight(App),
    /// `proxy.connections`
    ProxyConnections(Slots),
    /// `server.in_flight`
    ServerInFlight(App),
    /// `server.connections`
    ServerConnections(Slots),
    /// No setting: who shows which are in effect.
    Shown(MainServer),
}

impl Knob {
    const fn key(&self) -> &'static str {
        match self {
            Self::LogLevel(_) => "log.level",
            Self::ProxyRateLimit(_) => "proxy.rate_limit",
            Self::ProxyInFlight(_) => "proxy.in_flight",
            Self::ProxyConnections(_) => "proxy.connections",
            Self::ServerInFlight(_) => "server.in_flight",
            Self::ServerConnections(_) => "server.connections",
            Self::Shown(_) => "",
        }
    }

    fn turn(&self, config: &Config) -> Result<()> {
        match self {
            Self::LogLevel(level) => level.set(&config.log.level).context("set the log level")?,
            Self::ProxyRateLimit(proxy) => proxy.set_rate_limit(config.proxy.rate_limit),
            Self::ProxyInFlight(app) => app.set_in_flight(config.proxy.in_flight),
            Self::ProxyConnections(slots) => slots.set_most(config.proxy.connections),
            Self::ServerInFlight(app) => app.set_in_flight(config.server.in_flight),
            Self::ServerConnections(slots) => slots.set_most(config.server.connections),
            Self::Shown(_) => {}
        }
        Ok(())
    }
}

/// What became of reading the settings again.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Keys that have changed and are in effect.
    pub applied: Vec<String>,
    /// Keys and secrets that have changed and wait for a restart.
    pub needs_restart: Vec<String>,
    /// Why nothing was taken up.
    pub error: Option<String>,
}

/// The answer to `config reload`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The text of the request.
    pub request: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The settings in effect, and what can be changed of them.
#[derive(Debug)]
pub struct Reloader {
    layout: Layout,
    components: &'static [Component],
    knobs: Vec<Knob>,
    /// As they were at the start, with what was taken up since.
    in_effect: BTreeMap<String, Setting>,
    started: Resolved,
}

impl Reloader {
    /// For a process of these components, which was started with these settings.
    pub fn new(layout: &Layout, components: &'static [Component], started: &Resolved, knobs: Vec<Knob>) -> Self {
        let in_effect = started.settings.iter().map(|setting| (setting.key.clone(), setting.clone())).collect();
        Self { layout: layout.clone(), components, knobs, in_effect, started: started.clone() }
    }

    /// Takes up settings until the process stops.
    pub fn start(self, lifecycle: &Lifecycle, hangups: Hangups) {
        let soft = lifecycle.soft();
        lifecycle.spawn("reload", Criticality::Critical, async move {
            soft.run_until_cancelled(self.run(hangups)).await;
        });
    }

    async fn run(mut self, mut hangups: Hangups) {
        let mut answered = read(&self.layout.reload_request());
        loop {
            tokio::select! {
                () = hangups.next() => {
                    self.reload();
                }
                () = tokio::time::sleep(LOOK) => {
                    let request = read(&self.layout.reload_request());
                    if request == answered {
                        continue;
                    }
                    answered.clone_from(&request);
                    if let Some(request) = request {
                        let answer = Answer { request, outcome: self.reload() };
                        if let Err(error) = self.answer(&answer) {
                            tracing::warn!(error = format!("{error:#}"), "nobody can be told of it");
                        }
                    }
                }
            }
        }
    }

    fn answer(&self, answer: &Answer) -> Result<()> {
        let path = self.layout.reload_answer(std::process::id());
        mb_crypto::files::write_public(&path, &serde_json::to_vec(answer)?).context("answer config reload")
    }

    /// Reads the settings and takes up what can be.
    fn reload(&mut self) -> Outcome {
        let signs_tokens = self.components.contains(&Component::MainServer);
        let read = Resolved::of(&self.layout)
            .and_then(|resolved| weakness::refuse_in_production(&resolved, signs_tokens).map(|()| resolved));
        match read.and_then(|resolved| self.take_up(&resolved)) {
            Ok(outcome) => {
                let (applied, needs_restart) = (outcome.applied.join(" "), outcome.needs_restart.join(" "));
                tracing::info!(applied, needs_restart, "configuration reloaded");
                outcome
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "configuration not reloaded, the last good settings stay");
                Outcome { error: Some(error), ..Outcome::default() }
            }
        }
    }

    fn take_up(&mut self, resolved: &Resolved) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        for setting in &resolved.settings {
            let (key, value) = (&setting.key, &setting.value);
            if self.in_effect.get(key).is_some_and(|held| held.value == *value) || !concerns(self.components, key) {
                continue;
            }
            match self.knobs.iter().find(|knob| knob.key() == key) {
                Some(knob) => {
                    knob.turn(&resolved.config)?;
                    self.in_effect.insert(key.clone(), setting.clone());
                    outcome.applied.push(key.clone());
                }
                None => outcome.needs_restart.push(key.clone()),
            }
        }
        for knob in &self.knobs {
            if let Knob::Shown(server) = knob {
                server.show_settings(installation::rows(self.in_effect.values(), &self.started));
            }
        }
        outcome.needs_restart.extend(resolved.changed_secrets(&self.started).map(str::to_owned));
        Ok(outcome)
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Whether a key means anything to a process of these components.
fn concerns(components: &[Component], key: &str) -> bool {
    let any = |those: &[Component]| components.iter().any(|component| those.contains(component));
    let (section, _) = key.split_once('.').unwrap_or((key, ""));
    match section {
        _ if ["server.url", "portal.url"].contains(&key) => true,
        "proxy" | "journal" => any(&[Component::Proxy]),
        "server" | "pki" | "store" | "mail" => any(&[Component::MainServer]),
        "worker" => any(&[Component::Worker]),
        "portal" => any(&[Component::Portal]),
        "queue" | "redis" => any(&[Component::Proxy, Component::Worker]),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(dir: &Path, toml: &str) -> Resolved {
        std::fs::write(dir.join("message-broker.toml"), toml).expect("written");
        Resolved::load(dir, &[]).expect("valid")
    }

    #[test]
    fn what_changed_is_taken_up_or_named_and_only_where_it_means_something() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let started = resolved(dir.path(), "");
        let layout = Layout::new(dir.path());
        let app = App::new(
            mb_runtime::AppConfig::new(mb_core::Role::Proxy, &[]),
            axum::Router::new(),
            &mut mb_runtime::Metrics::new(),
        );
        let knobs = vec![Knob::ProxyInFlight(app)];
        let mut reloader = Reloader::new(&layout, &[Component::Proxy], &started, knobs);
        let changed = resolved(dir.path(), "[proxy]\nin_flight = 7\nport = 9\n[worker]\nbatch = 7");
        let outcome = reloader.take_up(&changed).expect("taken up");
        assert_eq!(
            (outcome.applied, &outcome.needs_restart),
            (vec!["proxy.in_flight".into()], &vec!["proxy.port".into()])
        );
        let again = reloader.take_up(&changed).expect("taken up");
        assert_eq!((again.applied.len(), again.needs_restart), (0, outcome.needs_restart), "it still waits");
        std::fs::write(dir.path().join("message-broker.toml"), "[proxy]\nprot = 9").expect("written");
        let broken = reloader.reload();
        assert!(broken.error.is_some_and(|error| error.contains("proxy.port")) && broken.applied.is_empty());
    }
}
