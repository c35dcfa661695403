//! Shares: each submit gets exactly one answer, from the pool that owns its job or from DPMP.

use std::sync::Arc;

use super::Miner;
use super::work::holds;
use crate::core::action::Action;
use crate::core::fact::{Fact, Limit, ShareOutcome, ShareResult};
use crate::core::miner::context::Context;
use crate::core::pool::connection::{Asker, Connection, WaitingShare};
use crate::core::pool::shares::judged;
use crate::core::pool::version_form::{SendPlan, Ways};
use crate::core::work::block::Candidate;
use crate::core::work::jobs::SentJob;
use crate::core::work::judge::{Assessment, Surroundings, Verdict, assess};
use crate::stratum::job::Solution;
use crate::stratum::message::{PoolSubmit, Reply, RequestId, Submit};
use crate::stratum::reject::RejectReason;
use crate::units::{JobId, PoolSlot, VersionMask};

/// The burst of shares that the limit allows, in seconds' worth. Shares that waited while DPMP or the network stood still
/// arrive together, and are not a flood.
const BURST: f64 = 60.0;

/// How many shares of one member may wait for an answer on a shared connection. Blocks are allowed beyond that.
const MOST_WAITING: usize = 64;

impl Miner {
    /// Handles a share.
    pub(super) fn on_submit(&mut self, id: RequestId, submit: &Submit, cx: &mut Context<'_>) {
        let within_limit = self.take_token(cx);
        let authorized = self.session.is_authorized();
        let Some(sent) = submit.job.and_then(|job| self.sent.get(job)).cloned() else {
            let reason = match (within_limit, authorized) {
                (false, _) => RejectReason::TooMany,
                (true, false) if self.session.extranonce.is_none() => RejectReason::NotSubscribed,
                (true, false) => RejectReason::Unauthorized,
                (true, true) => RejectReason::UnknownJob,
            };
            self.stats.rhythm.heard(false, cx.now.at);
            self.refuse(id, reason, submit.job, None, cx);
            return;
        };
        self.notice_rolling(submit, cx);
        let surroundings = Surroundings {
            authorized,
            fresh: holds(cx.pools, &sent),
        };
        let slot = sent.conn.slot;
        let connection = cx.pools[slot].connections.get(&sent.conn);
        let seen = |hash: &_| self.seen[slot].contains(hash);
        let mut found = assess(submit, &sent, surroundings, seen);
        let is_full = |it: &Connection| {
            let crowded = cx.pools[slot].is_shared(it.line) && it.pending().len() >= MOST_WAITING;
            crowded && !found.block && it.pending_of(self.id).count() >= MOST_WAITING
        };
        let has_room = connection.is_some_and(|it| it.has_room(found.block) && !is_full(it));
        // Sending a block again would not help.
        let is_new = !found.hash.as_ref().is_some_and(seen);
        if !within_limit || (found.verdict == Verdict::Forward && !has_room) {
            found.verdict = Verdict::Refuse(RejectReason::TooMany);
        }
        let is_share = match found.verdict {
            Verdict::Forward | Verdict::BelowPool => true,
            Verdict::Refuse(reason) => reason == RejectReason::Stale,
        };
        self.stats.rhythm.heard(is_share, cx.now.at);
        let line = connection.map(|it| it.line);
        let is_shared = line.is_some_and(|line| cx.pools[slot].is_shared(line));
        if let Some(hash) = found.hash.filter(|_| is_share && is_shared) {
            let is_present = Some(sent.told) >= self.told_difficulty;
            let work = sent.work(hash.difficulty());
            self.vardiff.share(work, is_present, cx.now.at);
        }
        let is_held = |hash: &_| cx.pools[slot].blocks.contains(hash);
        let hash = found
            .hash
            .filter(|hash| found.block && is_new && !is_held(hash));
        let mut candidate = None;
        if let Some(hash) = hash {
            candidate = self.keep_candidate(submit, &sent, &found, cx);
            if let Some(candidate) = candidate.as_ref().filter(|_| !has_room) {
                let blocks = &mut cx.pools[slot].blocks;
                blocks.hold(Arc::clone(candidate), cx.now.at);
            }
            cx.report(Fact::BlockFound {
                miner: self.id,
                worker: self.session.worker().to_owned(),
                slot: sent.conn.slot,
                hash,
                difficulty: hash.difficulty(),
                forwarded: has_room,
            });
        }
        match found.verdict {
            // A block is worth more than any rule, and the pool may judge it differently.
            _ if found.block && is_new && has_room => {
                self.forward(id, submit, &sent, &found, candidate, cx)
            }
            Verdict::Forward => self.forward(id, submit, &sent, &found, None, cx),
            Verdict::BelowPool => self.keep(id, submit, &sent, &found, cx),
            Verdict::Refuse(reason) => {
                self.refuse(id, reason, submit.job, Some((&sent, &found)), cx)
            }
        }
        self.notice_size(submit, &sent, cx);
        if self.follow.shared(sent.id, cx.now.at) {
            cx.report(Fact::MinerLags { miner: self.id });
        }
    }

    /// Some rented machines roll the version without having asked (compat Q13). Their pools are dialed again with
    /// version rolling, and their next jobs allow it.
    fn notice_rolling(&mut self, submit: &Submit, cx: &mut Context<'_>) {
        let rolls = submit
            .version_bits
            .is_some_and(|bits| bits & VersionMask::BIP320.0 != 0);
        if rolls && self.session.rolling.is_none() && !self.session.was_configured {
            self.session.rolling = Some(VersionMask::BIP320);
            self.renew_without_rolling(cx);
            // Where the connection has version rolling already, no new job would come.
            if let Some(slot) = self.schedule.on() {
                self.send_work(slot, cx);
            }
        }
    }

    /// Handles a share whose parameters cannot be read.
    pub(super) fn on_unreadable_submit(
        &mut self,
        id: RequestId,
        problem: String,
        cx: &mut Context<'_>,
    ) {
        cx.report(Fact::MinerMessageBad {
            miner: self.id,
            problem: format!("mining.submit: {problem}"),
        });
        self.refuse(id, RejectReason::Malformed, None, None, cx);
    }

    /// A pool has begun a new block: shares of the previous one can hardly be repeated.
    pub fn age_shares(&mut self, slot: PoolSlot) {
        self.seen[slot].age();
    }

    /// Handles the result of a share that was sent to a pool.
    pub fn on_settled(
        &mut self,
        slot: PoolSlot,
        share: WaitingShare,
        outcome: ShareOutcome,
        cx: &mut Context<'_>,
    ) {
        let Some(Asker { id, .. }) = share.asker.clone() else {
            return;
        };
        self.reply(id, outcome.reply(), cx);
        match outcome {
            ShareOutcome::Accepted => self.strikes[slot] = 0,
            ShareOutcome::Lost(RejectReason::NoAnswer) => self.strike(slot, 1),
            ShareOutcome::BelowPool
            | ShareOutcome::RejectedByPool(_)
            | ShareOutcome::RefusedHere(_)
            | ShareOutcome::Lost(_) => (),
        }
        if let (Some(accepted), false) = (judged(&share, &outcome), share.outlived) {
            self.last_answers[slot].push(accepted);
        }
        self.tell_result(share.result(self.id, slot, outcome, cx.now.at), cx);
    }

    fn forward(
        &mut self,
        id: RequestId,
        submit: &Submit,
        sent: &SentJob,
        found: &Assessment,
        candidate: Option<Arc<Candidate>>,
        cx: &mut Context<'_>,
    ) {
        let slot = sent.conn.slot;
        let ways = Ways::of(found.version, &sent.job, submit.version_bits);
        let sending = ways.map(|ways| cx.plan_version_form(slot, &ways, found.block));
        if sending == Some(SendPlan::Nowhere) {
            cx.pools[slot].forms.note_blocked(cx.now.unix_ms);
            let reason = RejectReason::VersionForm;
            return self.refuse(id, reason, submit.job, Some((sent, found)), cx);
        }
        let form = ways.zip(sending.and_then(SendPlan::first));
        let pool = &mut cx.pools[slot];
        let connection = pool.connections.get_mut(&sent.conn);
        let name = connection.as_ref().and_then(|it| self.name_on(it)).cloned();
        let composed = compose(
            submit,
            sent,
            found,
            ways,
            sending,
            connection.as_ref().map(|it| &***it),
        );
        let (Some(hash), Some((mut first, mut second)), Some(connection)) =
            (found.hash, composed, connection)
        else {
            // Only a share with a hash on a live connection gets here, and its job was sent because it fits.
            self.refuse(id, RejectReason::Stale, submit.job, None, cx);
            return;
        };
        if let Some(name) = &name {
            for submit in [&mut first].into_iter().chain(&mut second) {
                submit.user = Arc::clone(name);
            }
        }
        self.seen[slot].insert(&hash);
        let minded = connection.jobs.minds(sent.serial, submit.ntime);
        let miner = self.id;
        let share = WaitingShare {
            asker: Some(Asker { miner, id }),
            worker: self.session.worker_name(),
            job: sent.id,
            difficulty: sent.job.difficulty,
            work: sent.work(hash.difficulty()),
            true_difficulty: hash.difficulty(),
            block: candidate,
            sent: cx.now.at,
            form: form.map(|(ways, form)| (ways.kind, form)),
            answers_due: 1,
            name,
            outlived: false,
            former: false,
            outgrown: false,
        };
        connection.submit(first, second, share, cx.out);
        pool.answers.sent(self.id, cx.now.at);
        if minded {
            cx.note_work(&sent.job, &sent.extranonce, submit.ntime);
        }
        self.stats.last_share = Some(cx.now.into());
    }

    /// Saves a block candidate to the disk.
    fn keep_candidate(
        &self,
        submit: &Submit,
        sent: &SentJob,
        found: &Assessment,
        cx: &mut Context<'_>,
    ) -> Option<Arc<Candidate>> {
        let slot = sent.conn.slot;
        let ways = Ways::of(found.version, &sent.job, submit.version_bits);
        let sending = ways.map(|ways| cx.plan_version_form(slot, &ways, true));
        let connection = cx.pools[slot].connections.get(&sent.conn).map(|it| &**it);
        let (first, second) = compose(submit, sent, found, ways, sending, connection)?;
        let solution = Solution {
            e2: submit.e2,
            ntime: submit.ntime,
            nonce: submit.nonce,
            version: found.version,
        };
        let config = cx.config.pools[slot].as_ref();
        let candidate = Arc::new(Candidate {
            hash: found.hash?,
            slot,
            pool: config.map_or_else(String::new, |pool| pool.name.clone()),
            chain: config.map_or_else(String::new, |pool| pool.chain.clone()),
            address: Arc::clone(&sent.address),
            worker: self.session.worker().to_owned(),
            unix_ms: cx.now.unix_ms,
            header: sent.job.header(&sent.extranonce, &solution)?,
            coinbase: sent.job.coinbase(&first.e2),
            job: Arc::clone(&sent.job),
            submit: first,
            second,
        });
        cx.out.push(Action::KeepBlock(Arc::clone(&candidate)));
        Some(candidate)
    }

    /// Handles a share that only meets the miner's own difficulty.
    fn keep(
        &mut self,
        id: RequestId,
        submit: &Submit,
        sent: &SentJob,
        found: &Assessment,
        cx: &mut Context<'_>,
    ) {
        if let Some(hash) = found.hash {
            self.seen[sent.conn.slot].insert(&hash);
        }
        let connection = cx.pools[sent.conn.slot].connections.get(&sent.conn);
        let former = connection.is_some_and(|it| it.is_former());
        if connection.is_some_and(|it| it.jobs.minds(sent.serial, submit.ntime)) {
            cx.note_work(&sent.job, &sent.extranonce, submit.ntime);
        }
        self.reply(id, Reply::True, cx);
        self.stats.last_share = Some(cx.now.into());
        self.tell_result(
            ShareResult {
                outcome: ShareOutcome::BelowPool,
                true_difficulty: found.hash.map(|hash| hash.difficulty()),
                asked: sent.work(found.hash.map_or(0.0, |hash| hash.difficulty())),
                former,
                ..self.result_of(Some(sent.conn.slot), Some(sent.id))
            },
            cx,
        );
    }

    fn refuse(
        &mut self,
        id: RequestId,
        reason: RejectReason,
        job: Option<JobId>,
        known: Option<(&SentJob, &Assessment)>,
        cx: &mut Context<'_>,
    ) {
        self.reply(id, Reply::Rejected(reason.into()), cx);
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
            cx,
        );
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
            former: false,
            together: false,
        }
    }

    /// Counts a share everywhere.
    fn tell_result(&mut self, result: ShareResult, cx: &mut Context<'_>) {
        self.stats.add(&result, cx.now);
        cx.totals.add(&result, cx.now);
        let was_lost = matches!(result.outcome, ShareOutcome::Lost(_));
        if let (Some(slot), Some(latency), false) = (result.slot, result.latency, was_lost) {
            cx.pools[slot].answered_after(latency);
        }
        cx.report(Fact::ShareResult(Box::new(result)));
    }

    /// Whether another submit is within `listen.submits_per_second`, over up to [`BURST`].
    fn take_token(&mut self, cx: &mut Context<'_>) -> bool {
        let rate = f64::from(cx.config.listen.submits_per_second);
        if rate == 0.0 {
            return true;
        }
        let elapsed = cx.now.at.saturating_duration_since(self.tokens_at);
        self.tokens_at = cx.now.at;
        self.tokens = (self.tokens + rate * elapsed.as_secs_f64()).min(BURST * rate);
        let within = self.tokens >= 1.0;
        if within {
            self.tokens -= 1.0;
            // The flood is over only when there is some room again, so that it is reported once and not per share.
            self.limited &= self.tokens < rate;
        } else if !std::mem::replace(&mut self.limited, true) {
            cx.report(Fact::LimitReached {
                miner: Some(self.id),
                peer: self.peer,
                limit: Limit::SubmitsPerSecond,
            });
        }
        within
    }
}

/// The message to the pool for a share: the first one, or a second one in the other form of version bits.
fn compose(
    submit: &Submit,
    sent: &SentJob,
    found: &Assessment,
    ways: Option<Ways>,
    sending: Option<SendPlan>,
    connection: Option<&Connection>,
) -> Option<(PoolSubmit, Option<PoolSubmit>)> {
    let job = &sent.job;
    let in_form = |form| ways.map(|ways| ways.written(form));
    let form = sending.and_then(SendPlan::first);
    let first = PoolSubmit {
        user: connection.map(Connection::user).unwrap_or_default(),
        job_id: job.notify.job_id.clone(),
        e2: job.pool_extranonce2(&sent.extranonce, &submit.e2)?,
        ntime: submit.ntime,
        nonce: submit.nonce,
        version_bits: match (form, connection) {
            (Some(form), _) => in_form(form),
            (None, Some(connection)) => connection.version_bits(found.version, job),
            (None, None) => (!job.mask.is_none()).then_some(found.version & job.mask.0),
        },
    };
    let second = match sending {
        Some(SendPlan::Both(form)) => Some(PoolSubmit {
            version_bits: in_form(form.other()),
            ..first.clone()
        }),
        Some(SendPlan::In(_) | SendPlan::Nowhere) | None => None,
    };
    Some((first, second))
}
