//! A world of models: miners that hash for real and pools that judge what comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::core::snapshot::Memory;
use crate::sim::miner::ledger::Ending;
use crate::sim::miner::model::{MinerModel, MinerOutput};
use crate::sim::miner::options::MinerOptions;
use crate::sim::pool::ledger::JobRecord;
use crate::sim::pool::model::PoolModel;
use crate::sim::pool::options::PoolOptions;
use crate::sim::pool::output::PoolOutput;
use crate::sim::world::{Coming, MinerPeer, Network, PoolPeer, UNIX_START, World};
use crate::units::{PoolConn, PoolSlot, VersionMask};

impl World<PoolModel, MinerModel> {
    /// A core that knows nothing yet between two pools.
    pub fn new(config: Config, pools: [PoolOptions; 2], seed: u64) -> Self {
        Self::remembering(Arc::new(config), pools, Memory::default(), seed)
    }

    /// The same after a restart.
    pub fn remembering(
        config: Arc<Config>,
        pools: [PoolOptions; 2],
        memory: Memory,
        seed: u64,
    ) -> Self {
        let mut pools = pools.into_iter();
        let pool = |slot: PoolSlot, now| {
            let options = PoolOptions {
                tag: slot.name().into(),
                ..pools.next().unwrap_or_default()
            };
            PoolModel::new(options, now, UNIX_START)
        };
        Self::with(config, memory, pool, Network::HOME, seed)
    }

    /// Adds a miner that connects now and works after each pause; its place among the rigs.
    pub fn add_miner(&mut self, options: MinerOptions, pause: Duration) -> usize {
        let index = self.add(MinerModel::new(options, self.now));
        self.rigs[index].pause = pause;
        self.rigs[index].wants_in = true;
        self.plan(Duration::from_millis(1), Coming::Connect(index));
        self.plan(pause, Coming::MinerTurn(index));
        index
    }
}

impl PoolPeer for PoolModel {
    fn open(&mut self, _: PoolConn, now: Instant) -> u64 {
        Self::open(self, now)
    }

    fn line(
        &mut self,
        number: u64,
        line: &[u8],
        batch: u64,
        now: Instant,
        out: &mut Vec<PoolOutput>,
    ) {
        Self::line(self, number, line, batch, now, out);
    }

    fn closed(&mut self, number: u64, now: Instant) {
        Self::closed(self, number, now);
    }

    fn next_tick(&self) -> Option<Instant> {
        Self::next_tick(self)
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<PoolOutput>) {
        Self::tick(self, now, out);
    }

    fn job_written(&mut self, job: JobRecord) {
        self.ledger().job_written(job);
    }

    fn violation(&self) -> Option<String> {
        let violations = self.ledger().violations();
        violations.first().map(|violation| format!("{violation:?}"))
    }

    /// Where the job's version has bits that may be rolled, miners mean different headers (compat Q57).
    fn rebuilt(&self) -> Option<[u8; 32]> {
        let plain = self.options().version & VersionMask::BIP320.0 == 0;
        self.ledger().last_hash().filter(|_| plain)
    }
}

impl MinerPeer for MinerModel {
    fn connected(&mut self, now: Instant, out: &mut Vec<MinerOutput>) {
        Self::connected(self, now, out);
    }

    fn line(&mut self, line: &[u8], now: Instant, out: &mut Vec<MinerOutput>) {
        Self::line(self, line, now, out);
    }

    fn closed(&mut self, now: Instant, ending: Ending) {
        Self::closed(self, now, ending);
    }

    fn turn(&mut self, now: Instant, out: &mut Vec<MinerOutput>) {
        Self::turn(self, now, out);
    }

    fn violation(&self) -> Option<String> {
        let violations = self.ledger().violations();
        violations.first().map(|violation| format!("{violation:?}"))
    }

    fn mined(&self, most: usize) -> Vec<[u8; 32]> {
        self.ledger().last_hashes(most)
    }
}
