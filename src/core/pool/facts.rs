//! What DPMP has learned about a pool and remembers across connections and restarts.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::core::outage::Step;
use crate::core::pool::extras::Tolerances;
use crate::core::pool::version_form::KnownForms;
use crate::units::VersionMask;

/// After this many refusals of a late `mining.configure`, DPMP no longer asks the pool.
const MOST_REFUSALS: u8 = 3;

/// How long DPMP does not ask a pool that seemed to refuse both orders. It may just have been down.
const REST: Duration = Duration::from_secs(3600);

/// When a pool accepts `mining.configure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigureHabit {
    /// Before subscribe, as BIP 310 says and Braiins requires (compat Q1). The default.
    #[default]
    First,
    /// Between subscribe and authorize: ckpool closes the connection if it comes earlier (compat Q52).
    AfterSubscribe,
    /// Not for now: the pool also closes or refuses there.
    Never,
}

impl ConfigureHabit {
    /// The order in which this step asks to configure, if it does.
    pub fn of(step: Step) -> Option<Self> {
        match step {
            Step::Configure => Some(Self::First),
            Step::ConfigureLate => Some(Self::AfterSubscribe),
            Step::Subscribe | Step::Authorize => None,
        }
    }
}

/// Whether simultaneous connections to a pool get different extranonce1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum E1s {
    /// Unknown.
    #[default]
    Unknown,
    /// Two connections had different ones.
    Differ,
    /// Two connections had the same.
    Repeat,
}

/// Whether a pool takes several names on one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameHabit {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// It refuses a second one, does not answer it, or closes the connection.
    One,
    /// A look's connection has lived with two.
    Several,
    /// It has accepted a share under a name that was not the connection's first.
    Proven,
}

impl NameHabit {
    /// Whether the pool takes several names, if that is known.
    pub fn takes_several(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::One => Some(false),
            Self::Several | Self::Proven => Some(true),
        }
    }
}

/// What is known about a pool and kept across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolFacts {
    /// The size of its extranonce2, in bytes; `None` if it was never reached.
    pub e2_size: Option<u8>,
    /// Whether its connections get different extranonce1.
    pub e1s: E1s,
    /// The version bits that miners may roll.
    #[serde(with = "mask_as_number")]
    pub mask: VersionMask,
    /// When it accepts `mining.configure`.
    pub configure: ConfigureHabit,
    /// The form in which it expects version bits.
    pub forms: KnownForms,
    /// Whether it takes several names on one connection.
    pub names: NameHabit,
    /// Optional messages that are left out because the pool closes the connection on them.
    pub hangs_up_on: Tolerances,
    /// How often in a row it closed the connection on `mining.configure`.
    #[serde(skip)]
    pub hang_ups: u8,
    /// Whether it has granted version rolling in this order. If it closes later, it is only down for a moment.
    #[serde(skip)]
    pub granted: bool,
    /// How often a connection was lost, or silent, when it was told a further name.
    #[serde(skip)]
    name_doubts: u8,
    /// Since when DPMP has not asked it.
    #[serde(skip)]
    gave_up: Option<Instant>,
    /// How often it refused after subscribe, although it had seemed to want that order.
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
    /// When a connection that begins now should ask.
    pub fn order(&mut self, now: Instant) -> ConfigureHabit {
        let rests = |since| now.saturating_duration_since(since) < REST;
        if self.configure == ConfigureHabit::Never && !self.gave_up.is_some_and(rests) {
            self.configure = ConfigureHabit::First;
            (self.gave_up, self.hang_ups, self.refusals) = (None, 0, 0);
        }
        self.configure
    }

    /// Records that the pool answered in this order, and whether it granted version rolling.
    pub fn answered(&mut self, order: ConfigureHabit, granted: bool) {
        self.hang_ups = 0;
        if granted {
            (self.configure, self.granted, self.refusals) = (order, true, 0);
        }
    }

    /// Records that the pool refused `mining.configure` after subscribe. So it had not closed because of the other
    /// order, but was down for a moment. Returns whether to try that order again. A pool that refuses both is not asked
    /// for a while.
    pub fn refused_late_configure(&mut self, now: Instant) -> bool {
        // The first of a farm's connections finds out.
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

    /// Records that the pool closed a connection instead of answering `mining.configure` in this order. Only the second
    /// time in a row counts, because the first may be a coincidence.
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

    /// The pool has shown how it takes names.
    pub fn trust_names(&mut self, names: NameHabit) {
        self.name_doubts = 0;
        self.names = names;
    }

    /// Records that a connection was lost, or silent, when it was told a further name. Only the second time counts,
    /// because an outage looks the same.
    pub fn doubt_names(&mut self) {
        self.name_doubts = self.name_doubts.saturating_add(1);
        self.names = if self.name_doubts > 1 {
            NameHabit::One
        } else {
            NameHabit::Unknown
        };
    }

    fn give_up(&mut self, now: Instant) {
        self.configure = ConfigureHabit::Never;
        self.gave_up = Some(now);
    }
}
