//! Whether a pool takes several names on one connection. A look without members finds out, so that no miner's work is at
//! risk; then the members of shared connections are introduced by their own names.

use std::sync::Arc;
use std::time::Duration;

use crate::core::Core;
use crate::core::action::Action;
use crate::core::pool::connection::names::SecondName;
use crate::core::pool::facts::NameHabit;
use crate::core::pool::line::{Look, Purpose};
use crate::core::pool::look::NamesLook;
use crate::core::pool::moment::Moment;
use crate::units::{LineId, Now, PoolSlot, later};

/// After a look that has shown nothing, or if there was nobody to look for.
const TRY_AGAIN: Duration = Duration::from_secs(600);

/// After a look whose connection was lost or silent, perhaps in an outage.
const ONCE_MORE: Duration = Duration::from_secs(60);

impl Core {
    /// Does what follows from what is known of the pools' names.
    pub(in crate::core) fn look_at_names(&mut self, now: Now, out: &mut Vec<Action>) {
        for slot in PoolSlot::ALL {
            let pool = &mut self.pools[slot];
            let names = pool.facts.names;
            if names != std::mem::replace(&mut pool.told_names, names) {
                self.follow_names(slot, names, now, out);
            }
            self.look_for_names(slot, now);
        }
    }

    /// What is known of a pool's names is news.
    fn follow_names(&mut self, slot: PoolSlot, names: NameHabit, now: Now, out: &mut Vec<Action>) {
        let config = Arc::clone(&self.config);
        if self.remember(&config, slot) {
            out.push(Action::SaveState);
        }
        for line in self.pools[slot].mining_lines() {
            let pool = &mut self.pools[slot];
            if !pool.is_shared(line) {
                continue;
            }
            // What it calls its members after the last name was refused is not known.
            let doubtful = names == NameHabit::One;
            if doubtful && pool.standing(line).is_some_and(|it| it.has_names()) {
                pool.renew(line, &mut Moment::new(now, &mut self.random, out));
            }
            self.with_members(slot, line, now, out, |_, _| ());
            self.note_line(slot, line, now);
        }
    }

    /// Looks whether a pool takes several names, if it matters and nobody knows.
    fn look_for_names(&mut self, slot: PoolSlot, now: Now) {
        let pool = &mut self.pools[slot];
        let is_open = pool.facts.names == NameHabit::Unknown && pool.names_look.is_none();
        let is_due = pool.names_next.is_none_or(|next| next <= now.at);
        if !is_open || !is_due || !pool.has_work() || self.stopping.is_some() {
            return;
        }
        let config = self.config.pools[slot].as_ref();
        let Some(config) = config.filter(|config| config.most_members().is_some()) else {
            return;
        };
        pool.names_next = Some(later(now.at, TRY_AGAIN));
        let first = config.user_name.of_all(&config.wallet);
        let working = self.miners.values().map(|miner| &miner.session);
        let working = working.filter(|session| session.is_authorized());
        let mut names = working.map(|session| session.user_at(config));
        if let Some(name) = names.find(|name| *name != first) {
            let line = pool.add_line(Purpose::Look(Look::Names));
            pool.queue(line);
            let name = Arc::from(name);
            pool.names_look = Some(NamesLook { line, name });
        }
    }

    /// Has the look's connection ask for a second name, and ends it when that has shown what it can.
    pub(in crate::core) fn judge_names(&mut self, slot: PoolSlot, now: Now, out: &mut Vec<Action>) {
        let pool = &mut self.pools[slot];
        let Some(NamesLook { line, name }) = &pool.names_look else {
            return;
        };
        let connection = pool.standing(*line).filter(|it| it.is_ready());
        let Some((conn, second)) = connection.map(|it| (it.conn, it.second_name(now.at))) else {
            return;
        };
        match second {
            SecondName::Unasked => {
                let name = Arc::clone(name);
                let mut moment = Moment::new(now, &mut self.random, out);
                pool.talk(conn, &mut moment, |it, talk| it.introduce(&name, talk));
            }
            SecondName::Open(_) => (),
            SecondName::Taken => self.end_names_look(slot, Some(NameHabit::Several), now, out),
            SecondName::Refused => self.end_names_look(slot, Some(NameHabit::One), now, out),
            SecondName::Silent => self.end_names_look(slot, None, now, out),
        }
    }

    /// The look's connection was lost. If the pool had been told a second name, that may be why.
    pub(in crate::core) fn lose_names_look(
        &mut self,
        slot: PoolSlot,
        line: LineId,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let connection = self.pools[slot].standing(line);
        let is_why = connection.is_some_and(|it| it.has_names());
        self.end_names_look(slot, (!is_why).then_some(NameHabit::Unknown), now, out);
    }

    /// The look has shown this; `None` if its connection was lost or silent.
    fn end_names_look(
        &mut self,
        slot: PoolSlot,
        names: Option<NameHabit>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        self.close_look(Look::Names, slot, now, out);
        let pool = &mut self.pools[slot];
        if let Some(names) = names {
            pool.facts.trust_names(names);
        } else {
            pool.facts.doubt_names();
            pool.names_next = Some(later(now.at, ONCE_MORE));
        }
    }
}
