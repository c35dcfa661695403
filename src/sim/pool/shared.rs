//! What all connections of a pool have in common: its options, its records, and its current job.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::random::Random;
use crate::sim::chain::judge::{Judge, Terms};
use crate::sim::chain::{JobFactory, Network, Space, Template};
use crate::sim::pool::ledger::{JobRecord, PoolLedger};
use crate::sim::pool::options::{ExtranonceReuse, PoolOptions};
use crate::sim::pool::wire;

/// Shared by all connections of a pool.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: PoolOptions,
    pub(super) ledger: PoolLedger,
    pub(super) judge: Judge,
    pub(super) rng: Random,
    factory: JobFactory,
    template: Template,
    /// The beginning, and its time in seconds since 1970.
    start: (Instant, u32),
    /// Extranonce1 numbers in use.
    slots: BTreeSet<u32>,
    last_slot: u32,
    /// The first bytes of every extranonce1.
    prefix: [u8; 16],
}

impl Shared {
    /// For a pool that starts now; `unix` are the seconds since 1970.
    pub(super) fn new(options: PoolOptions, now: Instant, unix: u32) -> Self {
        let mut rng = Random::new(options.seed);
        let mut factory = JobFactory::new(rng.next_u64(), &options.tag, options.blocks);
        let template = factory
            .next_job(network(&options, unix), options.job_ids)
            .paying(&options.pays);
        Self {
            ledger: PoolLedger::default(),
            judge: Judge::default(),
            prefix: rng.bytes(),
            rng,
            factory,
            template,
            start: (now, unix),
            slots: BTreeSet::new(),
            last_slot: 0,
            options,
        }
    }

    /// Chooses an extranonce1 for a connection: its number, and its bytes.
    pub(super) fn take_slot(&mut self) -> (u32, Vec<u8>) {
        let slot = match self.options.e1_reuse {
            ExtranonceReuse::Always => 1,
            ExtranonceReuse::Never => self.last_slot.wrapping_add(1),
            ExtranonceReuse::Slots => (1..=u32::MAX)
                .find(|slot| !self.slots.contains(slot))
                .unwrap_or(0),
        };
        self.last_slot = slot;
        self.slots.insert(slot);
        let number = slot.to_be_bytes();
        let size = self.options.e1_size.min(self.prefix.len());
        let fixed = size.saturating_sub(number.len());
        let e1 = [
            &self.prefix[..fixed],
            &number[number.len() - (size - fixed)..],
        ];
        (slot, e1.concat())
    }

    pub(super) fn free_slot(&mut self, slot: u32) {
        self.slots.remove(&slot);
    }

    /// Adapts the current job to a connection with this first user.
    pub(super) fn give_job(
        &mut self,
        (connection, user): (u64, Option<&str>),
        terms: Terms,
        clean: bool,
        now: Instant,
    ) -> (String, JobRecord) {
        let salted = terms.e1.is_empty();
        let space = Space {
            e1_size: terms.e1.len(),
            e2_size: terms.e2_size,
            salt: salted.then(|| u32::try_from(connection).unwrap_or(0)),
        };
        let outputs = self.options.pays_user.zip(user);
        let outputs = outputs.map_or(Vec::new(), |(pays, user)| pays(user));
        let mut notify = self.template.clone().paying(&outputs).notify(space, clean);
        if self.options.odd_coinbase {
            notify.coinb2.push(0);
        }
        let line = wire::notify(&self.options, &notify);
        let record = JobRecord {
            connection,
            job_id: notify.job_id.clone(),
            difficulty: terms.difficulty,
            clean,
            written: now,
        };
        self.judge.add_job(connection, notify, terms, now);
        (line, record)
    }

    /// The network has a new block, so older jobs are stale.
    pub(super) fn new_block(&mut self, now: Instant) {
        self.factory.new_block(self.options.blocks);
        self.judge.new_block();
        self.next_template(now);
    }

    /// The node has gone to this height: back to old blocks, or forward to blocks that it had missed.
    pub(super) fn go_to(&mut self, height: u32, now: Instant) {
        self.factory.go_to(height, self.options.blocks);
        self.judge.new_block();
        self.next_template(now);
    }

    pub(super) fn next_template(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.start.0).as_secs();
        let unix = self.start.1 + u32::try_from(passed).unwrap_or(0);
        let network = network(&self.options, unix);
        self.template = self
            .factory
            .next_job(network, self.options.job_ids)
            .paying(&self.options.pays);
    }
}

fn network(options: &PoolOptions, unix: u32) -> Network {
    Network {
        version: options.version,
        nbits: options.nbits,
        ntime: unix.saturating_add_signed(options.clock_off),
        witness: options.witness,
    }
}
