//! A miner that does exactly what a test says, step by step.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use dpmp::sim::chain::tag_of;
use dpmp::sim::miner::work::{Share, Work, read_notify};
use dpmp::system::net::Deadline;
use serde_json::{Value, json};

use super::SOON;

/// A connection to the proxy and what was negotiated on it.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    last_id: u64,
    /// Lines that arrived without a request and were not read yet.
    pushed: Vec<Value>,
    /// Answers that arrived before a test waited for them; pipelined ones may come in another order.
    answers: Vec<Value>,
    e1: Vec<u8>,
    e2_size: usize,
    pub(crate) difficulty: f64,
    pub(crate) mask: Option<u32>,
    pub(crate) user: String,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
            last_id: 0,
            pushed: Vec::new(),
            answers: Vec::new(),
            e1: Vec::new(),
            e2_size: 0,
            difficulty: 1.0,
            mask: None,
            user: "wallet.worker".into(),
        }
    }

    /// Connects and continues up to the first job.
    #[track_caller]
    pub(crate) fn working(address: SocketAddr) -> (Self, Work) {
        let mut client = Self::connect(address);
        client.configure();
        client.subscribe();
        let answer = client.authorize();
        assert_eq!(answer["result"], true, "{answer}");
        let work = client.job();
        (client, work)
    }

    #[track_caller]
    pub(crate) fn configure(&mut self) -> Value {
        let wants = json!([["version-rolling"], {"version-rolling.mask": "1fffe000"}]);
        let answer = self.ask("mining.configure", &wants);
        let mask = answer["result"]["version-rolling.mask"].as_str();
        self.mask = mask.map(|mask| u32::from_str_radix(mask, 16).unwrap());
        answer
    }

    #[track_caller]
    pub(crate) fn subscribe(&mut self) -> Value {
        let answer = self.ask("mining.subscribe", &json!(["client/1"]));
        let result = &answer["result"];
        self.e1 = hex::decode(result[1].as_str().unwrap()).unwrap();
        self.e2_size = usize::try_from(result[2].as_u64().unwrap()).unwrap();
        answer
    }

    #[track_caller]
    pub(crate) fn authorize(&mut self) -> Value {
        let params = json!([self.user, "x"]);
        self.ask("mining.authorize", &params)
    }

    /// Waits for the next job.
    #[track_caller]
    pub(crate) fn job(&mut self) -> Work {
        self.job_where("any", |_| true)
    }

    /// Waits for a job of the pool with this tag.
    #[track_caller]
    pub(crate) fn job_of(&mut self, tag: &str) -> Work {
        self.job_where(tag, |work| {
            tag_of(&work.notify.coinb2).as_deref() == Some(tag)
        })
    }

    #[track_caller]
    pub(crate) fn job_where(&mut self, what: &str, wanted: impl Fn(&Work) -> bool) -> Work {
        let deadline = Instant::now() + SOON;
        loop {
            let message = if self.pushed.is_empty() {
                self.read(deadline)
            } else {
                Some(self.pushed.remove(0))
            };
            let message = message.unwrap_or_else(|| panic!("no job: {what}"));
            let params = message["params"].as_array().cloned().unwrap_or_default();
            match message["method"].as_str() {
                Some("mining.set_difficulty") => self.difficulty = params[0].as_f64().unwrap(),
                Some("mining.set_version_mask") => {
                    let mask = params[0].as_str().unwrap();
                    self.mask = self.mask.and(u32::from_str_radix(mask, 16).ok());
                }
                Some("mining.notify") => {
                    let notify = read_notify(&params).unwrap();
                    let work = Work::new(notify, self.e1.clone(), self.e2_size, self.mask);
                    if wanted(&work) {
                        return work;
                    }
                }
                _ => (),
            }
        }
    }

    /// Finds the next share for this work at the current difficulty.
    pub(crate) fn find(&self, work: &mut Work) -> Share {
        self.find_where(work, |found| found >= self.difficulty)
    }

    pub(crate) fn find_where(&self, work: &mut Work, wanted: impl Fn(f64) -> bool) -> Share {
        let ntime = work.notify.ntime;
        work.search(wanted, ntime, 10_000_000).expect("a share")
    }

    /// Submits a share and waits for its answer.
    #[track_caller]
    pub(crate) fn submit(&mut self, share: &Share) -> Value {
        let params = Value::from(share.params(&self.user));
        self.ask("mining.submit", &params)
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.send(&json!({"id": id, "method": method, "params": params}).to_string());
        self.answer_to(&id)
    }

    /// Waits for the answer to a request and keeps everything else that arrives.
    #[track_caller]
    pub(crate) fn answer_to(&mut self, id: &Value) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(index) = self.answers.iter().position(|answer| answer["id"] == *id) {
                return self.answers.remove(index);
            }
            let message = self.read(deadline);
            let message = message.unwrap_or_else(|| panic!("no answer to {id}"));
            if message.get("method").is_some() {
                self.pushed.push(message);
            } else {
                self.answers.push(message);
            }
        }
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    /// Sends any bytes and ignores errors.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn close_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Whether the server closes the connection within `patience`. Anything it sends before is dropped.
    pub(crate) fn is_closed_within(&mut self, patience: Duration) -> bool {
        let deadline = Deadline::after(patience);
        let mut bytes = [0; 4096];
        loop {
            match deadline.read(&self.stream, &mut bytes) {
                Ok(0) => return true,
                Ok(_) => (),
                Err(error) => return error.kind() != ErrorKind::TimedOut,
            }
        }
    }

    /// The next line as JSON; `None` at the deadline or the end of the stream.
    pub(crate) fn read(&mut self, deadline: Instant) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let mut bytes = [0; 4096];
            match Deadline(deadline).read(&self.stream, &mut bytes) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.buffer.extend(&bytes[..count]),
            }
        }
    }
}
