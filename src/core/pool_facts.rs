//! What is learnt of a pool and remembered, beyond connections and restarts.

use serde::{Deserialize, Serialize};

use crate::units::VersionMask;

/// After so many refusals of a late `mining.configure` the pool is not asked any more.
const MOST_REFUSALS: u8 = 3;

/// When a pool takes `mining.configure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigureHabit {
    /// Before subscribe, as BIP 310 says and Braiins demands (QUIRKS Q1). Assumed until known better.
    #[default]
    First,
    /// Between subscribe and authorize: ckpool hangs up on it before (QUIRKS Q52).
    AfterSubscribe,
    /// Never: there it hangs up as well, or does not answer.
    Never,
}

/// What was learnt of a pool and is remembered across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolFacts {
    /// The size of its extranonce2, in bytes; `None` if it was never reached.
    pub e2_size: Option<u8>,
    /// The version bits that it lets miners roll.
    #[serde(with = "mask_as_number")]
    pub mask: VersionMask,
    /// When it takes `mining.configure`.
    pub configure: ConfigureHabit,
    /// How often in a row it hung up on `mining.configure`.
    #[serde(skip)]
    pub hang_ups: u8,
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
    /// Notes that the pool refused `mining.configure` after subscribe. Then it did not hang up on the
    /// other order for its own sake: it was down for a moment. Whether to try that order again; a
    /// pool that likes neither is not asked for ever.
    pub fn refused_late_configure(&mut self) -> bool {
        self.refusals = self.refusals.saturating_add(1);
        let again = self.refusals < MOST_REFUSALS;
        self.configure = if again {
            ConfigureHabit::First
        } else {
            ConfigureHabit::Never
        };
        again
    }

    /// Notes that the pool closed a connection instead of answering `mining.configure`. Only the
    /// second time in a row counts: the first may be chance.
    pub fn hung_up_on_configure(&mut self) {
        self.hang_ups += 1;
        if self.hang_ups >= 2 {
            self.hang_ups = 0;
            self.configure = match self.configure {
                ConfigureHabit::First => ConfigureHabit::AfterSubscribe,
                ConfigureHabit::AfterSubscribe | ConfigureHabit::Never => ConfigureHabit::Never,
            };
        }
    }
}
