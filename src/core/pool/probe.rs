//! The probes: the proxy's own short look at each pool, so that miners can be answered at once.

use std::sync::Arc;

use crate::config::Config;
use crate::core::action::Action;
use crate::core::fact::Fact;
use crate::core::miner::Miner;
use crate::core::miner::session::OWN_USER_AGENT;
use crate::core::pool::connection::open::received::Heard;
use crate::core::pool::connection::{Identity, Loss};
use crate::core::pool::dialer::Ended;
use crate::core::pool::facts::PoolFacts;
use crate::core::pool::health::{Health, Outage};
use crate::core::{Core, Due, MOST_FACTS, pools_known};
use crate::stratum::message::FromPool;
use crate::units::{LinkId, Now, PoolConn, PoolSlot};

impl Core {
    pub(in crate::core) fn start_probe(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        if self.config.pool_in_use(slot).is_some() && self.stopping.is_none() {
            let conn = self.pools[slot].probe.want();
            self.pools[slot].dialer.queue(conn);
            self.pools[slot].sought.get_or_insert(now.at);
            self.note_probe_deadline(slot, now);
            self.pump_dials(now, out);
        }
    }

    /// With no miner left nobody would find out that a pool is back: the probes do.
    pub(in crate::core) fn look_at_lost_pools(&mut self, now: Now, out: &mut Vec<Action>) {
        if !self.miners.is_empty() {
            return;
        }
        for slot in PoolSlot::ALL {
            let pool = &self.pools[slot];
            let rests = pool.probe.is_idle() || pool.probe.stands_by();
            if pool.health == Health::Down && rests {
                self.start_probe(slot, now, out);
            }
        }
    }

    /// Somebody is waiting for any of the pools: the probes look soon.
    pub(in crate::core) fn seek_pools(&mut self, now: Now, out: &mut Vec<Action>) {
        for slot in PoolSlot::ALL {
            if self.pools[slot].probe.is_idle() {
                self.start_probe(slot, now, out);
            } else {
                self.pools[slot].dialer.seek();
            }
        }
    }

    pub(in crate::core) fn on_probe_opened(
        &mut self,
        conn: PoolConn,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let (mut talk, probe) = self.pools[conn.slot].talk(&self.templates, now, out);
        if !probe.opened(conn, own_identity(), &mut talk) {
            out.push(Action::Abort {
                link: LinkId::Pool(conn),
            });
        }
        self.note_probe_deadline(conn.slot, now);
    }

    pub(in crate::core) fn on_probe_message(
        &mut self,
        conn: PoolConn,
        message: FromPool,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let (mut talk, probe) = self.pools[conn.slot].talk(&self.templates, now, out);
        let heard = probe.heard(conn, message, &mut talk);
        if let Heard::Lost(loss) = heard {
            self.on_probe_lost(conn, &loss, now, out);
        } else if self.pools[conn.slot].probe.is_ready() {
            self.on_probe_done(conn, now, out);
        }
        self.note_probe_deadline(conn.slot, now);
    }

    pub(in crate::core) fn on_probe_done(
        &mut self,
        conn: PoolConn,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[conn.slot];
        pool.probe.close(out);
        pool.reached(now);
        pool.dialer.answered(conn, now.at);
        let config = Arc::clone(&self.config);
        if self.remember(&config, conn.slot) {
            let PoolFacts { e2_size, mask, .. } = self.pools[conn.slot].facts;
            let (slot, e2_size) = (conn.slot, e2_size.unwrap_or_default());
            out.push(Action::Report(Fact::PoolLearnt {
                slot,
                e2_size,
                mask,
            }));
        }
        self.release_waiting(now, out);
    }

    pub(in crate::core) fn on_probe_lost(
        &mut self,
        conn: PoolConn,
        loss: &Loss,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[conn.slot];
        let closed = matches!(loss, Loss::Closed(_));
        // The end of a connection that was given up already is no news.
        let over = closed && pool.probe.open().is_none();
        if pool.probe.conn() != conn || pool.probe.is_idle() || over {
            return;
        }
        let asked_wrongly = closed && pool.probe.hung_up_on_configure(&mut pool.facts, now.at);
        let how = if asked_wrongly {
            Ended::Again
        } else {
            loss.ended()
        };
        pool.dialer.ended(conn, how, now.at);
        if !asked_wrongly {
            if pool.probe.open().is_some() && !closed {
                out.push(Action::Abort {
                    link: LinkId::Pool(conn),
                });
            }
            pool.probe.fail(loss, now.at, &mut self.random);
            pool.probe_failures += 1;
            out.push(Action::Report(Fact::PoolLost {
                conn,
                reason: loss.clone(),
                unanswered: 0,
            }));
            if pool.attempt_failed(loss, now) {
                out.push(Action::Report(Fact::PoolDown {
                    slot: conn.slot,
                    reason: Outage::Lost(loss.clone()),
                }));
            }
        }
        if self.miners.values().any(|miner| miner.waits_for_pools()) {
            self.pools[conn.slot].dialer.call();
        }
        self.note_probe_deadline(conn.slot, now);
        self.release_waiting(now, out);
    }

    pub(in crate::core) fn on_probe_deadline(
        &mut self,
        slot: PoolSlot,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(limits) = self.config.pool_in_use(slot) else {
            return;
        };
        let (mut talk, probe) = self.pools[slot].talk(&self.templates, now, out);
        if let Some(loss) = probe.overdue(limits, &mut talk) {
            let conn = probe.conn();
            self.on_probe_lost(conn, &loss, now, out);
        } else if probe.is_ready() {
            let conn = probe.conn();
            self.on_probe_done(conn, now, out);
        } else if probe.pause_over(now.at) {
            if self.pools[slot].dialer.is_wanted() {
                // A miner's attempt finds the same out.
                self.pools[slot].probe.stand_by();
            } else {
                self.start_probe(slot, now, out);
            }
        }
        self.release_waiting(now, out);
        self.note_probe_deadline(slot, now);
    }

    pub(in crate::core) fn note_probe_deadline(&mut self, slot: PoolSlot, now: Now) {
        let limits = self.config.pool_in_use(slot);
        let pool = &self.pools[slot];
        let deadline = limits.and_then(|limits| {
            let search = pool.given_up().filter(|until| *until > now.at);
            let probe = pool.probe.next_deadline(limits, now.at);
            [search, probe].into_iter().flatten().min()
        });
        self.agenda.set(Due::Probe(slot), deadline);
    }

    /// Keeps what was learnt of a pool, under the address that it has in `config`; whether it is news.
    pub(in crate::core) fn remember(&mut self, config: &Config, slot: PoolSlot) -> bool {
        let facts = self.pools[slot].facts;
        let Some(pool) = config.pools[slot]
            .as_ref()
            .filter(|_| facts.e2_size.is_some())
        else {
            return false;
        };
        let address = pool.address();
        self.keep_facts(address, facts)
    }

    /// Keeps what was learnt of an address; whether it is news.
    pub(in crate::core) fn keep_facts(&mut self, address: String, facts: PoolFacts) -> bool {
        if self.known.len() >= MOST_FACTS && !self.known.contains_key(&address) {
            self.known.pop_first();
        }
        self.known.insert(address, facts) != Some(facts)
    }

    /// Answers the miners that waited for the pools to be known.
    pub(in crate::core) fn release_waiting(&mut self, now: Now, out: &mut Vec<Action>) {
        self.survey_pools(now);
        if !pools_known(&self.pools, &self.config, now) {
            return;
        }
        let waiting = self
            .miners
            .iter()
            .filter(|(_, miner)| miner.waits_for_pools());
        let waiting: Vec<_> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.with_miner(id, now, out, Miner::on_pools_known);
        }
    }
}

/// As whom the proxy speaks for itself.
pub(in crate::core) fn own_identity() -> Identity {
    Identity {
        address: Arc::from(""),
        user_agent: OWN_USER_AGENT.to_owned(),
        user: Arc::from(""),
        password: String::new(),
        version_rolling: true,
        suggested: None,
    }
}
