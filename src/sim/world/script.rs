//! Peers for tests in which each line counts: a pool that answers every request with yes unless the test says
//! otherwise, and a miner that sends what the test says and remembers what it receives.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::sim::miner::ledger::Ending;
use crate::sim::miner::output::MinerOutput;
use crate::sim::peer::{MinerPeer, PoolPeer};
use crate::sim::pool::output::PoolOutput;
use crate::units::PoolConn;

/// A pool of fixed habits. Everything can be changed at any time.
#[derive(Debug)]
pub struct ScriptPool {
    /// Whether it says nothing at all by itself.
    pub mute: bool,
    /// The version bits that it grants; `None`: it refuses `mining.configure`.
    pub mask: Option<u32>,
    /// The only user name that it takes, if not any.
    pub only_user: Option<&'static str>,
    /// Whether it answers shares by itself.
    pub answers: bool,
    /// What its extranonce1 is for the n-th subscription, in hex.
    pub e1: fn(u32) -> String,
    /// The size of its extranonce2, in bytes.
    pub e2_size: u8,
    /// The difficulty of a new connection.
    pub difficulty: f64,
    /// The parameters of the job that it sends to a new connection.
    pub job: Value,
    /// Everything that it was sent.
    pub heard: Vec<(PoolConn, Value)>,
    subscriptions: u32,
    connections: u64,
    open: BTreeMap<u64, PoolConn>,
}

/// A miner without a will.
#[derive(Debug, Default)]
pub struct ScriptMiner {
    /// The parameters of the jobs that it was sent, the newest last.
    pub jobs: Vec<Value>,
    /// Each mask that it was told without having asked just then.
    pub masks: Vec<Value>,
    /// The answers that it got, by the id of the request.
    pub answers: BTreeMap<String, Vec<Value>>,
    /// What it was told of its place in the coinbase: its extranonce1 in hex, and the size of its extranonce2 in bytes.
    pub extranonce: (String, usize),
}

impl ScriptPool {
    /// A pool that has this job for everyone, of which every hash is a share.
    pub fn new(job: Value) -> Self {
        Self {
            mute: false,
            mask: Some(0x1fff_e000),
            only_user: None,
            answers: true,
            e1: |number| format!("{number:08x}"),
            e2_size: 8,
            difficulty: 1e-12,
            job,
            heard: Vec::new(),
            subscriptions: 0,
            connections: 0,
            open: BTreeMap::new(),
        }
    }

    /// Whether a miner was authorized on the connection: the proxy's own looks name no worker.
    pub fn has_worker(&self, conn: PoolConn) -> bool {
        let mut lines = self.heard.iter().filter(|(of, _)| *of == conn);
        lines.any(|(_, line)| {
            let user = line["params"][0].as_str().unwrap_or_default();
            line["method"] == "mining.authorize" && user.contains('.')
        })
    }

    fn answer(&mut self, id: &Value, method: &str, user: &Value) -> Vec<Value> {
        let good = |result: Value| json!({"id": id, "result": result, "error": null});
        let bad = |text: &str| json!({"id": id, "result": null, "error": [20, text, null]});
        vec![match method {
            "mining.configure" => match self.mask {
                Some(mask) => {
                    let mask = format!("{mask:08x}");
                    good(json!({"version-rolling": true, "version-rolling.mask": mask}))
                }
                None => bad("no"),
            },
            "mining.subscribe" => {
                self.subscriptions += 1;
                good(json!([[], (self.e1)(self.subscriptions), self.e2_size]))
            }
            "mining.authorize" if self.only_user.is_some_and(|only| user != only) => {
                bad("unknown worker")
            }
            "mining.authorize" => {
                return vec![
                    good(true.into()),
                    json!({"method": "mining.set_difficulty", "params": [self.difficulty]}),
                    json!({"method": "mining.notify", "params": self.job}),
                ];
            }
            "mining.submit" if !self.answers => return Vec::new(),
            _ => good(true.into()),
        }]
    }
}

impl PoolPeer for ScriptPool {
    fn open(&mut self, _: Instant) -> u64 {
        self.connections += 1;
        self.connections
    }

    fn named(&mut self, number: u64, conn: PoolConn) {
        self.open.insert(number, conn);
    }

    fn line(&mut self, number: u64, line: &[u8], _: u64, now: Instant, out: &mut Vec<PoolOutput>) {
        let Some(conn) = self.open.get(&number) else {
            return;
        };
        let line = object(line);
        self.heard.push((*conn, line.clone()));
        let (Some(method), false) = (line["method"].as_str(), self.mute) else {
            return;
        };
        for answer in self.answer(&line["id"], method, &line["params"][0]) {
            out.push(PoolOutput::Write {
                connection: number,
                line: format!("{answer}\n"),
                due: now,
                job: None,
            });
        }
    }

    fn closed(&mut self, number: u64, _: Instant) {
        self.open.remove(&number);
    }
}

impl MinerPeer for ScriptMiner {
    fn connected(&mut self, _: Instant, _: &mut Vec<MinerOutput>) {
        *self = Self::default();
    }

    fn line(&mut self, line: &[u8], _: Instant, _: &mut Vec<MinerOutput>) {
        let line = object(line);
        let params = &line["params"];
        match line["method"].as_str() {
            Some("mining.notify") => self.jobs.push(params.clone()),
            Some("mining.set_version_mask") => self.masks.push(params[0].clone()),
            Some("mining.set_extranonce") => self.subscribed(&params[0], &params[1]),
            Some(_) => (),
            None => {
                if let Some([_, e1, e2_size]) = line["result"].as_array().map(Vec::as_slice) {
                    self.subscribed(e1, e2_size);
                }
                let answers = self.answers.entry(line["id"].to_string()).or_default();
                answers.push(line);
            }
        }
    }

    fn closed(&mut self, _: Instant, _: Ending) {}
}

impl ScriptMiner {
    fn subscribed(&mut self, e1: &Value, e2_size: &Value) {
        let e2_size = e2_size.as_u64().and_then(|size| usize::try_from(size).ok());
        self.extranonce = (
            e1.as_str().unwrap_or_default().to_owned(),
            e2_size.unwrap_or(0),
        );
    }
}

/// A line of the proxy, which must be one JSON object. A peer's own id comes back in it as it was, and may be a number
/// beyond what a value can hold.
fn object(line: &[u8]) -> Value {
    let is_json = serde_json::from_slice::<IgnoredAny>(line).is_ok();
    let text = String::from_utf8_lossy(line);
    assert!(is_json && text.starts_with('{'), "no object: {text}");
    serde_json::from_slice(line).unwrap_or_default()
}
