//! The survey: the proxy's own looks at all addresses of a pool, backups included, so that a miner's extranonces fit
//! them all from the start. Where little room is left an address is looked at with two connections at once: whether
//! they are given different extranonce1 decides who can do without one of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Config, PoolConfig};
use crate::core::action::{Action, DialTarget};
use crate::core::miner::Miner;
use crate::core::pool::connection::open::received::Heard;
use crate::core::pool::connection::{Loss, Talk, Upstream};
use crate::core::pool::facts::{E1s, PoolFacts};
use crate::core::pool::probe::own_identity;
use crate::core::pool::{Pool, target};
use crate::core::work::extranonce::Room;
use crate::core::work::handed_out::Templates;
use crate::core::{Core, Due, facts_of_address};
use crate::stratum::job::Notify;
use crate::stratum::message::FromPool;
use crate::units::{Client, LinkId, Now, PoolConn, PoolSlot};

/// How long miners wait for the survey before they are told their extranonces.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many looks are remembered; with more, addresses that were looked at long ago may be looked at again.
const MOST_LOOKS: usize = 256;

/// The looks at one pool's addresses, one address at a time.
#[derive(Debug)]
pub struct Survey {
    lines: [Upstream; 2],
    look: Option<Look>,
    /// When the present round of looks began, one after the other.
    since: Option<Instant>,
    /// The addresses that were looked at since the start, and whether with two connections.
    looked: BTreeSet<(String, bool)>,
}

/// The look at one address.
#[derive(Debug)]
struct Look {
    address: String,
    target: Arc<DialTarget>,
    pair: bool,
    facts: PoolFacts,
    latest: Option<Arc<Notify>>,
}

impl Survey {
    /// Nothing was looked at yet.
    pub fn new(slot: PoolSlot) -> Self {
        Self {
            lines: [0, 1].map(|line| Upstream::new(Client::Survey(line), slot)),
            look: None,
            since: None,
            looked: BTreeSet::new(),
        }
    }

    /// Whether miners that subscribe now are better answered a moment later.
    pub fn holds_up(&self, now: Instant) -> bool {
        self.patience_ends().is_some_and(|until| now < until)
    }

    /// Where its connections are dialled.
    pub fn target(&self) -> Option<Arc<DialTarget>> {
        self.look.as_ref().map(|look| Arc::clone(&look.target))
    }

    /// Whether this connection waits at the gate; if so it counts as being dialled from now on.
    pub fn start_dial(&mut self, conn: PoolConn) -> bool {
        self.line_mut(conn)
            .is_some_and(|line| line.start_dial(conn))
    }

    /// Ends the look that is under way.
    pub fn close(&mut self, out: &mut Vec<Action>) {
        self.look = None;
        for line in &mut self.lines {
            line.close(out);
        }
    }

    fn patience_ends(&self) -> Option<Instant> {
        self.look.as_ref()?;
        self.since?.checked_add(PATIENCE)
    }

    fn line_mut(&mut self, conn: PoolConn) -> Option<&mut Upstream> {
        self.lines.iter_mut().find(|line| line.conn() == conn)
    }

    /// What was found out, once all connections of the look have got through.
    fn finding(&self) -> Option<(String, PoolFacts)> {
        let look = self.look.as_ref()?;
        let mut facts = look.facts;
        let [first, second] = &self.lines;
        let e1 = |line: &Upstream| {
            let open = line.open().filter(|open| open.is_ready());
            Some(open?.extranonces()?.e1)
        };
        let own = e1(first)?;
        if look.pair {
            facts.e1s = if own == e1(second)? {
                E1s::Repeat
            } else {
                E1s::Differ
            };
        }
        Some((look.address.clone(), facts))
    }
}

impl Core {
    /// Looks at the addresses of which not enough is known, once the probes have found out how much room the pools
    /// leave.
    pub(in crate::core) fn survey_pools(&mut self, now: Now) {
        let is_open = |slot: &PoolSlot| {
            self.wanted.pool_in_use(*slot).is_some() && !self.pools[*slot].is_known(now.at)
        };
        if PoolSlot::ALL.iter().any(is_open) {
            return;
        }
        for slot in PoolSlot::ALL {
            self.survey_next(slot, now);
        }
    }

    fn survey_next(&mut self, slot: PoolSlot, now: Now) {
        let config = Arc::clone(&self.wanted);
        let Some(pool) = config.pool_in_use(slot) else {
            return;
        };
        if self.stopping.is_some() || self.pools[slot].survey.look.is_some() {
            return;
        }
        let look = self.next_look(slot, pool, &config);
        let survey = &mut self.pools[slot].survey;
        let Some(look) = look else {
            survey.since = None;
            return;
        };
        survey.since.get_or_insert(now.at);
        if survey.looked.len() >= MOST_LOOKS {
            survey.looked.clear();
        }
        survey.looked.insert((look.address.clone(), look.pair));
        let lines = if look.pair { 2 } else { 1 };
        survey.look = Some(look);
        let conns: Vec<_> = survey
            .lines
            .iter_mut()
            .take(lines)
            .map(Upstream::want)
            .collect();
        for conn in conns {
            self.pools[slot].dialer.queue(conn);
        }
        self.note_survey_deadline(slot, now);
    }

    fn next_look(&self, slot: PoolSlot, pool: &PoolConfig, config: &Config) -> Option<Look> {
        let room = Room::of(config, &self.pools, &self.known);
        let pair = self.all_room_needed || room.may_do_without_e1(config.listen.extranonce2_size);
        let at = self.pools[slot].sites.at();
        (0..pool.sites()).find_map(|site| {
            let place = pool.at(site);
            let address = place.address();
            let facts = if site == at {
                self.pools[slot].facts
            } else {
                facts_of_address(&self.known, &address)
            };
            let unknown = facts.e2_size.is_none();
            // The first thing that is known of the address in use is what the probe finds out.
            let wanted =
                (unknown || (pair && facts.e1s != E1s::Differ)) && !(unknown && site == at);
            let looked = &self.pools[slot].survey.looked;
            (wanted && !looked.contains(&(address.clone(), pair))).then(|| Look {
                address,
                target: target(&place),
                pair,
                facts,
                latest: None,
            })
        })
    }

    pub(in crate::core) fn on_survey_opened(
        &mut self,
        conn: PoolConn,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[conn.slot];
        let begun = talk(pool, &self.templates, conn, now, out, |line, talk| {
            line.opened(conn, own_identity(), talk)
        });
        if begun != Some(true) {
            out.push(Action::Abort {
                link: LinkId::Pool(conn),
            });
        }
        self.note_survey_deadline(conn.slot, now);
    }

    pub(in crate::core) fn on_survey_message(
        &mut self,
        conn: PoolConn,
        message: FromPool,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let pool = &mut self.pools[conn.slot];
        let heard = talk(pool, &self.templates, conn, now, out, |line, talk| {
            line.heard(conn, message, talk)
        });
        if let Some(Heard::Lost(_)) = heard {
            self.end_look_at_address(conn.slot, now, out);
        } else {
            self.look_at_survey(conn.slot, now, out);
        }
    }

    /// A connection of the survey ended: nothing more is found out, unless it was asked wrongly.
    pub(in crate::core) fn on_survey_lost(
        &mut self,
        conn: PoolConn,
        loss: &Loss,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let survey = &mut self.pools[conn.slot].survey;
        let (lines, look) = (&mut survey.lines, &mut survey.look);
        let line = lines.iter_mut().find(|line| line.conn() == conn);
        let (Some(line), Some(look)) = (line.filter(|line| !line.is_idle()), look) else {
            return;
        };
        let hung_up = matches!(loss, Loss::Closed(_));
        if hung_up && line.hung_up_on_configure(&mut look.facts, now.at) {
            self.note_survey_deadline(conn.slot, now);
        } else {
            self.end_look_at_address(conn.slot, now, out);
        }
    }

    pub(in crate::core) fn on_survey_deadline(
        &mut self,
        slot: PoolSlot,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(limits) = self.wanted.pool_in_use(slot).cloned() else {
            self.pools[slot].survey.close(out);
            return;
        };
        let conns: Vec<_> = self.pools[slot]
            .survey
            .lines
            .iter()
            .map(Upstream::conn)
            .collect();
        for conn in conns {
            let pool = &mut self.pools[slot];
            let overdue = talk(pool, &self.templates, conn, now, out, |line, talk| {
                let again = line.pause_over(talk.now).then(|| line.want());
                (line.overdue(&limits, talk), again)
            });
            match overdue {
                Some((Some(_), _)) => return self.end_look_at_address(slot, now, out),
                Some((None, Some(again))) => self.pools[slot].dialer.queue(again),
                Some((None, None)) | None => (),
            }
        }
        self.look_at_survey(slot, now, out);
    }

    /// Keeps what was found out, if that is all that can be.
    fn look_at_survey(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        let Some((address, facts)) = self.pools[slot].survey.finding() else {
            self.note_survey_deadline(slot, now);
            // Those that have waited long enough.
            self.release_waiting(now, out);
            return;
        };
        let in_use = self.config.pools[slot].as_ref().map(PoolConfig::address);
        if in_use.as_ref() == Some(&address) {
            self.pools[slot].facts.e1s = facts.e1s;
        } else {
            self.keep_facts(address, facts);
        }
        self.end_look_at_address(slot, now, out);
    }

    fn end_look_at_address(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        self.pools[slot].survey.close(out);
        self.note_survey_deadline(slot, now);
        // What was found may be what another address has to be asked about.
        self.release_waiting(now, out);
    }

    fn note_survey_deadline(&mut self, slot: PoolSlot, now: Now) {
        let limits = self.wanted.pool_in_use(slot);
        let survey = &self.pools[slot].survey;
        let deadline = limits.and_then(|limits| {
            let lines = survey.lines.iter();
            let lines = lines.filter_map(|line| line.next_deadline(limits, now.at));
            let patience = survey.patience_ends().filter(|until| *until > now.at);
            lines.chain(patience).min()
        });
        self.agenda.set(Due::Survey(slot), deadline);
    }

    /// Two miners may have been given the same extranonce1: those that come later must not do without one of their own.
    pub(in crate::core) fn look_for_repeated_e1(&mut self, conn: PoolConn) {
        let slot = conn.slot;
        if self.pools[slot].facts.e1s != E1s::Differ {
            return;
        }
        let Client::Miner(own) = conn.client else {
            return;
        };
        let e1_of = |miner: &Miner| Some(miner.upstreams[slot].open()?.extranonces()?.e1);
        let Some(e1) = self.miners.get(&own).and_then(|miner| e1_of(miner)) else {
            return;
        };
        let mut others = self.miners.iter().filter(|(id, _)| **id != own);
        if others.any(|(_, miner)| e1_of(miner) == Some(e1)) {
            self.pools[slot].facts.e1s = E1s::Repeat;
        }
    }
}

/// Has a connection of the survey act.
fn talk<T>(
    pool: &mut Pool,
    templates: &Templates,
    conn: PoolConn,
    now: Now,
    out: &mut Vec<Action>,
    act: impl FnOnce(&mut Upstream, &mut Talk<'_>) -> T,
) -> Option<T> {
    let Survey { lines, look, .. } = &mut pool.survey;
    let line = lines.iter_mut().find(|line| line.conn() == conn)?;
    let look = look.as_mut()?;
    let mut talk = Talk {
        facts: &mut look.facts,
        latest: &mut look.latest,
        templates,
        now: now.at,
        out,
    };
    Some(act(line, &mut talk))
}
