//! Whoever asks for states again and again, and finds every step back.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::lanes::Load;
use crate::http::Connection;

/// Ids asked for in one round.
const SAMPLE: usize = 2000;
/// Between rounds.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks both proxies in turn until everything is settled; the steps back that it saw.
pub(super) fn start(dir: PathBuf, ports: [u16; 2], load: Arc<Load>) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut seen = Seen::default();
        let mut settled = false;
        for port in ports.into_iter().cycle() {
            // One more round when everything is final.
            if std::mem::replace(&mut settled, load.is_settled()) {
                break;
            }
            std::thread::sleep(PAUSE);
            let Ok(mut connection) = Connection::client(&dir, port, "demo") else { continue };
            for ids in load.sample(SAMPLE).chunks(500) {
                let body = serde_json::json!({ "ids": ids }).to_string();
                let Ok(response) = connection.post("/api/v1/messages/status", &body) else { break };
                if response.status == 200 {
                    response.json()["data"].as_array().into_iter().flatten().for_each(|row| seen.note(row));
                }
            }
        }
        seen.steps_back
    })
}

#[derive(Default)]
struct Seen {
    ranks: HashMap<String, u8>,
    steps_back: Vec<String>,
}

impl Seen {
    fn note(&mut self, row: &serde_json::Value) {
        let (id, state) = (row["message_id"].to_string(), row["status"].as_str().unwrap_or_default());
        let rank = match state {
            "queued" => 0,
            "processing" => 1,
            _ => 2,
        };
        let before = self.ranks.insert(id.clone(), rank).unwrap_or(0);
        if rank < before {
            self.steps_back.push(format!("{id} went back to {state}"));
        }
    }
}
