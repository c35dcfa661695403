//! Backups at work: the move to another address of a pool, and the scout, which looks at the first one meanwhile.

use std::sync::Arc;

use crate::config::{Config, PoolConfig};
use crate::core::action::Action;
use crate::core::fact::{Fact, Failover};
use crate::core::pool::connection::open::received::Heard;
use crate::core::pool::connection::{Identity, Loss, Talk, Upstream};
use crate::core::pool::probe::own_identity;
use crate::core::pool::{Pool, target};
use crate::core::work::handed_out::Templates;
use crate::core::{Core, Due, facts_of};
use crate::stratum::message::FromPool;
use crate::units::{LinkId, Now, PerPool, PoolConn, PoolSlot};

impl Core {
    /// The configuration with each pool as it is at the address that is in use.
    pub(in crate::core) fn config_at_sites(&self) -> Arc<Config> {
        if self.pools.iter().all(|(_, pool)| pool.sites.at() == 0) {
            return Arc::clone(&self.wanted);
        }
        let pools = PerPool::from_fn(|slot| {
            let pool = self.wanted.pools[slot].as_ref()?;
            Some(pool.at(self.pools[slot].sites.at()))
        });
        Arc::new(Config {
            pools,
            ..(*self.wanted).clone()
        })
    }

    /// Begins with the first address again where the owner has changed it, or taken away the one in use.
    pub(in crate::core) fn forget_changed_sites(
        &mut self,
        old: &Config,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        for slot in PoolSlot::ALL {
            let (before, wanted) = (old.pools[slot].as_ref(), self.wanted.pools[slot].as_ref());
            let sites = &mut self.pools[slot].sites;
            let kept = match (before, wanted) {
                (Some(before), Some(wanted)) if target(before) == target(wanted) => {
                    place_of(before, sites.at(), wanted)
                }
                _ => None,
            };
            if let Some(at) = kept {
                sites.renumber(at);
            } else {
                sites.scout.close(out);
                sites.reset(now.at);
            }
        }
    }

    /// Moves on to another address where the one in use fails, and back to the first one where that is well again.
    pub(in crate::core) fn look_at_sites(&mut self, now: Now, out: &mut Vec<Action>) {
        for slot in PoolSlot::ALL {
            let count = self.wanted.pool_in_use(slot).map_or(0, |pool| pool.sites());
            if count < 2 || self.stopping.is_some() {
                // What was found out so far says nothing about the time when it is wanted again.
                self.pools[slot].sites.rest(out);
                continue;
            }
            let pool = &mut self.pools[slot];
            // Where nobody has tried again since a probe got through, the clock runs on.
            let useful = pool.is_useful().or(self.miners.is_empty().then_some(true));
            if let Some(useful) = useful {
                pool.sites.note_down(!useful, now.at);
            }
            let trouble = || pool.why_useless();
            if let Some((site, why)) = pool.sites.next(count, trouble, now.at) {
                self.move_to_site(slot, site, why, now, out);
            }
            if self.pools[slot].sites.wants_look(now.at) {
                self.pools[slot].sites.facts = facts_of(&self.known, &self.wanted, slot);
                let conn = self.pools[slot].sites.scout.want();
                self.pools[slot].dialer.queue(conn);
            }
            self.note_sites_deadline(slot, now);
        }
    }

    fn move_to_site(
        &mut self,
        slot: PoolSlot,
        site: usize,
        why: Failover,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        self.pools[slot].sites.scout.close(out);
        self.pools[slot].sites.move_to(site, &why, now.at);
        let config = self.config_at_sites();
        let address = config.pools[slot].as_ref().map(|pool| pool.address());
        out.push(Action::Report(Fact::PoolFailover {
            slot,
            backup: site,
            address: address.unwrap_or_default(),
            why,
        }));
        self.apply(config, now, out);
    }

    pub(in crate::core) fn on_scout_opened(
        &mut self,
        conn: PoolConn,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let identity = self.scout_identity(conn.slot);
        let pool = &mut self.pools[conn.slot];
        let begun = talk(pool, &self.templates, now, out, |scout, talk| {
            scout.opened(conn, identity, talk)
        });
        if !begun {
            out.push(Action::Abort {
                link: LinkId::Pool(conn),
            });
        }
        self.note_sites_deadline(conn.slot, now);
    }

    pub(in crate::core) fn on_scout_message(
        &mut self,
        conn: PoolConn,
        message: FromPool,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[conn.slot];
        let heard = talk(pool, &self.templates, now, out, |scout, talk| {
            scout.heard(conn, message, talk)
        });
        if let Heard::Lost(loss) = heard {
            self.on_scout_lost(conn, &loss, now, out);
        } else if self.offers_old_work(conn.slot, now) {
            self.end_look(conn.slot, false, now, out);
        } else if self.answers(conn.slot, now) {
            self.end_look(conn.slot, true, now, out);
        } else {
            self.note_sites_deadline(conn.slot, now);
        }
    }

    /// As one of the miners, so that a pool that refuses them is not taken for a good one; without a miner as the
    /// proxy itself, which gets no further than the subscription.
    fn scout_identity(&self, slot: PoolSlot) -> Identity {
        let pool = self.wanted.pools[slot].as_ref();
        let mut miners = self.miners.values();
        let identity = pool.and_then(|pool| miners.find_map(|miner| miner.introduction(pool)));
        Identity {
            // It leaves before it could find shares.
            suggested: None,
            ..identity.unwrap_or_else(own_identity)
        }
    }

    /// Whether the scout has got as far as work.
    fn answers(&self, slot: PoolSlot, now: Now) -> bool {
        let scout = self.pools[slot].sites.scout.open();
        scout.is_some_and(|open| {
            let has_come_for_work = !open.user().is_empty();
            open.is_ready() && (!has_come_for_work || open.has_work(now.at))
        })
    }

    /// Whether it has got as far as work that is of no use.
    fn offers_old_work(&self, slot: PoolSlot, now: Now) -> bool {
        let scout = self.pools[slot].sites.scout.open();
        let job = scout.and_then(|open| open.jobs.latest());
        job.is_some_and(|job| self.is_old(&job.notify, now))
    }

    pub(in crate::core) fn on_scout_lost(
        &mut self,
        conn: PoolConn,
        loss: &Loss,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let sites = &mut self.pools[conn.slot].sites;
        if sites.scout.conn() != conn || sites.scout.is_idle() {
            return;
        }
        let hung_up = matches!(loss, Loss::Closed(_));
        if hung_up && sites.scout.hung_up_on_configure(&mut sites.facts, now.at) {
            self.note_sites_deadline(conn.slot, now);
        } else {
            self.end_look(conn.slot, false, now, out);
        }
    }

    pub(in crate::core) fn on_scout_deadline(
        &mut self,
        slot: PoolSlot,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(limits) = self.wanted.pool_in_use(slot) else {
            return;
        };
        let pool = &mut self.pools[slot];
        let overdue = talk(pool, &self.templates, now, out, |scout, talk| {
            scout.overdue(limits, talk)
        });
        if overdue.is_some() {
            self.end_look(slot, false, now, out);
        } else if self.answers(slot, now) {
            self.end_look(slot, true, now, out);
        } else if self.pools[slot].sites.scout.pause_over(now.at) {
            let conn = self.pools[slot].sites.scout.want();
            self.pools[slot].dialer.queue(conn);
        }
        self.note_sites_deadline(slot, now);
    }

    fn end_look(&mut self, slot: PoolSlot, answers: bool, now: Now, out: &mut Vec<Action>) {
        self.pools[slot].sites.scout.close(out);
        self.pools[slot].sites.looked(answers, now.at);
        self.note_sites_deadline(slot, now);
    }

    fn note_sites_deadline(&mut self, slot: PoolSlot, now: Now) {
        let limits = self.wanted.pool_in_use(slot);
        let sites = &self.pools[slot].sites;
        let deadline = limits.and_then(|limits| {
            let own = sites.next_deadline(limits.sites());
            let scout = sites.scout.next_deadline(limits, now.at);
            [own, scout].into_iter().flatten().min()
        });
        self.agenda.set(Due::Sites(slot), deadline);
    }
}

/// Where the address that is in use stands in a changed list, if it is still there.
fn place_of(before: &PoolConfig, at: usize, wanted: &PoolConfig) -> Option<usize> {
    let Some(index) = at.checked_sub(1) else {
        return Some(0);
    };
    let in_use = before.backups.get(index)?;
    let place = wanted.backups.iter().position(|backup| backup == in_use)?;
    Some(place + 1)
}

/// Has the scout act.
fn talk<T>(
    pool: &mut Pool,
    templates: &Templates,
    now: Now,
    out: &mut Vec<Action>,
    act: impl FnOnce(&mut Upstream, &mut Talk<'_>) -> T,
) -> T {
    let sites = &mut pool.sites;
    let mut talk = Talk {
        facts: &mut sites.facts,
        latest: &mut sites.latest,
        templates,
        now: now.at,
        out,
    };
    act(&mut sites.scout, &mut talk)
}
