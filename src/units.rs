//! Small types with a meaning: times, ids, pool slots, difficulties, masks and extranonces.
//!
//! They know nothing about messages, sockets or the scheduler.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Makes an enum whose values have names for programs: in the log, the metrics, the API and files.
macro_rules! named {
    ($(#[$about:meta])* pub enum $type:ident { $($(#[$doc:meta])* $value:ident = $name:literal,)* }) => {
        $(#[$about])*
        pub enum $type { $($(#[$doc])* $value,)* }

        impl $type {
            /// All of them, in this order.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$value),*];

            /// The name for programs, which never changes.
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)* }
            }
        }
    };
}
pub(crate) use named;

/// The time, on both clocks. The core receives it with each event and never reads a clock itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For all measurements and waiting.
    pub at: Instant,
    /// For people: milliseconds since 1970. It may jump.
    pub unix_ms: u64,
}

/// A wall clock that shows a time before this, the beginning of 2025, is wrong: a small computer without a
/// battery-backed clock starts in 1970 and stays there until it has a network. In milliseconds since 1970.
pub const FIRST_PLAUSIBLE_MS: u64 = 1_735_689_600_000;

/// The time after a while, or the same if a clock cannot represent it.
#[must_use]
pub fn later(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or(now)
}

/// When something happened, for people. A small computer without a battery-backed clock starts in 1970 and gets the
/// time later; earlier events are then shown at their real time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct When {
    /// The wall clock's time, in milliseconds since 1970.
    unix_ms: u64,
    /// `None`: in an earlier run of the program.
    at: Option<Instant>,
}

impl When {
    /// The largest gradual correction of the wall clock, in milliseconds. Anything more is a jump.
    const SLEW_MS: i64 = 2000;

    /// In milliseconds since 1970, according to the present wall clock.
    pub fn unix_ms(self, now: Now) -> u64 {
        let Some(at) = self.at else {
            return self.unix_ms;
        };
        let ms = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        let since = now.at.saturating_duration_since(at).as_millis();
        let since = i64::try_from(since).unwrap_or(i64::MAX);
        let by_wall = ms(now.unix_ms).saturating_sub(ms(self.unix_ms));
        let jump = by_wall.saturating_sub(since);
        if jump.abs() < Self::SLEW_MS {
            return self.unix_ms;
        }
        // Whole seconds, so that the result is the same each time.
        let jump = jump
            .saturating_add(500)
            .div_euclid(1000)
            .saturating_mul(1000);
        u64::try_from(ms(self.unix_ms).saturating_add(jump)).unwrap_or(0)
    }

    /// The same according to the present wall clock, for saving.
    #[must_use]
    pub fn corrected(self, now: Now) -> Self {
        Self {
            unix_ms: self.unix_ms(now),
            at: None,
        }
    }

    /// How long ago it was; `None`: in an earlier run.
    pub fn age(self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.at?))
    }
}

impl From<Now> for When {
    fn from(now: Now) -> Self {
        Self {
            unix_ms: now.unix_ms,
            at: Some(now.at),
        }
    }
}

/// From an earlier run.
impl From<u64> for When {
    fn from(unix_ms: u64) -> Self {
        Self { unix_ms, at: None }
    }
}

impl From<When> for u64 {
    fn from(when: When) -> Self {
        when.unix_ms
    }
}

/// Two are equal if the wall clock showed the same.
impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        self.unix_ms == other.unix_ms
    }
}

/// A burst, and more as time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How many at once after a long pause.
    pub burst: f64,
    /// How many more per second.
    pub per_second: f64,
}

/// What is left of a [`Rate`].
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    /// With nothing used yet.
    pub fn full(rate: Rate, now: Instant) -> Self {
        Self {
            left: rate.burst,
            at: now,
        }
    }

    /// Uses one if one is left; returns whether it was.
    pub fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.left = self.left_at(rate, now);
        self.at = now;
        let within = self.left >= 1.0;
        if within {
            self.left -= 1.0;
        }
        within
    }

    /// Whether everything is available again.
    pub fn is_full(&self, rate: Rate, now: Instant) -> bool {
        self.left_at(rate, now) >= rate.burst
    }

    fn left_at(&self, rate: Rate, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.at);
        (self.left + rate.per_second * elapsed.as_secs_f64()).min(rate.burst)
    }
}

/// Whether a character cannot be seen and can change how the text around it looks: a control character, or one that
/// [turns it](turns_text).
pub fn is_hidden(letter: char) -> bool {
    letter.is_control() || turns_text(letter)
}

/// Whether a character changes the direction of the text around it.
pub fn turns_text(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

named! {
    /// One of the two pools that the owner configured. Its name is used in configuration keys, metric labels and log
    /// fields.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum PoolSlot {
        /// The first pool, `pools.A` in the config.
        A = "A",
        /// The second pool, `pools.B` in the config.
        B = "B",
    }
}

impl PoolSlot {
    /// The slot that is not this one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for PoolSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value for each pool.
///
/// It is indexed with a [`PoolSlot`], so that code cannot use "the A field" when it means "the field of this pool".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerPool<T> {
    #[serde(rename = "A")]
    first: T,
    #[serde(rename = "B")]
    second: T,
}

impl<T> PerPool<T> {
    /// A value for A and one for B.
    pub const fn new(a: T, b: T) -> Self {
        Self {
            first: a,
            second: b,
        }
    }

    /// Calls `make` for A, then for B.
    pub fn from_fn(mut make: impl FnMut(PoolSlot) -> T) -> Self {
        Self {
            first: make(PoolSlot::A),
            second: make(PoolSlot::B),
        }
    }

    /// Converts the two values one by one.
    pub fn map<U>(&self, mut f: impl FnMut(PoolSlot, &T) -> U) -> PerPool<U> {
        PerPool::from_fn(|slot| f(slot, &self[slot]))
    }

    /// The two values with their slots, A first.
    pub fn iter(&self) -> impl Iterator<Item = (PoolSlot, &T)> {
        PoolSlot::ALL.into_iter().map(|slot| (slot, &self[slot]))
    }

    /// The two values for changing, A first.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.first, &mut self.second].into_iter()
    }
}

impl<T> Index<PoolSlot> for PerPool<T> {
    type Output = T;
    fn index(&self, slot: PoolSlot) -> &T {
        match slot {
            PoolSlot::A => &self.first,
            PoolSlot::B => &self.second,
        }
    }
}

impl<T> IndexMut<PoolSlot> for PerPool<T> {
    fn index_mut(&mut self, slot: PoolSlot) -> &mut T {
        match slot {
            PoolSlot::A => &mut self.first,
            PoolSlot::B => &mut self.second,
        }
    }
}

/// A miner's connection. Counted up from 1 by the acceptor and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MinerId(pub u64);

impl fmt::Display for MinerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

/// A link to a pool, which gives its members one connection after another. Counted up for each pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub u64);

/// One connection to a pool. Its number is never reused, so that input still arriving from an earlier one can be
/// recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolConn {
    /// The pool at its other end.
    pub slot: PoolSlot,
    /// Counted up from 1 for each pool.
    pub number: u64,
}

impl fmt::Display for PoolConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.slot, self.number)
    }
}

/// Any connection that the scheduler can write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkId {
    /// The connection of a miner.
    Miner(MinerId),
    /// A connection to a pool.
    Pool(PoolConn),
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Miner(id) => id.fmt(f),
            Self::Pool(conn) => conn.fmt(f),
        }
    }
}

/// A job as the miner knows it: counted up from 1 on each miner connection, written in lower-case hex.
///
/// Unique on a connection, because some firmware ignores a job id that it has seen (compat Q37).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// How rare a hash must be, in units of the Bitcoin difficulty 1 (`0x00000000FFFF0000…`, compat Q23). Always above zero
/// and never more than a hash can reach, so that sums and squares of many stay finite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Difficulty(f64);

impl Difficulty {
    /// The difficulty on a connection whose pool has not sent one.
    pub const ONE: Self = Self(1.0);

    /// The difficulty of the smallest hash above zero.
    pub const HIGHEST: Self = Self(2.695953529101131e67);

    /// `None` if the value is not above zero, or above [`HIGHEST`](Self::HIGHEST).
    pub fn new(value: f64) -> Option<Self> {
        (value > 0.0 && value <= Self::HIGHEST.0).then_some(Self(value))
    }

    /// The bare number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The value for a miner: a whole number from 1 on, because much firmware truncates (compat Q22); below 1, the
    /// value itself. It is rounded down: DPMP holds back surplus shares, while rounding up would make the miner discard
    /// shares that the pool pays for.
    pub fn for_miner(self) -> Self {
        if self.0 >= 1.0 {
            Self(self.0.floor())
        } else {
            self
        }
    }

    /// The smaller of two.
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// The larger of two.
    pub fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

impl fmt::Display for Difficulty {
    /// A JSON number; whole numbers have no fraction, so that firmware without floats can read them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.fract() == 0.0 {
            write!(f, "{:.0}", self.0)
        } else if self.0 >= 1e-6 {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:e}", self.0)
        }
    }
}

named! {
    /// How the version bits of a share are written if the job's version already has some set (compat Q57).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum VersionForm {
        /// The header's bits under the mask, according to BIP 310.
        Bits = "bits",
        /// The bits in which the header differs from the job's version: AxeOS and NerdQAxe send this form, and
        /// public-pool accepts it.
        Delta = "delta",
    }
}

impl VersionForm {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Bits => Self::Delta,
            Self::Delta => Self::Bits,
        }
    }
}

/// The header version bits that a miner may change (BIP 310, BIP 320). Zero: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VersionMask(pub u32);

impl VersionMask {
    /// No bit may be changed.
    pub const NONE: Self = Self(0);
    /// The sixteen bits that BIP 320 reserves for miners.
    pub const BIP320: Self = Self(0x1fff_e000);

    /// The bits that both masks allow (compat Q12).
    pub fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether no bit may be changed.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for VersionMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The longest extranonce that is accepted from a pool or a miner, in bytes.
pub const MAX_EXTRANONCE: usize = 32;

/// Up to [`MAX_EXTRANONCE`] bytes, kept without an allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
struct ShortBytes {
    len: u8,
    bytes: [u8; MAX_EXTRANONCE],
}

impl ShortBytes {
    fn new(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_EXTRANONCE];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self {
            len: u8::try_from(from.len()).ok()?,
            bytes,
        })
    }

    fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; MAX_EXTRANONCE];
        let len = text.len() / 2;
        hex::decode_to_slice(text, bytes.get_mut(..len)?).ok()?;
        Some(Self {
            len: u8::try_from(len).ok()?,
            bytes,
        })
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

macro_rules! extranonce {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(ShortBytes);

        impl $name {
            /// `None` if there are more than [`MAX_EXTRANONCE`] bytes.
            pub fn new(bytes: &[u8]) -> Option<Self> {
                ShortBytes::new(bytes).map(Self)
            }

            /// `None` if the text is not hex or represents more than [`MAX_EXTRANONCE`] bytes.
            pub fn from_hex(text: &str) -> Option<Self> {
                ShortBytes::from_hex(text).map(Self)
            }

            /// The bytes.
            pub fn as_slice(&self) -> &[u8] {
                self.0.as_slice()
            }

            /// How many bytes.
            pub fn len(&self) -> usize {
                usize::from(self.0.len)
            }

            /// Whether there are none, as with some pools (compat Q66).
            pub fn is_empty(&self) -> bool {
                self.0.len == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.as_slice().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

extranonce! {
    /// The part of the coinbase that a connection's server chooses.
    Extranonce1
}
extranonce! {
    /// The part of the coinbase that a connection's client varies.
    Extranonce2
}

/// A miner's own part of the coinbase: its extranonce1 and the size of its extranonce2. It stays the same while the
/// miner is connected, whichever pool it works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinerExtranonce {
    /// The miner's extranonce1 (k bytes).
    pub e1: Extranonce1,
    /// The size of the extranonce2 that it sends (m bytes).
    pub e2_size: u8,
}

impl MinerExtranonce {
    /// How many bytes of a pool's extranonce2 it takes up (k + m).
    pub fn size(&self) -> usize {
        self.e1.len() + usize::from(self.e2_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_time_is_shown_by_the_present_wall_clock() {
        let start = Instant::now();
        let at = |seconds: u64, unix_ms: u64| Now {
            at: start + Duration::from_secs(seconds),
            unix_ms,
        };
        // In 1970, a minute after the start.
        let when = When::from(at(60, 60_000));
        assert_eq!(when.unix_ms(at(100, 100_000)), 60_000);
        // It stays during gradual corrections and moves with a jump.
        assert_eq!(when.unix_ms(at(100, 101_500)), 60_000);
        let now = at(100, 1_795_428_672_345);
        assert_eq!(when.unix_ms(now), 1_795_428_632_000);
        assert_eq!(when.unix_ms(at(101, 1_795_428_673_346)), 1_795_428_632_000);
        assert_eq!(when.corrected(now).unix_ms(at(500, 7)), 1_795_428_632_000);
        // And back, but not to before 1970.
        let when = When::from(now);
        assert_eq!(when.unix_ms(at(110, 1_794_000_010_000)), 1_794_000_000_345);
        assert_eq!(when.unix_ms(at(200, 5)), 0);
        assert_eq!(when.age(at(110, 7).at), Some(Duration::from_secs(10)));
        // Nothing else is known about an earlier run.
        assert_eq!(When::from(5).unix_ms(now), 5);
        assert_eq!(When::from(5).age(now.at), None);
    }

    #[test]
    fn difficulty_is_written_in_a_form_firmware_can_read() {
        let text = |value: f64| Difficulty::new(value).unwrap().for_miner().to_string();
        assert_eq!(text(1.0), "1");
        assert_eq!(text(9427.960695338843), "9427");
        assert_eq!(text(1.999), "1");
        assert_eq!(text(0.5), "0.5");
        assert_eq!(text(0.0005), "0.0005");
        assert_eq!(text(1e-9), "1e-9");
        assert_eq!(text(4_294_967_296.0), "4294967296");
        assert_eq!(text(1e30), "1000000000000000019884624838656");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 2.7e67] {
            assert_eq!(Difficulty::new(bad), None);
        }
    }

    #[test]
    fn extranonces_keep_their_bytes_and_refuse_a_wrong_size() {
        let e1 = Extranonce1::from_hex("00ff10").unwrap();
        assert_eq!(e1.to_string(), "00ff10");
        assert_eq!(e1.len(), 3);
        assert!(Extranonce1::from_hex("").unwrap().is_empty());
        assert_eq!(Extranonce1::from_hex("0"), None);
        assert_eq!(Extranonce1::from_hex("zz"), None);
        assert_eq!(Extranonce2::from_hex(&"00".repeat(33)), None);
    }

    #[test]
    fn per_pool_values_are_found_by_their_slot() {
        let mut both = PerPool::from_fn(PoolSlot::name);
        assert_eq!(both[PoolSlot::B], "B");
        both[PoolSlot::B] = "x";
        assert_eq!(both.iter().map(|(_, v)| *v).collect::<String>(), "Ax");
    }
}
