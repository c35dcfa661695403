//! The names of a shared connection's members, besides the one that it was authorized with.
//!
//! DPMP tells a pool that takes several names each member's own, a few at a time. Once the pool has accepted a name,
//! its member's shares are sent under it; until then, or if the pool refuses it, under the first one. [`NameHabit`]
//! keeps what DPMP learns about the pool.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::pool::facts::NameHabit;
use crate::stratum::message::{Outcome, PoolCall};
use crate::stratum::reject::RejectClass;
use crate::units::later;

use super::{Connection, Talk, WaitingShare};

/// How many names wait for the pool's answer at a time.
const MOST_ASKED: usize = 8;

/// How many names a connection has, with the first one, until a share was accepted under one of them.
const MOST_UNPROVEN: usize = 50;

/// How many names a connection ever has; the miners that come later work under the first one.
const MOST: usize = 1024;

/// How long a pool may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A second name cannot be why a connection closes that has had it for this long.
const SURVIVES: Duration = Duration::from_secs(30);

/// Where a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The pool was asked with this request.
    Asked {
        request: u64,
        since: Instant,
    },
    Accepted {
        since: Instant,
    },
    Refused,
    /// The pool has not answered.
    Silent,
}

/// The further names of a connection.
#[derive(Debug, Default)]
pub(super) struct Names {
    states: BTreeMap<Arc<str>, State>,
    /// Those that the pool was not asked about yet.
    waiting: VecDeque<Arc<str>>,
}

impl Names {
    fn asked(&self) -> impl Iterator<Item = (&Arc<str>, Instant)> {
        self.states.iter().filter_map(|(name, state)| match state {
            State::Asked { since, .. } => Some((name, *since)),
            State::Accepted { .. } | State::Refused | State::Silent => None,
        })
    }
}

/// What a look at a second name has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondName {
    /// It was not asked for yet.
    Unasked,
    /// Nothing yet; when to look again.
    Open(Instant),
    /// The pool has accepted it, and the connection lives on for long enough.
    Taken,
    /// The pool has refused it.
    Refused,
    /// The pool does not answer.
    Silent,
}

impl Connection {
    /// Has the pool told a member's own name, unless it knows it.
    pub fn introduce(&mut self, name: &Arc<str>, talk: &mut Talk<'_>) {
        let names = &mut self.names;
        let known = *name == self.identity.user
            || names.states.contains_key(name)
            || names.waiting.contains(name);
        if !known && names.states.len() + names.waiting.len() < MOST {
            names.waiting.push_back(Arc::clone(name));
        }
        self.ask_names(talk);
    }

    /// Whether the pool takes shares under this name.
    pub fn knows(&self, name: &str) -> bool {
        matches!(self.names.states.get(name), Some(State::Accepted { .. }))
    }

    /// Whether the pool was told further names.
    pub fn has_names(&self) -> bool {
        !self.names.states.is_empty()
    }

    /// Asks about the next names.
    fn ask_names(&mut self, talk: &mut Talk<'_>) {
        let most = if talk.facts.names == NameHabit::Proven {
            MOST
        } else {
            // The first one is not among them.
            MOST_UNPROVEN - 1
        };
        while self.names.asked().count() < MOST_ASKED && self.names.states.len() < most {
            let Some(name) = self.names.waiting.pop_front() else {
                return;
            };
            let request = self.authorize(&name, talk);
            let since = talk.now;
            let state = State::Asked { request, since };
            self.names.states.insert(name, state);
        }
    }

    fn authorize(&mut self, name: &str, talk: &mut Talk<'_>) -> u64 {
        self.said = talk.now;
        let call = PoolCall::Authorize {
            user: name.to_owned(),
            password: self.identity.password.clone(),
        };
        self.request(call, talk.out)
    }

    /// Whether this is the pool's answer to a name.
    pub(super) fn on_name(&mut self, id: u64, outcome: &Outcome, talk: &mut Talk<'_>) -> bool {
        let mut states = self.names.states.values_mut();
        let asked =
            |state: &&mut State| matches!(state, State::Asked { request, .. } if *request == id);
        let Some(state) = states.find(asked) else {
            return false;
        };
        if *outcome == Outcome::True {
            *state = State::Accepted { since: talk.now };
        } else {
            *state = State::Refused;
            // Some take a refused name for the end of the first one's authorization.
            let first = Arc::clone(&self.identity.user);
            self.authorize(&first, talk);
        }
        self.ask_names(talk);
        true
    }

    /// Gives up the names that the pool has not answered in time.
    pub(super) fn give_up_names(&mut self, talk: &mut Talk<'_>) {
        let before = self.names.asked().count();
        for state in self.names.states.values_mut() {
            if matches!(state, State::Asked { since, .. } if later(*since, PATIENCE) <= talk.now) {
                *state = State::Silent;
            }
        }
        if self.names.asked().count() < before {
            self.ask_names(talk);
        }
    }

    /// The next deadline of a name.
    pub(super) fn name_due(&self, now: Instant) -> Option<Instant> {
        let asked = self.names.asked().map(|(_, since)| later(since, PATIENCE));
        asked
            .chain(self.survives().filter(|until| *until > now))
            .min()
    }

    /// Until when the connection has to live with its one further name.
    fn survives(&self) -> Option<Instant> {
        let mut states = self.names.states.values();
        let only = states.next().filter(|_| self.names.states.len() == 1);
        match only {
            Some(State::Accepted { since }) => Some(later(*since, SURVIVES)),
            Some(State::Asked { .. } | State::Refused | State::Silent) | None => None,
        }
    }

    /// Notes what the answer to a share says about names.
    pub(super) fn learn_names(
        &mut self,
        share: &WaitingShare,
        outcome: &Outcome,
        talk: &mut Talk<'_>,
    ) {
        let Some(name) = &share.name else {
            return self.suspect_first(outcome, talk);
        };
        match outcome {
            Outcome::True if talk.facts.names != NameHabit::Proven => {
                talk.facts.trust_names(NameHabit::Proven);
                self.ask_names(talk);
            }
            Outcome::Rejected(reject) if RejectClass::of(reject) == RejectClass::Unauthorized => {
                self.names.states.insert(Arc::clone(name), State::Refused);
                self.suspect_first(outcome, talk);
            }
            Outcome::True
            | Outcome::Rejected(_)
            | Outcome::Subscribed(_)
            | Outcome::Configured(_)
            | Outcome::Other(_) => (),
        }
    }

    /// The pool does not know a name any more that it had accepted: it has room for one only, the last.
    fn suspect_first(&self, outcome: &Outcome, talk: &mut Talk<'_>) {
        let refused = matches!(outcome, Outcome::Rejected(reject) if RejectClass::of(reject) == RejectClass::Unauthorized);
        if refused && self.has_names() && talk.facts.names == NameHabit::Several {
            talk.facts.names = NameHabit::One;
        }
    }

    /// The pool closed the connection: it may dislike the names that it was just told.
    pub fn suspect_names(&self, talk: &mut Talk<'_>) {
        let asked = self.names.asked().next().is_some();
        if asked && talk.facts.names == NameHabit::Several {
            talk.facts.doubt_names();
        }
    }

    /// What a look at a second name has shown.
    pub fn second_name(&self, now: Instant) -> SecondName {
        match self.names.states.values().next() {
            None => SecondName::Unasked,
            Some(State::Asked { since, .. }) => SecondName::Open(later(*since, PATIENCE)),
            Some(State::Accepted { since }) => {
                let until = later(*since, SURVIVES);
                if until <= now {
                    SecondName::Taken
                } else {
                    SecondName::Open(until)
                }
            }
            Some(State::Refused) => SecondName::Refused,
            Some(State::Silent) => SecondName::Silent,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;
    use crate::core::action::Action;
    use crate::core::pool::connection::Identity;
    use crate::core::pool::facts::PoolFacts;
    use crate::stratum::message::ToPool;
    use crate::stratum::reject::Reject;
    use crate::units::{LineId, PoolConn, PoolSlot};

    /// A connection, and what is known of its pool.
    struct Test {
        connection: Connection,
        facts: PoolFacts,
        now: Instant,
    }

    impl Test {
        fn new() -> Self {
            let now = Instant::now();
            let identity = Identity {
                address: "pool:1".into(),
                user_agent: "test".into(),
                user: "w".into(),
                has_worker: true,
                password: "x".into(),
                version_rolling: false,
                suggested: None,
            };
            let (slot, number) = (PoolSlot::A, 1);
            let conn = PoolConn { slot, number };
            let mut facts = PoolFacts::default();
            facts.names = NameHabit::Several;
            Self {
                connection: Connection::new(conn, LineId(1), identity, now),
                facts,
                now,
            }
        }

        /// The names that the pool is being asked about, by request.
        fn act(&mut self, act: impl FnOnce(&mut Connection, &mut Talk<'_>)) -> Vec<(u64, String)> {
            let mut out = Vec::new();
            let mut talk = Talk {
                facts: &mut self.facts,
                latest: &mut None,
                now: self.now,
                out: &mut out,
            };
            act(&mut self.connection, &mut talk);
            let asked = out.into_iter().filter_map(|action| match action {
                Action::SendPool {
                    message:
                        ToPool::Request {
                            id,
                            call: PoolCall::Authorize { user, .. },
                        },
                    ..
                } => Some((id, user)),
                _ => None,
            });
            asked.collect()
        }

        fn introduce(&mut self, name: &str) -> Vec<(u64, String)> {
            self.act(|it, talk| it.introduce(&name.into(), talk))
        }

        fn answer(&mut self, id: u64, outcome: &Outcome) -> Vec<(u64, String)> {
            self.act(|it, talk| assert!(it.on_name(id, outcome, talk)))
        }
    }

    fn refused() -> Outcome {
        Outcome::Rejected(Reject {
            code: 24,
            message: "Unauthorized worker".into(),
        })
    }

    #[test]
    fn eight_names_are_tried_at_a_time_and_fifty_before_the_first_share() {
        let mut test = Test::new();
        let mut asked: VecDeque<_> = (0..200)
            .flat_map(|number| test.introduce(&format!("w.{number}")))
            .collect();
        assert_eq!(asked.len(), MOST_ASKED);
        let mut answered = 0;
        while let Some((id, name)) = asked.pop_front() {
            assert!(!test.connection.knows(&name));
            asked.extend(test.answer(id, &Outcome::True));
            assert!(test.connection.knows(&name));
            assert!(asked.len() <= MOST_ASKED);
            answered += 1;
        }
        assert_eq!(answered, MOST_UNPROVEN - 1);
        test.facts.names = NameHabit::Proven;
        assert_eq!(test.introduce("w.0").len(), MOST_ASKED, "it continues");
    }

    #[test]
    fn the_first_name_is_sent_again_only_after_a_refusal() {
        let mut test = Test::new();
        assert_eq!(test.introduce("w"), []);
        let asked = test.introduce("w.bad");
        assert_eq!(test.introduce("w.bad"), []);
        let again = test.answer(asked[0].0, &refused());
        assert_eq!(again[0].1, "w");
        assert!(!test.connection.knows("w.bad"));
        assert_eq!(
            test.introduce("w.bad"),
            [],
            "and a refused name never again"
        );
        assert_eq!(
            test.facts.names,
            NameHabit::Several,
            "others may be accepted"
        );
    }

    #[test]
    fn an_unanswered_name_is_dropped_and_the_next_ones_are_sent() {
        let mut test = Test::new();
        let asked = (0..20).flat_map(|number| test.introduce(&format!("w.{number}")));
        assert_eq!(asked.count(), MOST_ASKED);
        let due = test.connection.name_due(test.now).unwrap();
        assert_eq!(due, test.now + PATIENCE);
        test.now = due;
        assert_eq!(
            test.act(|it, talk| it.give_up_names(talk)).len(),
            MOST_ASKED
        );
    }

    #[test]
    fn a_look_waits_for_the_answer_and_for_the_connection_to_survive() {
        let mut test = Test::new();
        assert_eq!(test.connection.second_name(test.now), SecondName::Unasked);
        let asked = test.introduce("w.second");
        let until = test.now + PATIENCE;
        assert_eq!(
            test.connection.second_name(test.now),
            SecondName::Open(until)
        );
        test.answer(asked[0].0, &Outcome::True);
        let until = test.now + SURVIVES;
        assert_eq!(
            test.connection.second_name(test.now),
            SecondName::Open(until)
        );
        assert_eq!(test.connection.name_due(test.now), Some(until));
        assert_eq!(test.connection.second_name(until), SecondName::Taken);
    }

    #[test]
    fn a_pool_that_hangs_up_when_asked_accepts_one_name() {
        let mut test = Test::new();
        test.act(|it, talk| it.suspect_names(talk));
        assert_eq!(test.facts.names, NameHabit::Several);
        test.introduce("w.second");
        test.facts.names = NameHabit::Proven;
        test.act(|it, talk| it.suspect_names(talk));
        assert_eq!(test.facts.names, NameHabit::Proven);
        // The first time, it may be an outage.
        for expected in [NameHabit::Unknown, NameHabit::One] {
            test.facts.names = NameHabit::Several;
            test.act(|it, talk| it.suspect_names(talk));
            assert_eq!(test.facts.names, expected);
        }
    }
}
