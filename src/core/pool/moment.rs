//! What code can use while an event is handled: the time, repeatable randomness, and the list of actions.

use crate::core::action::Action;
use crate::core::fact::Fact;
use crate::random::Random;
use crate::units::{LinkId, Now, PoolConn};

/// One event's time, and where its actions go.
pub struct Moment<'a> {
    /// The time.
    pub now: Now,
    /// For jitter.
    pub random: &'a mut Random,
    /// The actions, in order.
    pub out: &'a mut Vec<Action>,
}

impl<'a> Moment<'a> {
    /// The moment of an event.
    pub fn new(now: Now, random: &'a mut Random, out: &'a mut Vec<Action>) -> Self {
        Self { now, random, out }
    }

    /// Reports a fact to the owner.
    pub fn report(&mut self, fact: Fact) {
        self.out.push(Action::Report(fact));
    }

    /// Ends a pool connection after everything that waits has been written.
    pub fn close(&mut self, conn: PoolConn) {
        let link = LinkId::Pool(conn);
        self.out.push(Action::Close { link });
    }

    /// Ends a pool connection immediately.
    pub fn abort(&mut self, conn: PoolConn) {
        let link = LinkId::Pool(conn);
        self.out.push(Action::Abort { link });
    }
}
