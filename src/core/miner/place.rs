//! The miner's place in the coinbase: its extranonce1, and the size of its extranonce2.

use super::Miner;
use crate::core::fact::{Eviction, Fact};
use crate::core::miner::context::Context;
use crate::core::pool::groups::{GroupId, Machine};
use crate::core::work::extranonce::{Firmware, LONGEST_E2, sizes};
use crate::core::work::jobs::SentJob;
use crate::stratum::message::Submit;
use crate::units::{MinerExtranonce, PoolSlot};

/// After this many shares in a row with a different size than it was given, a miner gets that size.
const SURE_OF_SIZE: u32 = 3;

impl Miner {
    /// A separate place that fits every pool and the miner's software.
    pub(super) fn new_extranonce(&mut self, cx: &mut Context<'_>) -> MinerExtranonce {
        let seen = cx.size_habits.size(self.session.user_agent.as_deref());
        let sizes = self.sizes(seen.or(cx.config.listen.extranonce2_size), cx);
        let most = cx.most_members();
        let (extranonce, group) = cx.groups.take(self.id, &self.machine(), sizes, most);
        self.set_group(group, cx);
        extranonce
    }

    /// Chooses the group of a miner that authorizes before it subscribes: it would dial its own connections otherwise.
    pub(super) fn choose_group(&mut self, cx: &mut Context<'_>) {
        let is_shared = PoolSlot::ALL.into_iter().any(|slot| cx.is_shared(slot));
        if self.session.extranonce.is_none() && is_shared {
            // It may get another place when it subscribes, and DPMP knows its software.
            self.new_extranonce(cx);
        }
    }

    /// The number of miners per connection has changed: the miner keeps its place in the coinbase, and its line until
    /// the new one has work.
    pub fn regroup(&mut self, cx: &mut Context<'_>) {
        let Some(extranonce) = self.session.extranonce else {
            return;
        };
        let most = cx.most_members();
        self.group = cx.groups.keep(self.id, &self.machine(), extranonce, most);
    }

    fn machine(&self) -> Machine {
        Machine {
            address: self.peer.ip(),
            software: self.session.user_agent.clone(),
        }
    }

    /// Moves it to another group, or to none. With another place it cannot go on working on the old group's lines.
    fn set_group(&mut self, group: Option<GroupId>, cx: &mut Context<'_>) {
        let before = std::mem::replace(&mut self.group, group);
        if before == group {
            return;
        }
        for slot in PoolSlot::ALL {
            let pool = &cx.pools[slot];
            let lines = [self.lines[slot], self.next_lines[slot]];
            let mut lines = lines.into_iter().flatten();
            if lines.any(|line| pool.is_shared(line)) {
                self.part(slot, cx);
            }
        }
    }

    /// The sizes that it would get if `wanted` fits.
    fn sizes(&self, wanted: Option<u8>, cx: &Context<'_>) -> (u8, u8) {
        let firmware = Firmware::of(self.session.user_agent.as_deref());
        sizes(cx.room(), firmware, wanted)
    }

    /// Gives the miner another place: with its next job if it supports that, otherwise it must subscribe again.
    pub(super) fn renew_extranonce(
        &mut self,
        reason: Eviction,
        cx: &mut Context<'_>,
    ) -> Option<MinerExtranonce> {
        if !self.session.takes_extranonce {
            self.turn_away(reason, cx);
            return None;
        }
        let new = self.new_extranonce(cx);
        self.session.extranonce = Some(new);
        self.owes_extranonce = true;
        Some(new)
    }

    /// Some firmware always uses one size of extranonce2 (compat Q71): it gets that size if it fits.
    pub(super) fn notice_size(&mut self, submit: &Submit, sent: &SentJob, cx: &mut Context<'_>) {
        let told = sent.extranonce.e2_size;
        // Only its current size can be corrected.
        if self.session.extranonce != Some(sent.extranonce) || !self.session.is_authorized() {
            return;
        }
        let size = u8::try_from(submit.e2.len()).ok();
        let Some(size) = size.filter(|size| *size != told) else {
            self.other_size = None;
            return;
        };
        let before = self.other_size.filter(|(other, _)| *other == size);
        let count = before.map_or(0, |(_, count)| count) + 1;
        self.other_size = Some((size, count));
        if count < SURE_OF_SIZE {
            return;
        }
        self.other_size = None;
        cx.needs_all_room |= cx.room().smallest == size;
        let fits = (2..=LONGEST_E2).contains(&size) && self.sizes(Some(size), cx).1 == size;
        let user_agent = self.session.user_agent.clone();
        let worker = self.session.worker().to_owned();
        let now_ms = cx.now.unix_ms;
        if !fits
            || !cx
                .size_habits
                .learn(user_agent.as_deref(), &worker, size, now_ms)
        {
            return;
        }
        let extranonce = self.renew_extranonce(Eviction::ExtranonceSize, cx);
        cx.report(Fact::ExtranonceSizeLearnt {
            miner: self.id,
            worker,
            user_agent,
            told,
            sent: size,
            extranonce,
        });
        if let (Some(_), Some(slot)) = (extranonce, self.schedule.on()) {
            self.send_work(slot, cx);
        }
    }
}
