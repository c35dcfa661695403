//! Shares: each submit gets exactly one answer, from the pool that owns its job or from here.

use std::sync::Arc;
use std::time::Instant;

use super::Miner;
use crate::core::action::Action;
use crate::core::fact::{Fact, Limit, ShareOutcome, ShareResult};
use crate::core::pool::blocks::Candidate;
use crate::core::pool::connection::open::{Open, PendingShare};
use crate::core::pool::version_form::{Sending, Ways};
use crate::core::turn::Turn;
use crate::core::work::jobs::SentJob;
use crate::core::work::judge::{Assessment, Surroundings, Verdict, assess};
use crate::stratum::job::Solution;
use crate::stratum::message::{Outcome, PoolSubmit, Reply, RequestId, Submit};
use crate::stratum::reject::{Reject, RejectClass, RejectReason};
use crate::units::{JobId, PoolSlot, VersionMask};

impl Miner {
    /// Takes in a share.
    pub(super) fn on_submit(&mut self, id: RequestId, submit: &Submit, turn: &mut Turn<'_>) {
        let within_limit = self.take_token(turn);
        let authorized = self.session.is_authorized();
        let Some(sent) = submit.job.and_then(|job| self.sent.get(job)).cloned() else {
            let reason = match (within_limit, authorized) {
                (false, _) => RejectReason::TooMany,
                (true, false) if self.session.extranonce.is_none() => RejectReason::NotSubscribed,
                (true, false) => RejectReason::Unauthorized,
                (true, true) => RejectReason::UnknownJob,
            };
            self.refuse(id, reason, submit.job, None, turn);
            return;
        };
        self.notice_rolling(submit, turn);
        let surroundings = Surroundings {
            authorized,
            fresh: self.holds(&sent),
        };
        let open = self.open(sent.conn);
        let seen = |hash: &_| open.is_some_and(|open| open.seen.contains(hash));
        let mut found = assess(submit, &sent, surroundings, seen);
        let has_room = open.is_some_and(|open| open.has_room(found.block));
        // To send a block once more would not help it.
        let is_new = !found.hash.as_ref().is_some_and(seen);
        if !within_limit || (found.verdict == Verdict::Forward && !has_room) {
            found.verdict = Verdict::Refuse(RejectReason::TooMany);
        }
        let slot = sent.conn.slot;
        let is_held = |hash: &_| turn.pools[slot].blocks.contains(hash);
        let hash = found
            .hash
            .filter(|hash| found.block && is_new && !is_held(hash));
        let mut candidate = None;
        if let Some(hash) = hash {
            candidate = self.keep_candidate(submit, &sent, &found, turn);
            if let Some(candidate) = candidate.as_ref().filter(|_| !has_room) {
                let blocks = &mut turn.pools[slot].blocks;
                blocks.hold(Arc::clone(candidate), turn.now.at);
            }
            turn.report(Fact::BlockFound {
                miner: self.id,
                worker: self.session.worker().to_owned(),
                slot: sent.conn.slot,
                hash,
                difficulty: hash.difficulty(),
                forwarded: has_room,
            });
        }
        match found.verdict {
            // A block is worth more than any rule: the pool may judge it otherwise.
            _ if found.block && is_new && has_room => {
                self.forward(id, submit, &sent, &found, candidate, turn)
            }
            Verdict::Forward => self.forward(id, submit, &sent, &found, None, turn),
            Verdict::BelowPool => self.keep(id, submit, &sent, &found, turn),
            Verdict::Refuse(reason) => {
                self.refuse(id, reason, submit.job, Some((&sent, &found)), turn)
            }
        }
        self.notice_size(submit, &sent, turn);
        if self.follow.shared(sent.id, turn.now.at) {
            turn.report(Fact::MinerLags { miner: self.id });
        }
    }

    /// Some hired machines roll the version without ever having asked (compat Q13): their pools are
    /// dialled anew with version rolling, and their next jobs take it.
    fn notice_rolling(&mut self, submit: &Submit, turn: &mut Turn<'_>) {
        let rolls = submit
            .version_bits
            .is_some_and(|bits| bits & VersionMask::BIP320.0 != 0);
        if rolls && self.session.rolling.is_none() && !self.session.was_configured {
            self.session.rolling = Some(VersionMask::BIP320);
            self.renew_without_rolling(turn);
        }
    }

    /// Takes in a share whose parameters cannot be read.
    pub(super) fn on_unreadable_submit(
        &mut self,
        id: RequestId,
        problem: String,
        turn: &mut Turn<'_>,
    ) {
        turn.report(Fact::MinerMessageBad {
            miner: self.id,
            problem: format!("mining.submit: {problem}"),
        });
        self.refuse(id, RejectReason::Malformed, None, None, turn);
    }

    /// Passes on what a pool answered.
    pub(super) fn on_answer(
        &mut self,
        slot: PoolSlot,
        share: PendingShare,
        outcome: Outcome,
        turn: &mut Turn<'_>,
    ) {
        let (reply, outcome) = match outcome {
            Outcome::True => (Reply::True, ShareOutcome::Accepted),
            Outcome::Rejected(reject) => (
                Reply::Rejected(reject.clone()),
                ShareOutcome::RejectedByPool(reject),
            ),
            Outcome::Subscribed(_) | Outcome::Configured(_) | Outcome::Other(_) => {
                let message = "The pool's answer cannot be understood".into();
                let reject = Reject { code: 20, message };
                (
                    Reply::Rejected(reject.clone()),
                    ShareOutcome::RejectedByPool(reject),
                )
            }
        };
        self.answer(slot, share, reply, outcome, turn);
    }

    /// Answers a share whose pool will not.
    pub(super) fn on_share_lost(
        &mut self,
        slot: PoolSlot,
        share: PendingShare,
        reason: RejectReason,
        turn: &mut Turn<'_>,
    ) {
        let reply = Reply::Rejected(reason.into());
        self.answer(slot, share, reply, ShareOutcome::Lost(reason), turn);
    }

    fn answer(
        &mut self,
        slot: PoolSlot,
        share: PendingShare,
        reply: Reply,
        outcome: ShareOutcome,
        turn: &mut Turn<'_>,
    ) {
        turn.block_ended(&share, &outcome);
        // A block that was kept had its answer when it was found, and was counted then.
        if let Some(id) = share.id.clone() {
            self.reply(id, reply, turn);
            self.conclude(slot, share, outcome, turn);
        }
    }

    /// How many shares wait for a pool's answer.
    pub(super) fn waiting_shares(&self) -> usize {
        let current = PoolSlot::ALL
            .into_iter()
            .filter_map(|slot| self.upstreams[slot].open());
        let retiring = self.retiring.iter().map(|retiring| &*retiring.open);
        current
            .chain(retiring)
            .map(|open| open.pending().count())
            .sum()
    }

    fn forward(
        &mut self,
        id: RequestId,
        submit: &Submit,
        sent: &SentJob,
        found: &Assessment,
        candidate: Option<Arc<Candidate>>,
        turn: &mut Turn<'_>,
    ) {
        let slot = sent.conn.slot;
        let ways = Ways::of(found.version, &sent.job, submit.version_bits);
        let sending = ways.map(|ways| turn.plan_version_form(slot, &ways, found.block));
        if sending == Some(Sending::Nowhere) {
            turn.pools[slot].forms.note_blocked(turn.now.unix_ms);
            let reason = RejectReason::VersionForm;
            return self.refuse(id, reason, submit.job, Some((sent, found)), turn);
        }
        let form = ways.zip(sending.and_then(Sending::first));
        let composed = self.compose(submit, sent, found, sending);
        let (Some(hash), Some((first, second)), Some(open)) =
            (found.hash, composed, self.open_mut(sent.conn))
        else {
            // Only a share with a hash on a living connection gets here, and its job was sent
            // because it fits.
            self.refuse(id, RejectReason::Stale, submit.job, None, turn);
            return;
        };
        let minded = open.note_share(sent.serial, &hash, submit.ntime);
        let share = PendingShare {
            id: Some(id),
            job: sent.id,
            difficulty: sent.job.difficulty,
            work: sent.work(hash.difficulty()),
            true_difficulty: hash.difficulty(),
            block: candidate,
            sent: turn.now.at,
            form: form.map(|(ways, form)| (ways.kind, form)),
            answers_due: 1,
            outlived: false,
        };
        open.submit(first, second, share, turn.out);
        turn.pools[sent.conn.slot]
            .answers
            .sent(self.id, turn.now.at);
        if minded {
            turn.handed_out(&sent.job, submit.ntime);
        }
        self.stats.last_share = Some(turn.now.into());
    }

    /// What the pool is sent of a share: once, or a second time in the other form of version bits.
    fn compose(
        &self,
        submit: &Submit,
        sent: &SentJob,
        found: &Assessment,
        sending: Option<Sending>,
    ) -> Option<(PoolSubmit, Option<PoolSubmit>)> {
        let (job, open) = (&sent.job, self.open(sent.conn));
        let ways = Ways::of(found.version, job, submit.version_bits);
        let in_form = |form| ways.map(|ways| ways.written(form));
        let form = sending.and_then(Sending::first);
        let first = PoolSubmit {
            user: open.map(Open::user).unwrap_or_default(),
            job_id: job.notify.job_id.clone(),
            e2: job.pool_extranonce2(&sent.extranonce, &submit.e2)?,
            ntime: submit.ntime,
            nonce: submit.nonce,
            version_bits: match (form, open) {
                (Some(form), _) => in_form(form),
                (None, Some(open)) => open.version_bits(found.version, job),
                (None, None) => (!job.mask.is_none()).then_some(found.version & job.mask.0),
            },
        };
        let second = match sending {
            Some(Sending::Both(form)) => Some(PoolSubmit {
                version_bits: in_form(form.other()),
                ..first.clone()
            }),
            Some(Sending::In(_) | Sending::Nowhere) | None => None,
        };
        Some((first, second))
    }

    /// Keeps a block candidate on the disk.
    fn keep_candidate(
        &self,
        submit: &Submit,
        sent: &SentJob,
        found: &Assessment,
        turn: &mut Turn<'_>,
    ) -> Option<Arc<Candidate>> {
        let slot = sent.conn.slot;
        let ways = Ways::of(found.version, &sent.job, submit.version_bits);
        let sending = ways.map(|ways| turn.plan_version_form(slot, &ways, true));
        let (first, second) = self.compose(submit, sent, found, sending)?;
        let solution = Solution {
            e2: submit.e2,
            ntime: submit.ntime,
            nonce: submit.nonce,
            version: found.version,
        };
        let candidate = Arc::new(Candidate {
            hash: found.hash?,
            slot,
            address: Arc::clone(&sent.address),
            worker: self.session.worker().to_owned(),
            unix_ms: turn.now.unix_ms,
            header: sent.job.header(&sent.extranonce, &solution)?,
            coinbase: sent.job.coinbase(&first.e2),
            job: Arc::clone(&sent.job),
            submit: first,
            second,
        });
        turn.out.push(Action::KeepBlock(Arc::clone(&candidate)));
        Some(candidate)
    }

    /// Pools that are back, or have other connections, get the block candidates that they could not be sent, or did not
    /// answer.
    pub(super) fn send_held_blocks(&mut self, turn: &mut Turn<'_>) {
        for slot in PoolSlot::ALL {
            if !turn.pools[slot].blocks.is_empty() {
                self.send_blocks_to(slot, turn);
            }
        }
    }

    fn send_blocks_to(&mut self, slot: PoolSlot, turn: &mut Turn<'_>) {
        let open = self.upstreams[slot].open_mut();
        let Some(open) = open.filter(|open| open.is_ready()) else {
            return;
        };
        let Some(extranonces) = open.extranonces() else {
            return;
        };
        let (address, blocks) = (open.address(), &mut turn.pools[slot].blocks);
        for candidate in blocks.take_for(&address, extranonces, turn.now.at) {
            let user = open.user();
            let with_user = |submit: &PoolSubmit| PoolSubmit {
                user: Arc::clone(&user),
                ..submit.clone()
            };
            let (first, second) = (&candidate.submit, candidate.second.as_ref());
            let (first, second) = (with_user(first), second.map(with_user));
            let share = PendingShare {
                id: None,
                job: JobId(0),
                difficulty: candidate.job.difficulty,
                work: candidate.job.difficulty.get(),
                true_difficulty: candidate.hash.difficulty(),
                block: Some(candidate),
                sent: turn.now.at,
                form: None,
                answers_due: 1,
                outlived: false,
            };
            open.submit(first, second, share, turn.out);
        }
    }

    /// A share for the miner's own difficulty only.
    fn keep(
        &mut self,
        id: RequestId,
        submit: &Submit,
        sent: &SentJob,
        found: &Assessment,
        turn: &mut Turn<'_>,
    ) {
        if let (Some(hash), Some(open)) = (found.hash, self.open_mut(sent.conn)) {
            if open.note_share(sent.serial, &hash, submit.ntime) {
                turn.handed_out(&sent.job, submit.ntime);
            }
        }
        self.reply(id, Reply::True, turn);
        self.stats.last_share = Some(turn.now.into());
        self.tell_result(
            ShareResult {
                outcome: ShareOutcome::BelowPool,
                true_difficulty: found.hash.map(|hash| hash.difficulty()),
                asked: sent.work(found.hash.map_or(0.0, |hash| hash.difficulty())),
                ..self.result_of(Some(sent.conn.slot), Some(sent.id))
            },
            turn,
        );
    }

    fn refuse(
        &mut self,
        id: RequestId,
        reason: RejectReason,
        job: Option<JobId>,
        known: Option<(&SentJob, &Assessment)>,
        turn: &mut Turn<'_>,
    ) {
        self.reply(id, Reply::Rejected(reason.into()), turn);
        let slot = known.map(|(sent, _)| sent.conn.slot);
        let assessment = known.map(|(_, found)| found);
        self.tell_result(
            ShareResult {
                outcome: ShareOutcome::RefusedHere(reason),
                true_difficulty: assessment
                    .and_then(|found| found.hash)
                    .map(|hash| hash.difficulty()),
                block: assessment.is_some_and(|found| found.block),
                ..self.result_of(slot, job)
            },
            turn,
        );
    }

    fn conclude(
        &mut self,
        slot: PoolSlot,
        share: PendingShare,
        outcome: ShareOutcome,
        turn: &mut Turn<'_>,
    ) {
        if let (Some(accepted), false) = (speaks_for_pool(&outcome), share.outlived) {
            turn.pools[slot].sites.answered(accepted, turn.now.at);
        }
        if let (Some((kind, form)), false) = (share.form, share.outlived) {
            turn.learn_version_form(slot, kind, form, &outcome);
        }
        match outcome {
            ShareOutcome::Lost(RejectReason::Stopping) => (),
            ShareOutcome::Lost(_) => turn.pools[slot].lost.add(1.0, turn.now.at),
            ShareOutcome::Accepted
            | ShareOutcome::RejectedByPool(_)
            | ShareOutcome::BelowPool
            | ShareOutcome::RefusedHere(_) => turn.pools[slot].answered.add(1.0, turn.now.at),
        }
        if !share.outlived {
            self.judge_pool(slot, share.sent, &outcome, turn);
        }
        let result = self.result_of(Some(slot), Some(share.job));
        // One that was kept was found earlier, perhaps by another miner, and is counted already.
        let kept = share.block.as_ref().filter(|_| share.id.is_none());
        self.tell_result(
            ShareResult {
                worker: kept.map_or(result.worker, |candidate| candidate.worker.clone()),
                outcome,
                asked: share.work,
                credit: Some(share.difficulty),
                true_difficulty: Some(share.true_difficulty),
                latency: Some(turn.now.at.saturating_duration_since(share.sent)),
                block: share.block.is_some() && kept.is_none(),
                ..result
            },
            turn,
        );
    }

    /// What became of a share as it speaks of its pool.
    fn judge_pool(
        &mut self,
        slot: PoolSlot,
        sent: Instant,
        outcome: &ShareOutcome,
        turn: &mut Turn<'_>,
    ) {
        let accepted = match outcome {
            ShareOutcome::Accepted => Some(true),
            // It comes of a new block and a long way.
            ShareOutcome::RejectedByPool(reject)
                if RejectClass::of(reject) == RejectClass::Stale =>
            {
                None
            }
            ShareOutcome::RejectedByPool(_) => Some(false),
            ShareOutcome::BelowPool | ShareOutcome::RefusedHere(_) | ShareOutcome::Lost(_) => {
                return;
            }
        };
        let answers = &mut turn.pools[slot].answers;
        answers.answered(self.id, sent, turn.now.at);
        if let Some(accepted) = accepted {
            self.last_answers[slot].push(accepted);
            answers.judged(self.id, sent, accepted, turn.now.at);
        }
    }

    fn result_of(&self, slot: Option<PoolSlot>, job: Option<JobId>) -> ShareResult {
        ShareResult {
            miner: self.id,
            worker: self.session.worker().to_owned(),
            slot,
            job,
            outcome: ShareOutcome::Accepted,
            asked: 0.0,
            credit: None,
            true_difficulty: None,
            latency: None,
            block: false,
        }
    }

    /// Counts a share everywhere.
    fn tell_result(&mut self, result: ShareResult, turn: &mut Turn<'_>) {
        self.stats.add(&result, turn.now);
        turn.totals.add(&result, turn.now);
        let was_lost = matches!(result.outcome, ShareOutcome::Lost(_));
        if let (Some(slot), Some(latency), false) = (result.slot, result.latency, was_lost) {
            turn.pools[slot].answered_after(latency);
        }
        turn.report(Fact::ShareResult(Box::new(result)));
    }

    /// Whether another submit is within `listen.submits_per_second` (two seconds' worth at once).
    fn take_token(&mut self, turn: &mut Turn<'_>) -> bool {
        let rate = f64::from(turn.config.listen.submits_per_second);
        if rate == 0.0 {
            return true;
        }
        let elapsed = turn.now.at.saturating_duration_since(self.tokens_at);
        self.tokens_at = turn.now.at;
        self.tokens = (self.tokens + rate * elapsed.as_secs_f64()).min(2.0 * rate);
        let within = self.tokens >= 1.0;
        if within {
            self.tokens -= 1.0;
            // Calm again only when there is some room, so that a flood is told once and not per share.
            self.limited &= self.tokens < rate;
        } else if !std::mem::replace(&mut self.limited, true) {
            turn.report(Fact::LimitReached {
                miner: Some(self.id),
                peer: self.peer,
                limit: Limit::SubmitsPerSecond,
            });
        }
        within
    }
}

/// Whether what became of a share speaks for its pool's address or against it.
fn speaks_for_pool(outcome: &ShareOutcome) -> Option<bool> {
    match outcome {
        ShareOutcome::Accepted => Some(true),
        // A pool that does not answer pays as little.
        ShareOutcome::RejectedByPool(_) | ShareOutcome::Lost(RejectReason::NoAnswer) => Some(false),
        ShareOutcome::BelowPool | ShareOutcome::RefusedHere(_) | ShareOutcome::Lost(_) => None,
    }
}
