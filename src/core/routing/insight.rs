//! Chooses the connection whose jobs show what a pool works on, and has its jobs read once, for the insight and the
//! balance.

use std::time::Duration;

use crate::coin::Chain;
use crate::core::action::Action;
use crate::core::insight::chain::{Found, Glimpse, Scene};
use crate::core::{Core, Due};
use crate::stratum::coinbase::Coinbase;
use crate::units::{Now, PerPool, PoolConn, PoolSlot, later};

/// How long after its arrival a job is read, because it must reach all miners first.
const AFTER_JOB: Duration = Duration::from_secs(1);

impl Core {
    /// A connection that miners work on has a new job.
    pub(in crate::core) fn note_insight(&mut self, conn: PoolConn, now: Now) {
        let slot = conn.slot;
        let pool = &mut self.pools[slot];
        let stands = |other: &PoolConn| {
            let other = pool.connections.get(other);
            other.is_some_and(|it| it.is_ready() && !it.is_retired())
        };
        let heard = pool.insight.conn.filter(|it| *it == conn || stands(it));
        if *pool.insight.conn.insert(heard.unwrap_or(conn)) != conn {
            return;
        }
        let Some(connection) = pool.connections.get(&conn) else {
            return;
        };
        if let Some(job) = connection.jobs.latest() {
            pool.insight.job_came(&job.notify, connection.opened(), now);
            let due = Some(later(now.at, AFTER_JOB));
            self.agenda.no_later(Due::Insight(slot), due);
        }
    }

    /// Reads the latest job on the connection that is read.
    pub(in crate::core) fn look_into_job(
        &mut self,
        slot: PoolSlot,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[slot];
        let connection = pool.insight.conn.and_then(|it| pool.connections.get(&it));
        let job = connection.and_then(|it| it.jobs.latest());
        let Some((job, config)) = job.zip(self.config.pools[slot].as_ref()) else {
            return;
        };
        let coinbase = Coinbase::of_job(job);
        pool.insight.hear(
            &job.notify,
            coinbase.as_ref(),
            &config.wallet,
            &config.chain,
        );
        if let Some((payment, block)) = pool.insight.payment(&job.notify) {
            if self.watches[slot].hear(payment, block, now.unix_ms) {
                out.push(Action::SaveState);
            }
        }
        if let Some(conn) = pool.insight.conn {
            let glimpse = Glimpse::of(job, coinbase.as_ref());
            pool.insight.sights.hear(conn, &glimpse, now);
        }
        let (reward, nbits) = (coinbase.map(|it| it.reward()), job.notify.nbits);
        self.chain_findings(now);
        self.price_job(slot, reward, nbits, now);
    }

    /// Problems with the chain, as shown by the pools' jobs.
    pub(in crate::core) fn chain_findings(&mut self, now: Now) -> Vec<Found> {
        let chain = |slot| Chain::of_name(&self.config.pools[slot].as_ref()?.chain);
        let scene = Scene {
            sights: PerPool::from_fn(|slot| &self.pools[slot].insight.sights),
            chains: PerPool::from_fn(chain),
            heard: self.pools.map(|_, pool| pool.has_work()),
            clock_is_right: !self.steering.timetable.clock_is_wrong,
        };
        self.chain_watch.look(&scene, now)
    }
}
