//! What DPMP has learned about a pool and remembers across connections and restarts.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::core::outage::Step;
use crate::core::pool::extras::Tolerances;
use crate::core::pool::version_form::KnownForms;
use crate::units::VersionMask;

/// After so many refusals of a late `mining.configure` the pool is not asked any more.
const MOST_REFUSALS: u8 = 3;

/// How long a pool is not asked that seemed to like no order. It may have been down all the time.
const REST: Duration = Duration::from_secs(3600);

/// When a pool takes `mining.configure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigureHabit {
    /// Before subscribe, as BIP 310 says and Braiins demands (compat Q1). Assumed until known better.
    #[default]
    First,
    /// Between subscribe and authorize: ckpool hangs up on it before (compat Q52).
    AfterSubscribe,
    /// Not for now: there it hangs up as well, or refuses.
    Never,
}

impl ConfigureHabit {
    /// In which order this asks to configure, if it does.
    pub fn of(step: Step) -> Option<Self> {
        match step {
            Step::Configure => Some(Self::First),
            Step::ConfigureLate => Some(Self::AfterSubscribe),
            Step::Subscribe | Step::Authorize => None,
        }
    }
}

/// Whether connections to a pool that stand at the same time have different extranonce1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum E1s {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// Two that were looked at had.
    Differ,
    /// Two had the same.
    Repeat,
}

/// What was learnt of a pool and is remembered across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolFacts {
    /// The size of its extranonce2, in bytes; `None` if it was never reached.
    pub e2_size: Option<u8>,
    /// Whether its connections have different extranonce1.
    pub e1s: E1s,
    /// The version bits that it lets miners roll.
    #[serde(with = "mask_as_number")]
    pub mask: VersionMask,
    /// When it takes `mining.configure`.
    pub configure: ConfigureHabit,
    /// In which form it takes version bits.
    pub forms: KnownForms,
    /// What is left out, since it hangs up on it.
    pub hangs_up_on: Tolerances,
    /// How often in a row it hung up on `mining.configure`.
    #[serde(skip)]
    pub hang_ups: u8,
    /// Whether it has granted version rolling in this order: if it hangs up later, it is down for a moment.
    #[serde(skip)]
    pub granted: bool,
    /// Since when it is not asked any more.
    #[serde(skip)]
    gave_up: Option<Instant>,
    /// How often it refused, after subscribe, what it had seemed not to take before.
    #[serde(skip)]
    pub refusals: u8,
}

mod mask_as_number {
    //! A version mask in the state file.
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::units::VersionMask;

    pub(super) fn serialize<S: Serializer>(mask: &VersionMask, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u32(mask.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<VersionMask, D::Error> {
        u32::deserialize(from).map(VersionMask)
    }
}

impl PoolFacts {
    /// When a connection that begins now is to ask.
    pub fn order(&mut self, now: Instant) -> ConfigureHabit {
        let rests = |since| now.saturating_duration_since(since) < REST;
        if self.configure == ConfigureHabit::Never && !self.gave_up.is_some_and(rests) {
            self.configure = ConfigureHabit::First;
            (self.gave_up, self.hang_ups, self.refusals) = (None, 0, 0);
        }
        self.configure
    }

    /// Notes that the pool answered when it was asked in this order, and whether it granted version rolling.
    pub fn answered(&mut self, order: ConfigureHabit, granted: bool) {
        self.hang_ups = 0;
        if granted {
            (self.configure, self.granted, self.refusals) = (order, true, 0);
        }
    }

    /// Notes that the pool refused `mining.configure` after subscribe. Then it did not hang up on the
    /// other order for its own sake: it was down for a moment. Whether to try that order again; a
    /// pool that likes neither is not asked for a while.
    pub fn refused_late_configure(&mut self, now: Instant) -> bool {
        // Of a farm's connections the first one finds it out.
        if self.configure == ConfigureHabit::AfterSubscribe {
            self.refusals = self.refusals.saturating_add(1);
            self.granted = false;
            if self.refusals < MOST_REFUSALS {
                self.configure = ConfigureHabit::First;
            } else {
                self.give_up(now);
            }
        }
        self.configure == ConfigureHabit::First
    }

    /// Notes that the pool closed a connection instead of answering `mining.configure`, which came in this order. Only
    /// the second time in a row counts: the first may be chance.
    pub fn hung_up_on_configure(&mut self, order: ConfigureHabit, now: Instant) {
        if self.configure != order {
            return;
        }
        self.granted = false;
        self.hang_ups += 1;
        if self.hang_ups >= 2 {
            self.hang_ups = 0;
            if order == ConfigureHabit::First {
                self.configure = ConfigureHabit::AfterSubscribe;
            } else {
                self.give_up(now);
            }
        }
    }

    fn give_up(&mut self, now: Instant) {
        self.configure = ConfigureHabit::Never;
        self.gave_up = Some(now);
    }
}
