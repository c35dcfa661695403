//! What the result of a share says about its pool: about its address, its form of version bits, or a block.

use std::sync::Arc;
use std::time::Instant;

use crate::core::action::Action;
use crate::core::fact::{Fact, ShareOutcome, ShareResult};
use crate::core::pool::Pool;
use crate::core::pool::connection::WaitingShare;
use crate::core::pool::moment::Moment;
use crate::core::pool::version_form::Change;
use crate::stratum::reject::{RejectClass, RejectReason};
use crate::units::{MinerId, PoolSlot};

impl Pool {
    /// A share that was sent to the pool was answered or given up.
    pub fn share_ended(
        &mut self,
        share: &WaitingShare,
        outcome: &ShareOutcome,
        moment: &mut Moment<'_>,
    ) {
        self.block_ended(share, outcome, moment);
        // A block that was kept was already answered and counted when it was found.
        let Some(asker) = &share.asker else {
            return;
        };
        if share.former {
            return;
        }
        let now = moment.now.at;
        match outcome {
            ShareOutcome::Lost(RejectReason::Stopping) => (),
            ShareOutcome::Lost(_) => self.lately.lost.add(1.0, now),
            ShareOutcome::RejectedByPool(_) => self.lately.rejected.add(1.0, now),
            ShareOutcome::Accepted | ShareOutcome::BelowPool | ShareOutcome::RefusedHere(_) => {
                self.lately.accepted.add(1.0, now);
            }
        }
        if share.outlived {
            return;
        }
        if let Some(accepted) = speaks_for_address(share, outcome) {
            self.addresses.answered(accepted, now);
        }
        self.learn_version_form(share, outcome, moment);
        if matches!(
            outcome,
            ShareOutcome::Accepted | ShareOutcome::RejectedByPool(_)
        ) {
            self.answers.answered(asker.miner, share.sent, now);
        }
        if let Some(accepted) = judged(share, outcome) {
            self.answers.judged(asker.miner, share.sent, accepted, now);
        }
    }

    /// A block without an answer waits for its pool, once.
    fn block_ended(
        &mut self,
        share: &WaitingShare,
        outcome: &ShareOutcome,
        moment: &mut Moment<'_>,
    ) {
        let Some(candidate) = &share.block else {
            return;
        };
        let hash = candidate.hash;
        moment.out.push(Action::KeepAnswer {
            hash,
            outcome: outcome.clone(),
        });
        if share.asker.is_none() {
            moment.report(Fact::KeptBlock {
                slot: candidate.slot,
                worker: candidate.worker.clone(),
                hash,
                outcome: outcome.clone(),
            });
        } else if matches!(outcome, ShareOutcome::Lost(_)) {
            self.blocks.hold(Arc::clone(candidate), moment.now.at);
        }
    }

    /// Learns from the result of a share that was sent in one form.
    fn learn_version_form(
        &mut self,
        share: &WaitingShare,
        outcome: &ShareOutcome,
        moment: &mut Moment<'_>,
    ) {
        let Some((kind, form)) = share.form else {
            return;
        };
        let accepted = match outcome {
            ShareOutcome::Accepted => true,
            ShareOutcome::RejectedByPool(reject) if share.is_outgrown(reject) => return,
            ShareOutcome::RejectedByPool(reject) => match RejectClass::of(reject) {
                RejectClass::Stale | RejectClass::Duplicate => return,
                RejectClass::LowDifficulty | RejectClass::Unauthorized | RejectClass::Other => {
                    false
                }
            },
            ShareOutcome::BelowPool | ShareOutcome::RefusedHere(_) | ShareOutcome::Lost(_) => {
                return;
            }
        };
        let learnt = self
            .forms
            .answered(kind, form, accepted, &mut self.facts.forms);
        if let Some(change) = learnt {
            let form = match change {
                Change::Learnt(form) => Some(form),
                Change::Hopeless => None,
            };
            let slot = self.slot();
            moment.report(Fact::VersionForm { slot, form });
        }
    }
}

impl WaitingShare {
    /// The result that is counted.
    pub fn result(
        &self,
        miner: MinerId,
        slot: PoolSlot,
        outcome: ShareOutcome,
        now: Instant,
    ) -> ShareResult {
        ShareResult {
            miner,
            worker: self.worker.to_string(),
            slot: Some(slot),
            job: Some(self.job),
            outcome,
            asked: self.work,
            credit: Some(self.difficulty),
            true_difficulty: Some(self.true_difficulty),
            latency: Some(now.saturating_duration_since(self.sent)),
            block: self.block.is_some(),
            former: self.former,
            together: false,
        }
    }
}

/// Whether a pool accepted or rejected a share. Stale ones do not count, because they result from a new block and a
/// slow connection. Nor do shares that only a later difficulty rules out.
pub fn judged(share: &WaitingShare, outcome: &ShareOutcome) -> Option<bool> {
    match outcome {
        ShareOutcome::Accepted => Some(true),
        ShareOutcome::RejectedByPool(reject) if share.is_outgrown(reject) => None,
        ShareOutcome::RejectedByPool(reject) => {
            (RejectClass::of(reject) != RejectClass::Stale).then_some(false)
        }
        ShareOutcome::BelowPool | ShareOutcome::RefusedHere(_) | ShareOutcome::Lost(_) => None,
    }
}

/// Whether the result of a share speaks for or against its pool's address.
fn speaks_for_address(share: &WaitingShare, outcome: &ShareOutcome) -> Option<bool> {
    match outcome {
        ShareOutcome::Accepted => Some(true),
        ShareOutcome::RejectedByPool(reject) if share.is_outgrown(reject) => None,
        // A pool that does not answer does not pay, either.
        ShareOutcome::RejectedByPool(_) | ShareOutcome::Lost(RejectReason::NoAnswer) => Some(false),
        ShareOutcome::BelowPool | ShareOutcome::RefusedHere(_) | ShareOutcome::Lost(_) => None,
    }
}
