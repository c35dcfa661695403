//! The form in which a pool expects version bits, if the job's version already has bits inside the mask (compat Q57).
//!
//! BIP 310 wants the header's bits under the mask. Other pools want the bits in which the header differs from the job,
//! or add the bits that they get to the job's. If the job has none of these bits set, all forms are the same. Otherwise
//! DPMP learns the form from what the pool accepts. A wrong guess costs a few shares and no block.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::stratum::job::PoolJob;
use crate::units::VersionForm;

/// After this many rejects in a row, the other form is tried.
const ENOUGH_REJECTS: u32 = 3;

/// How often the other form is tried.
const TRY_EVERY: Duration = Duration::from_secs(60);

/// Shares that a pool rejects in both forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedShares {
    /// How many there are.
    pub shares: u64,
    /// The first one, in milliseconds since 1970.
    pub since_ms: u64,
    /// The last one, in milliseconds since 1970.
    pub last_ms: u64,
}

/// What a header did with the job's bits. A pool that adds bits to the job's (ckpool, DATUM) accepts both forms if they
/// were kept, and neither if not. So results for one kind say little about the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It kept them all.
    Kept,
    /// It cleared some.
    Cleared,
}

/// The version bits of a share for which the forms differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    bits: u32,
    delta: u32,
    /// What happened to the job's bits.
    pub kind: Kind,
    /// The form in which the miner sent them.
    miners: VersionForm,
}

impl Ways {
    /// The ways for a share with this header version, sent with these bits; `None` if both forms are the same. Bits
    /// outside the mask, which only a block may have, count as if they were inside.
    pub fn of(version: u32, job: &PoolJob, sent: Option<u32>) -> Option<Self> {
        let own = job.notify.version;
        let mask = job.mask.0 | (version ^ own);
        let (bits, delta) = (version & mask, version ^ own);
        let kept = version & own & mask == own & mask;
        // Bits in neither form (cgminer leaves out the job's) can only be read by a pool that adds, which can also read
        // `Bits`.
        let sent_delta = sent.is_some_and(|sent| sent & mask == delta);
        (bits != delta).then_some(Self {
            bits,
            delta,
            kind: if kept { Kind::Kept } else { Kind::Cleared },
            miners: if sent_delta {
                VersionForm::Delta
            } else {
                VersionForm::Bits
            },
        })
    }

    /// The bits for the pool in one form.
    pub fn written(&self, form: VersionForm) -> u32 {
        match form {
            VersionForm::Bits => self.bits,
            VersionForm::Delta => self.delta,
        }
    }
}

/// The forms in which a pool has accepted shares, remembered across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownForms {
    kept: Option<VersionForm>,
    cleared: Option<VersionForm>,
}

impl KnownForms {
    /// The proven form.
    fn proven(&self, kind: Kind) -> Option<VersionForm> {
        match kind {
            // A pool that accepts a header with cleared bits does not add them.
            Kind::Kept => self.kept.or(self.cleared),
            Kind::Cleared => self.cleared,
        }
    }

    fn best_guess(&self, ways: &Ways) -> VersionForm {
        let known = self.proven(ways.kind).or(self.kept);
        known.unwrap_or(ways.miners)
    }

    /// Records an accepted share. Returns whether that is new information.
    fn learn(&mut self, kind: Kind, form: VersionForm) -> bool {
        let place = match kind {
            Kind::Kept => &mut self.kept,
            Kind::Cleared => &mut self.cleared,
        };
        place.replace(form) != Some(form)
    }
}

/// How to send a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendPlan {
    /// In this form.
    In(VersionForm),
    /// In this form and then in the other one, because a block is worth a reject.
    Both(VersionForm),
    /// Not at all: the pool rejects it in either form.
    Nowhere,
}

impl SendPlan {
    /// The form that is sent first.
    pub fn first(self) -> Option<VersionForm> {
        match self {
            Self::In(form) | Self::Both(form) => Some(form),
            Self::Nowhere => None,
        }
    }
}

/// What a pool's answer to a share changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The pool has been proven to accept this form.
    Learnt(VersionForm),
    /// The pool rejects both forms.
    Hopeless,
}

/// How well the forms have worked at a pool's current address.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    kept: Rejects,
    cleared: Rejects,
    /// The last trial of a form other than the best guess.
    tried: Option<(Instant, VersionForm)>,
    /// Shares that DPMP blocked because the pool would have rejected them.
    pub blocked: Option<BlockedShares>,
}

/// Rejects since the last accepted share, by form.
#[derive(Clone, Copy, Debug, Default)]
struct Rejects {
    bits: u32,
    delta: u32,
}

impl Rejects {
    fn of(&mut self, form: VersionForm) -> &mut u32 {
        match form {
            VersionForm::Bits => &mut self.bits,
            VersionForm::Delta => &mut self.delta,
        }
    }

    /// Whether both forms failed: one repeatedly, the other at least once.
    fn is_hopeless(&self) -> bool {
        self.bits.min(self.delta) >= 1 && self.bits.max(self.delta) >= ENOUGH_REJECTS
    }
}

impl Forms {
    fn rejects(&mut self, kind: Kind) -> &mut Rejects {
        match kind {
            Kind::Kept => &mut self.kept,
            Kind::Cleared => &mut self.cleared,
        }
    }

    /// How to send a share now. `answer`: how long the pool may take to answer, so that there is only one trial at a
    /// time.
    pub fn plan(
        &mut self,
        ways: &Ways,
        known: &KnownForms,
        block: bool,
        answer: Duration,
        now: Instant,
    ) -> SendPlan {
        let guess = known.best_guess(ways);
        let mut rejects = *self.rejects(ways.kind);
        if block {
            let proven = known.proven(ways.kind).is_some() && *rejects.of(guess) == 0;
            return if proven {
                SendPlan::In(guess)
            } else {
                SendPlan::Both(guess)
            };
        }
        if *rejects.of(guess) < ENOUGH_REJECTS && !rejects.is_hopeless() {
            return SendPlan::In(guess);
        }
        let pause = TRY_EVERY.max(answer);
        let may_try = self
            .tried
            .is_none_or(|(at, _)| now.saturating_duration_since(at) >= pause);
        if may_try {
            // In turns, once both have failed, because the pool may change.
            let again = self.tried.filter(|_| rejects.is_hopeless());
            let form = again.map_or(guess, |(_, form)| form).other();
            self.tried = Some((now, form));
            SendPlan::In(form)
        } else if rejects.is_hopeless() {
            SendPlan::Nowhere
        } else {
            SendPlan::In(guess)
        }
    }

    /// Records a share that was blocked.
    pub fn note_blocked(&mut self, unix_ms: u64) {
        let blocked = self.blocked.get_or_insert(BlockedShares {
            shares: 0,
            since_ms: unix_ms,
            last_ms: unix_ms,
        });
        blocked.shares += 1;
        blocked.last_ms = unix_ms;
    }

    /// Records the pool's answer to a share in one form: accepted, or rejected for a reason other than being stale or a
    /// duplicate.
    pub fn answered(
        &mut self,
        kind: Kind,
        form: VersionForm,
        accepted: bool,
        known: &mut KnownForms,
    ) -> Option<Change> {
        let rejects = self.rejects(kind);
        let was_hopeless = rejects.is_hopeless();
        if accepted {
            *rejects = Rejects::default();
            if !self.kept.is_hopeless() && !self.cleared.is_hopeless() {
                self.blocked = None;
            }
            let is_news = known.learn(kind, form);
            return (is_news || was_hopeless).then_some(Change::Learnt(form));
        }
        let count = rejects.of(form);
        *count = count.saturating_add(1);
        (rejects.is_hopeless() && !was_hopeless).then_some(Change::Hopeless)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stratum::job::Notify;
    use crate::units::{Difficulty, Extranonce1, VersionMask};

    fn job(version: u32) -> PoolJob {
        let notify = Notify {
            job_id: "j".into(),
            prevhash: [0; 32],
            coinb1: Vec::new(),
            coinb2: Vec::new(),
            branches: Vec::new(),
            version,
            nbits: 0x1702_3a04,
            ntime: 0,
            clean: true,
        };
        let mask = VersionMask::BIP320;
        PoolJob::new(
            Arc::new(notify),
            Extranonce1::default(),
            8,
            Difficulty::ONE,
            mask,
        )
    }

    const ANSWER: Duration = Duration::from_secs(30);

    #[test]
    fn forms_differ_only_if_the_job_has_bits_inside_the_mask() {
        assert_eq!(Ways::of(0x2000_6000, &job(0x2000_0000), Some(0x6000)), None);
        let axeos = Ways::of(0x2080_6000, &job(0x2080_0000), Some(0x6000)).unwrap();
        assert_eq!(axeos.written(VersionForm::Bits), 0x0080_6000);
        assert_eq!(axeos.written(VersionForm::Delta), 0x6000);
        assert_eq!((axeos.kind, axeos.miners), (Kind::Kept, VersionForm::Delta));
        let bip = Ways::of(0x2000_6000, &job(0x2080_0000), Some(0x6000)).unwrap();
        assert_eq!(bip.written(VersionForm::Delta), 0x0080_6000);
        assert_eq!((bip.kind, bip.miners), (Kind::Cleared, VersionForm::Bits));
        let silent = Ways::of(0x2080_0000, &job(0x2080_0000), None).unwrap();
        assert_eq!(
            (silent.kind, silent.miners),
            (Kind::Kept, VersionForm::Bits)
        );
        assert_eq!(silent.written(VersionForm::Bits), 0x0080_0000);
    }

    #[test]
    fn a_wrong_guess_costs_three_shares_and_a_trial_finds_the_other_form() {
        let now = Instant::now();
        let ways = Ways::of(0x2080_6000, &job(0x2080_0000), Some(0x6000)).unwrap();
        let (mut forms, mut known) = (Forms::default(), KnownForms::default());
        for _ in 0..ENOUGH_REJECTS {
            let plan = forms.plan(&ways, &known, false, ANSWER, now);
            assert_eq!(plan, SendPlan::In(VersionForm::Delta));
            assert_eq!(
                forms.plan(&ways, &known, true, ANSWER, now),
                SendPlan::Both(VersionForm::Delta)
            );
            let change = forms.answered(ways.kind, VersionForm::Delta, false, &mut known);
            assert_eq!(change, None);
        }
        let mut plan = || forms.plan(&ways, &known, false, ANSWER, now);
        assert_eq!(plan(), SendPlan::In(VersionForm::Bits));
        assert_eq!(
            plan(),
            SendPlan::In(VersionForm::Delta),
            "one trial at a time"
        );
        let change = forms.answered(ways.kind, VersionForm::Bits, true, &mut known);
        assert_eq!(change, Some(Change::Learnt(VersionForm::Bits)));
        for block in [false, true] {
            let plan = forms.plan(&ways, &known, block, ANSWER, now);
            assert_eq!(plan, SendPlan::In(VersionForm::Bits));
        }
    }

    #[test]
    fn if_a_pool_takes_no_form_one_is_tried_each_minute_in_turn() {
        let mut now = Instant::now();
        let ways = Ways::of(0x2000_6000, &job(0x2080_0000), Some(0x6000)).unwrap();
        let (mut forms, mut known) = (Forms::default(), KnownForms::default());
        let mut sent = Vec::new();
        let mut changes = Vec::new();
        for _ in 0..600 {
            match forms.plan(&ways, &known, false, ANSWER, now) {
                SendPlan::In(form) => {
                    sent.push(form);
                    changes.extend(forms.answered(ways.kind, form, false, &mut known));
                }
                SendPlan::Both(_) => panic!("no block"),
                SendPlan::Nowhere => forms.note_blocked(1),
            }
            now += Duration::from_secs(1);
        }
        use VersionForm::{Bits, Delta};
        assert_eq!(sent[..7], [Bits, Bits, Bits, Delta, Bits, Delta, Bits]);
        assert_eq!(sent.len(), 13, "{sent:?}");
        assert_eq!(changes, [Change::Hopeless]);
        assert_eq!(forms.blocked.unwrap().shares, 587);
        // A block is sent anyway, and headers that keep the job's bits are not affected.
        let block = forms.plan(&ways, &known, true, ANSWER, now);
        assert_eq!(block, SendPlan::Both(Bits));
        let kept = Ways::of(0x2080_6000, &job(0x2080_0000), Some(0x6000)).unwrap();
        let plan = forms.plan(&kept, &known, false, ANSWER, now);
        assert_eq!(plan, SendPlan::In(Delta));
        assert_eq!(
            forms.answered(ways.kind, Bits, true, &mut known),
            Some(Change::Learnt(Bits))
        );
        assert_eq!(forms.blocked, None);
    }
}
