//! Many miners, driven by one thread.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dpmp::sim::miner::ledger::MinerLedger;
use dpmp::sim::miner::model::MinerModel;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::miner::output::MinerOutput;
use dpmp::sim::peer::MinerPeer;

use crate::hub::{Heard, Hub};

/// The longest time until a new share rate takes effect.
const NAP: Duration = Duration::from_millis(20);

/// The running miners.
pub(crate) struct Miners {
    pub(crate) ledgers: Vec<MinerLedger>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Shares per second of all miners together.
    rate: AtomicU32,
    stop: AtomicBool,
    lost: AtomicUsize,
}

impl Miners {
    /// Connects this many miners that send shares only as [`set_rate`](Self::set_rate) says.
    pub(crate) fn start(count: usize, address: SocketAddr) -> io::Result<Self> {
        Self::working(count, address, Pace::Idle, None)
    }

    /// Connects so many miners that work at this pace and suggest this difficulty.
    pub(crate) fn working(
        count: usize,
        address: SocketAddr,
        pace: Pace,
        suggest: Option<f64>,
    ) -> io::Result<Self> {
        let (mut hub, _waker) = Hub::new()?;
        let mut rigs = Vec::new();
        for number in 0..count {
            let options = MinerOptions {
                address,
                user: format!("wallet.m{number}"),
                pace,
                suggest,
                reconnect: None,
                ..MinerOptions::default()
            };
            rigs.push(Rig {
                model: MinerModel::new(options, Instant::now()),
                peer: hub.connect(address)?,
            });
        }
        let ledgers = rigs.iter().map(|rig| rig.model.ledger().clone()).collect();
        let shared = Arc::new(Shared::default());
        let by_peer = rigs.iter().enumerate().map(|(at, rig)| (rig.peer, at));
        let mut driver = Driver {
            by_peer: by_peer.collect(),
            hub,
            turns: BTreeSet::new(),
            rigs,
            shared: Arc::clone(&shared),
        };
        if pace != Pace::Idle {
            let rigs = driver.rigs.iter().enumerate();
            driver.turns = rigs.map(|(at, rig)| (rig.model.next_turn(), at)).collect();
        }
        let thread = std::thread::spawn(move || driver.run());
        Ok(Self {
            ledgers,
            shared,
            thread: Some(thread),
        })
    }

    /// Sets the number of shares per second for all miners together.
    pub(crate) fn set_rate(&self, shares_per_second: u32) {
        self.shared.rate.store(shares_per_second, Ordering::SeqCst);
    }

    /// The number of miners that have lost their connection.
    pub(crate) fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Miners {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

struct Driver {
    hub: Hub,
    rigs: Vec<Rig>,
    by_peer: HashMap<usize, usize>,
    /// When each of those that work by themselves has its next turn.
    turns: BTreeSet<(Instant, usize)>,
    shared: Arc<Shared>,
}

struct Rig {
    model: MinerModel,
    peer: usize,
}

impl Driver {
    fn run(&mut self) {
        let mut out = Vec::new();
        for at in 0..self.rigs.len() {
            self.rigs[at].model.connected(Instant::now(), &mut out);
            self.perform(at, &mut out);
        }
        let (mut heard, mut turn, mut next) = (Vec::new(), 0, Instant::now());
        while !self.shared.stop.load(Ordering::SeqCst) {
            let rate = self.shared.rate.load(Ordering::SeqCst);
            let now = Instant::now();
            let patience = match rate {
                0 => match self.turns.first() {
                    Some((due, _)) => due.saturating_duration_since(now).min(NAP),
                    None => NAP,
                },
                _ => next.saturating_duration_since(now).min(NAP),
            };
            self.hub.wait(patience, &mut heard).unwrap();
            for heard in heard.drain(..) {
                match heard {
                    Heard::Line { peer, line, at } => {
                        let rig = self.by_peer[&peer];
                        self.rigs[rig].model.line(&line, at, &mut out);
                        self.perform(rig, &mut out);
                    }
                    Heard::Closed { .. } => {
                        self.shared.lost.fetch_add(1, Ordering::SeqCst);
                    }
                    Heard::Accepted { .. } => unreachable!("nobody listens here"),
                }
            }
            let now = Instant::now();
            while let Some((_, at)) = self.turns.first().copied().filter(|(due, _)| *due <= now) {
                self.turns.pop_first();
                self.rigs[at].model.turn(now, &mut out);
                self.turns.insert((self.rigs[at].model.next_turn(), at));
                self.perform(at, &mut out);
            }
            if rate == 0 {
                next = now;
            } else if next <= now {
                // Lost time is not made up for with a burst.
                next = next.max(now - NAP) + Duration::from_secs(1) / rate;
                turn = (turn + 1) % self.rigs.len();
                self.rigs[turn].model.find_one(now, &mut out);
                self.perform(turn, &mut out);
            }
        }
    }

    fn perform(&mut self, rig: usize, out: &mut Vec<MinerOutput>) {
        for output in out.drain(..) {
            if let MinerOutput::Write(lines) = output {
                self.hub.write(self.rigs[rig].peer, lines.as_bytes());
            }
        }
    }
}
