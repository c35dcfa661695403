//! A simulated pool and a simulated miner without sockets, threads or waiting: hours of mining within moments.

use std::time::{Duration, Instant};

use crate::sim::miner::model::MinerModel;
use crate::sim::miner::options::{Counter, Handshake, MinerOptions, Pace};
use crate::sim::miner::output::MinerOutput;
use crate::sim::peer::{MinerPeer, PoolPeer};
use crate::sim::pool::model::PoolModel;
use crate::sim::pool::options::PoolOptions;
use crate::sim::pool::output::PoolOutput;

/// A pool and a miner with an instantaneous connection.
struct Duet {
    pool: PoolModel,
    miner: MinerModel,
    connection: u64,
    batch: u64,
    now: Instant,
}

impl Duet {
    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do as the start of virtual time"
    )]
    fn new(pool: PoolOptions, miner: MinerOptions) -> Self {
        let now = Instant::now();
        let mut pool = PoolModel::new(pool, now, 1_790_000_000);
        let connection = pool.open(now);
        let mut duet = Self {
            pool,
            miner: MinerModel::new(miner, now),
            connection,
            batch: 0,
            now,
        };
        let mut out = Vec::new();
        duet.miner.connected(now, &mut out);
        duet.tell_pool(out);
        duet
    }

    /// Goes from one due event to the next.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = self.pool.next_tick().into_iter();
            let next = due.chain([self.miner.next_turn()]).min();
            self.now = next.unwrap_or(end).max(self.now);
            if self.now >= end {
                self.now = end;
                return;
            }
            let mut out = Vec::new();
            self.pool.tick(self.now, &mut out);
            self.tell_miner(out);
            let mut out = Vec::new();
            self.miner.turn(self.now, &mut out);
            self.tell_pool(out);
        }
    }

    fn tell_pool(&mut self, outputs: Vec<MinerOutput>) {
        for output in outputs {
            let MinerOutput::Write(lines) = output else {
                panic!("{output:?}");
            };
            self.batch += 1;
            let mut out = Vec::new();
            for line in lines.lines() {
                let (line, batch) = (line.as_bytes(), self.batch);
                self.pool
                    .line(self.connection, line, batch, self.now, &mut out);
            }
            self.tell_miner(out);
        }
    }

    fn tell_miner(&mut self, outputs: Vec<PoolOutput>) {
        for output in outputs {
            let PoolOutput::Write { line, job, .. } = output else {
                panic!("{output:?}");
            };
            if let Some(job) = job {
                self.pool.ledger().job_written(job);
            }
            let mut out = Vec::new();
            let line = line.trim_end().as_bytes();
            self.miner.line(line, self.now, &mut out);
            self.tell_pool(out);
        }
    }
}

#[test]
fn six_hours_of_mining_have_no_fault() {
    for (counter, handshake) in [
        (Counter::Restarts, Handshake::Cgminer),
        (Counter::Continues, Handshake::SubscribeFirst),
    ] {
        let pool = PoolOptions {
            wander: Some((1e-10, 1e-8)),
            block_interval: Some(Duration::from_secs(600)),
            ..PoolOptions::default()
        };
        let miner = MinerOptions {
            counter,
            handshake,
            pace: Pace::Shares(0.5),
            rolls_ntime: true,
            late: Duration::from_secs(2),
            ..MinerOptions::default()
        };
        let mut duet = Duet::new(pool, miner);
        duet.run(Duration::from_secs(6 * 3600));
        let (pool, miner) = (duet.pool.ledger(), duet.miner.ledger());
        assert_eq!(pool.violations(), []);
        assert_eq!(miner.violations(), []);
        assert_eq!(pool.refused(), 0, "{}", pool.summary());
        assert_eq!(pool.accepted(), miner.accepted());
        assert!(pool.accepted() > 10_000, "{}", pool.summary());
        assert_eq!(pool.jobs_written(), miner.jobs_received());
        assert!((700..=740).contains(&pool.jobs_written()));
    }
}

#[test]
fn shares_come_as_often_as_the_difficulty_implies() {
    // Difficulty 1e-6 is one share in about 4295 hashes.
    let pool = PoolOptions {
        difficulty: 1e-6,
        ..PoolOptions::default()
    };
    let miner = MinerOptions {
        pace: Pace::Hashes(4295.0),
        ..MinerOptions::default()
    };
    let mut duet = Duet::new(pool, miner);
    duet.run(Duration::from_secs(400));
    let accepted = duet.pool.ledger().accepted();
    assert!((320..=480).contains(&accepted), "{accepted} in 400 s");
    assert_eq!(duet.pool.ledger().refused(), 0);
}
