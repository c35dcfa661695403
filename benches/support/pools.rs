//! Both pools, driven by one thread.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use dpmp::sim::peer::PoolPeer;
use dpmp::sim::pool::ledger::{JobRecord, PoolLedger};
use dpmp::sim::pool::model::PoolModel;
use dpmp::sim::pool::options::PoolOptions;
use dpmp::sim::pool::output::PoolOutput;
use dpmp::units::{PerPool, PoolSlot};
use mio::Waker;

use crate::hub::{Heard, Hub};

/// An order to the pools.
enum Order {
    /// Send each connection a new job, one after the other, with this pause in between.
    Job {
        pause: Duration,
    },
    /// Send all connections of a pool a new block at the same time.
    Block(PoolSlot),
    Stop,
}

/// The running pools.
pub(crate) struct Pools {
    pub(crate) addresses: PerPool<SocketAddr>,
    pub(crate) ledgers: PerPool<PoolLedger>,
    orders: Sender<Order>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Pools {
    /// Starts both pools with this difficulty.
    pub(crate) fn start(difficulty: f64) -> io::Result<Self> {
        let (mut hub, waker) = Hub::new()?;
        let mut listeners = HashMap::new();
        let mut addresses = Vec::new();
        for slot in PoolSlot::ALL {
            let (number, address) = hub.listen()?;
            listeners.insert(number, slot);
            addresses.push(address);
        }
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let models = PerPool::from_fn(|slot| {
            let options = PoolOptions {
                tag: slot.name().into(),
                seed: if slot == PoolSlot::A { 1 } else { 2 },
                job_interval: None,
                block_interval: None,
                difficulty,
                ..PoolOptions::default()
            };
            PoolModel::new(options, Instant::now(), u32::try_from(unix).unwrap())
        });
        let ledgers = models.map(|_, model| model.ledger().clone());
        let (orders, received) = channel();
        let mut driver = Driver {
            hub,
            listeners,
            models,
            peers: HashMap::new(),
            connections: HashMap::new(),
            planned: BTreeMap::new(),
            batch: 0,
        };
        let thread = std::thread::spawn(move || driver.run(&received));
        Ok(Self {
            addresses: PerPool::new(addresses[0], addresses[1]),
            ledgers,
            orders,
            waker,
            thread: Some(thread),
        })
    }

    /// Sends each connection a new job, one after the other.
    pub(crate) fn new_job(&self, pause: Duration) {
        self.order(Order::Job { pause });
    }

    /// Sends all connections of a pool a new block at the same time.
    pub(crate) fn new_block(&self, slot: PoolSlot) {
        self.order(Order::Block(slot));
    }

    fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
        self.waker.wake().unwrap();
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        self.order(Order::Stop);
        self.thread.take().unwrap().join().unwrap();
    }
}

struct Driver {
    hub: Hub,
    listeners: HashMap<usize, PoolSlot>,
    models: PerPool<PoolModel>,
    /// The pool a socket belongs to, and the model's number for the connection.
    peers: HashMap<usize, (PoolSlot, u64)>,
    connections: HashMap<(PoolSlot, u64), usize>,
    /// Jobs that are not due yet.
    planned: BTreeMap<(Instant, usize), (usize, String, JobRecord)>,
    batch: u64,
}

impl Driver {
    fn run(&mut self, orders: &Receiver<Order>) {
        let mut heard = Vec::new();
        loop {
            let patience = match self.planned.keys().next() {
                Some((due, _)) => due.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(1),
            };
            self.hub.wait(patience, &mut heard).unwrap();
            for heard in heard.drain(..) {
                self.hear(heard);
            }
            while let Ok(order) = orders.try_recv() {
                match order {
                    Order::Job { pause } => {
                        self.everybody(&PoolSlot::ALL, pause, PoolModel::new_job);
                    }
                    Order::Block(slot) => {
                        self.everybody(&[slot], Duration::ZERO, PoolModel::new_block);
                    }
                    Order::Stop => return,
                }
            }
            while let Some(planned) = self.planned.first_entry() {
                if planned.key().0 > Instant::now() {
                    break;
                }
                let (peer, line, job) = planned.remove();
                self.write_job(peer, &line, job);
            }
        }
    }

    fn everybody(
        &mut self,
        slots: &[PoolSlot],
        pause: Duration,
        act: fn(&mut PoolModel, Instant, &mut Vec<PoolOutput>),
    ) {
        let now = Instant::now();
        let mut due = now;
        for slot in slots.iter().copied() {
            let mut out = Vec::new();
            act(&mut self.models[slot], now, &mut out);
            for output in out {
                let PoolOutput::Write {
                    connection,
                    line,
                    job: Some(job),
                    ..
                } = output
                else {
                    continue;
                };
                let peer = self.connections[&(slot, connection)];
                due += pause;
                let number = self.planned.len();
                self.planned.insert((due, number), (peer, line, job));
            }
        }
    }

    fn write_job(&mut self, peer: usize, line: &str, job: JobRecord) {
        let Some((slot, _)) = self.peers.get(&peer).copied() else {
            return;
        };
        let written = Instant::now();
        self.hub.write(peer, line.as_bytes());
        self.models[slot]
            .ledger()
            .job_written(JobRecord { written, ..job });
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Accepted { listener, peer } => {
                let slot = self.listeners[&listener];
                let connection = self.models[slot].open(Instant::now());
                self.peers.insert(peer, (slot, connection));
                self.connections.insert((slot, connection), peer);
            }
            Heard::Line { peer, line, at } => {
                let (slot, connection) = self.peers[&peer];
                let mut out = Vec::new();
                self.batch += 1;
                self.models[slot].line(connection, &line, self.batch, at, &mut out);
                for output in out {
                    if let PoolOutput::Write { line, job, .. } = output {
                        match job {
                            Some(job) => self.write_job(peer, &line, job),
                            None => self.hub.write(peer, line.as_bytes()),
                        }
                    }
                }
            }
            Heard::Closed { peer } => {
                if let Some((slot, connection)) = self.peers.remove(&peer) {
                    self.connections.remove(&(slot, connection));
                    self.models[slot].closed(connection, Instant::now());
                }
            }
        }
    }
}
