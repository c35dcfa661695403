//! DPMP's own test connections: whether the address in use can be reached, whether the first one works again while a
//! backup is in use, and which extranonces new addresses give.

use std::sync::Arc;

use crate::config::{Config, PoolConfig};
use crate::core::action::Action;
use crate::core::fact::{Fact, Failover};
use crate::core::miner::Miner;
use crate::core::outage::Health;
use crate::core::outage::Loss;
use crate::core::pool::both;
use crate::core::pool::connection::Connection;
use crate::core::pool::connection::received::PoolNews;
use crate::core::pool::facts::{E1s, PoolFacts};
use crate::core::pool::line::{Line, Look, Purpose};
use crate::core::pool::look::AddressLook;
use crate::core::pool::moment::Moment;
use crate::core::pool::target;
use crate::core::{Core, Due, MOST_FACTS, facts_of, facts_of_address};
use crate::units::{LineId, Now, PerPool, PoolSlot};

impl Core {
    /// Tests whether a pool can be reached.
    pub(in crate::core) fn look_for(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        if self.pools[slot].in_use && self.stopping.is_none() {
            let pool = &mut self.pools[slot];
            pool.queue(pool.reach);
            pool.sought.get_or_insert(now.at);
            self.agenda
                .no_later(Due::Sought(slot), self.pools[slot].given_up());
            self.pump_dials(now, out);
        }
    }

    /// Without miners, DPMP itself must find out that a pool is back.
    pub(in crate::core) fn look_for_lost_pools(&mut self, now: Now, out: &mut Vec<Action>) {
        if !self.miners.is_empty() {
            return;
        }
        for slot in PoolSlot::ALL {
            let pool = &self.pools[slot];
            let rests = |line: &Line| line.is_idle() || line.stands_by();
            let rests = pool.lines.get(&pool.reach).is_some_and(rests);
            if pool.health == Health::Down && rests {
                self.look_for(slot, now, out);
            }
        }
    }

    /// A miner is waiting for a pool, so DPMP looks soon.
    pub(in crate::core) fn seek_pools(&mut self, now: Now, out: &mut Vec<Action>) {
        for slot in PoolSlot::ALL {
            let pool = &mut self.pools[slot];
            if pool.lines.get(&pool.reach).is_some_and(Line::is_idle) {
                self.look_for(slot, now, out);
            } else {
                pool.dialer.seek();
            }
        }
    }

    /// A pool sent a message on a look's connection.
    pub(in crate::core) fn on_look_heard(
        &mut self,
        look: Look,
        slot: PoolSlot,
        line: LineId,
        heard: PoolNews,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if let PoolNews::Lost(loss) = heard {
            self.lose(slot, line, &loss, now, out);
        } else {
            self.judge_look(look, slot, now, out);
        }
    }

    /// The pause of a look's line is over.
    pub(in crate::core) fn look_again(
        &mut self,
        look: Look,
        slot: PoolSlot,
        line: LineId,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[slot];
        match look {
            // A miner's attempt finds out the same.
            Look::Reach if pool.dialer.is_wanted() => pool.dial(line),
            Look::Reach => self.look_for(slot, now, out),
            Look::Return | Look::Survey | Look::Names => pool.queue(line),
        }
    }

    /// A look's connection was lost.
    pub(in crate::core) fn lose_look(
        &mut self,
        look: Look,
        slot: PoolSlot,
        line: LineId,
        loss: &Loss,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[slot];
        let Some(conn) = pool.lines.get(&line).and_then(Line::conn) else {
            return;
        };
        if look == Look::Names {
            return self.lose_names_look(slot, line, now, out);
        }
        let mut moment = Moment::new(now, &mut self.random, out);
        if pool.connections.remove(&conn).is_some() && !matches!(loss, Loss::Closed(_)) {
            moment.abort(conn);
        }
        match look {
            Look::Reach => {
                pool.fail(line, conn, loss, &mut moment);
                pool.failed_looks += 1;
                if self.miners.any(|it| it.waits_for_pools()) {
                    self.pools[slot].dialer.call();
                }
                self.release_waiting(now, out);
            }
            Look::Return => self.end_return_look(slot, false, now, out),
            Look::Survey => self.end_survey_look(slot, now, out),
            Look::Names => (),
        }
    }

    /// Ends a look that has its result.
    pub(in crate::core) fn judge_look(
        &mut self,
        look: Look,
        slot: PoolSlot,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        match look {
            Look::Reach if self.pools[slot].is_ready(self.pools[slot].reach) => {
                self.on_reached(slot, now, out);
            }
            Look::Reach => (),
            Look::Return => {
                if let Some(answers) = self.first_address_answers(slot, now) {
                    self.end_return_look(slot, answers, now, out);
                }
            }
            Look::Survey => self.judge_survey(slot, now, out),
            Look::Names => self.judge_names(slot, now, out),
        }
    }

    /// The pool in use works.
    fn on_reached(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        let pool = &mut self.pools[slot];
        if let Some(connection) = pool.standing(pool.reach) {
            let conn = connection.conn;
            pool.dialer.answered(conn, now.at);
        }
        let mut moment = Moment::new(now, &mut self.random, out);
        pool.rest(pool.reach, &mut moment);
        pool.reached(now);
        let config = Arc::clone(&self.config);
        if self.remember(&config, slot) {
            let PoolFacts { e2_size, mask, .. } = self.pools[slot].facts;
            let e2_size = e2_size.unwrap_or_default();
            out.push(Action::Report(Fact::PoolLearnt {
                slot,
                e2_size,
                mask,
            }));
        }
        self.release_waiting(now, out);
    }

    /// Remembers what was learned about a pool, under its address in `config`. Returns whether it is new.
    pub(in crate::core) fn remember(&mut self, config: &Config, slot: PoolSlot) -> bool {
        let facts = self.pools[slot].facts;
        let known = facts.e2_size.is_some();
        let pool = config.pools[slot].as_ref().filter(|_| known);
        pool.is_some_and(|pool| self.keep_facts(pool.address(), facts))
    }

    /// Remembers what was learned about an address. Returns whether it is new.
    fn keep_facts(&mut self, address: String, facts: PoolFacts) -> bool {
        if self.known.len() >= MOST_FACTS && !self.known.contains_key(&address) {
            self.known.pop_first();
        }
        self.known.insert(address, facts) != Some(facts)
    }

    /// Answers the miners that waited for the pools to be known.
    pub(in crate::core) fn release_waiting(&mut self, now: Now, out: &mut Vec<Action>) {
        self.survey_pools(now);
        if !both::are_known(&self.pools, &self.config, now) {
            return;
        }
        let waiting = self.miners.iter();
        let waiting = waiting.filter(|(_, miner)| miner.waits_for_pools());
        let waiting: Vec<_> = waiting.map(|(id, _)| id).collect();
        for id in waiting {
            self.with_miner(id, now, out, Miner::on_pools_known);
        }
    }

    /// The configuration with each pool's settings for the address in use.
    pub(in crate::core) fn config_in_use(&self) -> Arc<Config> {
        if self.pools.iter().all(|(_, pool)| pool.addresses.at() == 0) {
            return Arc::clone(&self.wanted);
        }
        let pools = PerPool::from_fn(|slot| {
            let pool = self.wanted.pools[slot].as_ref()?;
            Some(pool.at(self.pools[slot].addresses.at()))
        });
        Arc::new(Config {
            pools,
            ..(*self.wanted).clone()
        })
    }

    /// Starts with the first address again if the owner changed it or removed the one in use.
    pub(in crate::core) fn forget_changed_addresses(
        &mut self,
        old: &Config,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        for slot in PoolSlot::ALL {
            let (before, wanted) = (old.pools[slot].as_ref(), self.wanted.pools[slot].as_ref());
            let addresses = &mut self.pools[slot].addresses;
            let kept = match (before, wanted) {
                (Some(before), Some(wanted)) if target(before) == target(wanted) => {
                    index_of(before, addresses.at(), wanted)
                }
                _ => None,
            };
            if let Some(at) = kept {
                addresses.renumber(at);
            } else {
                addresses.reset(now.at);
                self.close_look(Look::Return, slot, now, out);
            }
        }
    }

    /// Moves on to another address if the one in use fails, and back to the first one if that works again.
    pub(in crate::core) fn look_at_addresses(&mut self, now: Now, out: &mut Vec<Action>) {
        for slot in PoolSlot::ALL {
            let config = self.wanted.pools[slot]
                .as_ref()
                .filter(|_| self.pools[slot].in_use);
            let count = config.map_or(0, |pool| pool.addresses());
            if count < 2 || self.stopping.is_some() {
                // Earlier results say nothing about the time when the pool is needed again.
                self.pools[slot].addresses.rest();
                self.close_look(Look::Return, slot, now, out);
                continue;
            }
            let pool = &mut self.pools[slot];
            // If no miner has tried again since a look succeeded, the time keeps running.
            let useful = pool.is_useful().or(self.miners.is_empty().then_some(true));
            if let Some(useful) = useful {
                pool.addresses.note_down(!useful, now.at);
            }
            let trouble = || pool.why_useless();
            if let Some((at, why)) = pool.addresses.next(count, trouble, now.at) {
                self.move_to(slot, at, why, now, out);
            }
            let pool = &mut self.pools[slot];
            if pool.return_look.is_none() && pool.addresses.wants_look(now.at) {
                let first = self.wanted.pools[slot].as_ref().map(|pool| pool.at(0));
                let facts = facts_of(&self.known, &self.wanted, slot);
                if let Some(first) = first {
                    let look = self.begin_look(Look::Return, slot, &first, 1, facts);
                    self.pools[slot].return_look = Some(look);
                }
            }
            let pool = &self.pools[slot];
            let looks = pool.return_look.is_some();
            let due = pool.addresses.next_deadline(count, looks);
            self.agenda.set(Due::Addresses(slot), due);
        }
    }

    fn move_to(
        &mut self,
        slot: PoolSlot,
        at: usize,
        why: Failover,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        self.close_look(Look::Return, slot, now, out);
        self.pools[slot].addresses.move_to(at, &why, now.at);
        let config = self.config_in_use();
        let address = config.pools[slot].as_ref().map(|pool| pool.address());
        out.push(Action::Report(Fact::PoolFailover {
            slot,
            backup: at,
            address: address.unwrap_or_default(),
            why,
        }));
        self.apply(config, now, out);
    }

    /// Whether the first address has useful work; `None` while that is unknown.
    fn first_address_answers(&self, slot: PoolSlot, now: Now) -> Option<bool> {
        let pool = &self.pools[slot];
        let line = *pool.return_look.as_ref()?.lines.first()?;
        let connection = pool.standing(line)?;
        let job = connection.jobs.latest();
        if job.is_some_and(|job| self.is_old(slot, &job.notify, now)) {
            return Some(false);
        }
        let arrived = !connection.has_worker() || connection.has_work(now.at);
        (connection.is_ready() && arrived).then_some(true)
    }

    fn end_return_look(&mut self, slot: PoolSlot, answers: bool, now: Now, out: &mut Vec<Action>) {
        self.close_look(Look::Return, slot, now, out);
        self.pools[slot].addresses.looked(answers, now.at);
    }

    /// Starts a look at an address, with this many simultaneous connections.
    fn begin_look(
        &mut self,
        look: Look,
        slot: PoolSlot,
        place: &PoolConfig,
        connections: usize,
        facts: PoolFacts,
    ) -> AddressLook {
        let pool = &mut self.pools[slot];
        let lines = (0..connections).map(|_| pool.add_line(Purpose::Look(look)));
        let lines: Vec<_> = lines.collect();
        for line in &lines {
            pool.queue(*line);
        }
        AddressLook {
            address: place.address(),
            target: target(place),
            lines,
            facts,
            latest: None,
        }
    }

    /// Ends the look at an address that is under way.
    pub(in crate::core) fn close_look(
        &mut self,
        look: Look,
        slot: PoolSlot,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[slot];
        let mut moment = Moment::new(now, &mut self.random, out);
        let lines = |look: Option<AddressLook>| look.map(|look| look.lines).unwrap_or_default();
        let ended = match look {
            Look::Reach => {
                pool.rest(pool.reach, &mut moment);
                Vec::new()
            }
            Look::Return => lines(pool.return_look.take()),
            Look::Survey => lines(pool.survey.look.take()),
            Look::Names => pool
                .names_look
                .take()
                .map(|look| look.line)
                .into_iter()
                .collect(),
        };
        for line in ended {
            pool.remove_line(line, &mut moment);
        }
    }

    /// Looks at addresses that are not known well enough, once the extranonces of the pools in use are known.
    pub(in crate::core) fn survey_pools(&mut self, now: Now) {
        let is_open =
            |slot: &PoolSlot| self.pools[*slot].in_use && !self.pools[*slot].is_known(now.at);
        if PoolSlot::ALL.iter().any(is_open) || self.stopping.is_some() {
            return;
        }
        for slot in PoolSlot::ALL {
            let wanted = Arc::clone(&self.wanted);
            let pool = wanted.pools[slot].as_ref();
            let Some(pool) = pool.filter(|_| self.pools[slot].in_use) else {
                continue;
            };
            if self.pools[slot].survey.look.is_some() {
                continue;
            }
            let Some((place, pair, facts)) = self.next_address(slot, pool, &wanted) else {
                self.pools[slot].survey.rest();
                continue;
            };
            let connections = if pair { 2 } else { 1 };
            let look = self.begin_look(Look::Survey, slot, &place, connections, facts);
            let survey = &mut self.pools[slot].survey;
            survey.begin(look, now.at);
            let due = survey.patience_ends();
            self.agenda.no_later(Due::Survey(slot), due);
        }
    }

    /// The next address to look at, whether with two connections, and what is known about it.
    fn next_address(
        &self,
        slot: PoolSlot,
        pool: &PoolConfig,
        config: &Config,
    ) -> Option<(PoolConfig, bool, PoolFacts)> {
        let room = both::room(config, &self.pools, &self.known);
        let pair = self.all_room_needed || room.may_do_without_e1(config.listen.extranonce2_size);
        let in_use = self.pools[slot].addresses.at();
        (0..pool.addresses()).find_map(|at| {
            let place = pool.at(at);
            let address = place.address();
            let facts = if at == in_use {
                self.pools[slot].facts
            } else {
                facts_of_address(&self.known, &address)
            };
            let unknown = facts.e2_size.is_none();
            // For the address in use, the first facts come from reaching it.
            let wanted =
                (unknown || (pair && facts.e1s != E1s::Differ)) && !(unknown && at == in_use);
            let looked = self.pools[slot].survey.has_looked(&address, pair);
            (wanted && !looked).then_some((place, pair, facts))
        })
    }

    /// Remembers what was found out, if the look is complete.
    fn judge_survey(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        let pool = &mut self.pools[slot];
        let Some(look) = &pool.survey.look else {
            return;
        };
        let e1 = |line: &LineId| {
            let connection = pool.standing(*line).filter(|it| it.is_ready());
            connection.and_then(Connection::extranonces).map(|it| it.e1)
        };
        let Some(found) = look.lines.iter().map(e1).collect::<Option<Vec<_>>>() else {
            return;
        };
        let (address, mut facts) = (look.address.clone(), look.facts);
        if let [first, second] = found.as_slice() {
            facts.e1s = if first == second {
                E1s::Repeat
            } else {
                E1s::Differ
            };
        }
        let in_use = self.config.pools[slot].as_ref().map(PoolConfig::address);
        if in_use.as_ref() == Some(&address) {
            self.pools[slot].facts.e1s = facts.e1s;
        } else {
            self.keep_facts(address, facts);
        }
        self.end_survey_look(slot, now, out);
    }

    fn end_survey_look(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        self.close_look(Look::Survey, slot, now, out);
        // The result may require a look at another address.
        self.release_waiting(now, out);
    }
}

/// The place of the address in use in a changed list, if it is still there.
fn index_of(before: &PoolConfig, at: usize, wanted: &PoolConfig) -> Option<usize> {
    let Some(index) = at.checked_sub(1) else {
        return Some(0);
    };
    let in_use = before.backups.get(index)?;
    let place = wanted.backups.iter().position(|backup| backup == in_use)?;
    Some(place + 1)
}
