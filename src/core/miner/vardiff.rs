//! The difficulty of a miner on a shared connection. It aims at a share every few seconds, whatever difficulty the pool
//! sets for all members together. Pure bookkeeping, and the same for both pools.
//!
//! - It starts with the worker's remembered difficulty, or the miner's suggestion, or the pool's difficulty.
//! - It jumps when eight shares show that it is far off, and when no share comes for long. Otherwise it adjusts slowly.
//! - It is never above the pool's difficulty, because every share that the pool would pay for has to arrive.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::core::work::extranonce::Firmware;
use crate::units::{Difficulty, later};

/// The average time between a miner's shares, in seconds.
const INTERVAL: f64 = 8.6;

/// After this many shares, a difficulty that is far off is changed immediately.
const ENOUGH: f64 = 8.0;

/// But it does not rise within this many seconds, because shares come in bursts. A flood cannot be one.
const SHORTEST: f64 = 1.0;

/// Shares that come together, as after a stall of the network, count as if they had taken this many seconds.
const SOONEST: f64 = 0.05;

/// The factor that counts as far off, and by which it falls if no share comes.
const FAR: f64 = 4.0;

/// With a difficulty this many times too low, a miner gets a higher one before its pool has a new job. Otherwise
/// `submits_per_second` would reject some of its shares.
const FLOOD: f64 = 64.0;

/// The factor by which a difficulty may be off for long.
const NEAR: f64 = 2.0;

/// How often that is checked, in seconds.
const EVERY: f64 = 60.0;

/// After this many seconds, half of the counts are forgotten.
const MEMORY: f64 = 300.0;

/// A silence is too long after this many intervals, and at least this many seconds.
const SILENCE: (f64, f64) = (6.0, 20.0);

/// The minimum for a CPU or a microcontroller.
const LEAST: f64 = 1.0 / 4096.0;

/// The minimum for others, as a part of the pool's difficulty, if that is below 1.
const SMALLEST_PART: f64 = 1.0 / 65_536.0;

/// No suggestion below this counts: each hash is a share at 2^-32 already.
const SMALLEST: f64 = 1.0 / 17_592_186_044_416.0;

/// How many workers' difficulties are remembered.
const MOST: usize = 16_384;

/// How a miner's difficulty follows its shares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vardiff {
    /// Its difficulty; `None` while unknown.
    suits: Option<f64>,
    /// The time up to which its work is counted, while it works on a shared connection.
    at: Option<Instant>,
    count: Count,
}

/// What was counted since the last change. All times are in seconds of work on shared connections.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    seconds: f64,
    /// The time since the last check for a small deviation.
    since_look: f64,
    /// The time since the last share or the last change.
    silent: f64,
    shares: f64,
    /// How many of them were found at the present difficulty or a higher one. Others may still be on their way.
    present: f64,
    /// The work of the shares, in units of difficulty.
    work: f64,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The miner should get another difficulty now.
    Now,
    /// The miner should get a higher difficulty with its next job.
    Later,
}

impl Vardiff {
    /// The miner's difficulty for a pool's difficulty.
    pub fn of(&self, pool: Difficulty) -> Difficulty {
        let suits = self.suits.and_then(Difficulty::new);
        suits.map_or(pool, |suits| suits.min(pool))
    }

    /// The miner's difficulty, if known.
    pub fn suits(&self) -> Option<f64> {
        self.suits
    }

    /// Starts with a known difficulty, if neither one nor any share has shown what suits the miner. Returns whether it
    /// does.
    pub fn begin(&mut self, known: Option<f64>) -> bool {
        let known = known.filter(|known| Difficulty::new(*known).is_some());
        let is_news = self.suits.is_none() && self.count.shares == 0.0 && known.is_some();
        if is_news {
            self.suits = known.map(|known| known.max(SMALLEST));
        }
        is_news
    }

    /// Records whether it now works on a shared connection.
    pub fn works(&mut self, works: bool, now: Instant) {
        if let Some(at) = self.at {
            let passed = now.saturating_duration_since(at).as_secs_f64();
            self.count.seconds += passed;
            self.count.since_look += passed;
            self.count.silent += passed;
        }
        self.at = works.then_some(now);
    }

    /// Counts a share with this much work. `is_present`: whether it was found at the present difficulty.
    pub fn share(&mut self, work: f64, is_present: bool, now: Instant) {
        self.works(self.at.is_some(), now);
        self.count.shares += 1.0;
        self.count.present += f64::from(u8::from(is_present));
        self.count.work += work;
        self.count.silent = 0.0;
    }

    /// Checks whether the difficulty suits the miner. `told`: its current one; `least`: the minimum.
    pub fn look(&mut self, told: Difficulty, least: f64, now: Instant) -> Change {
        if self.at.is_none() {
            return Change::None;
        }
        self.works(true, now);
        let silence = self.silence(told);
        let count = &mut self.count;
        let has = self.suits.unwrap_or(told.get());
        if count.silent >= silence {
            count.silent = 0.0;
            if has <= least {
                return Change::None;
            }
            return self.change(has.min(told.get()) / FAR, told, least);
        }
        let wanted = count.work / count.seconds.max(SOONEST) * INTERVAL;
        let off = wanted / has;
        let is_low = off >= FAR && count.shares >= ENOUGH && count.seconds >= SHORTEST;
        let is_clear = off >= FLOOD || off <= 1.0 / FAR;
        if is_low || is_clear && count.present >= ENOUGH {
            return self.change(wanted, told, least);
        }
        if count.since_look < EVERY {
            return Change::None;
        }
        count.since_look = 0.0;
        let is_off = count.present >= ENOUGH && !(1.0 / NEAR..NEAR).contains(&off);
        if count.seconds >= MEMORY {
            let Count {
                seconds,
                shares,
                present,
                work,
                ..
            } = count;
            for sum in [seconds, shares, present, work] {
                *sum /= 2.0;
            }
        }
        if is_off {
            return self.change(wanted, told, least);
        }
        Change::None
    }

    /// When to check again.
    pub fn next_deadline(&self, told: Difficulty) -> Option<Instant> {
        let at = self.at?;
        let silent = self.silence(told) - self.count.silent;
        let seconds = silent.min(EVERY - self.count.since_look).max(0.001);
        Some(later(at, Duration::from_secs_f64(seconds)))
    }

    /// The silence that is too long, in seconds.
    fn silence(&self, told: Difficulty) -> f64 {
        let (intervals, least) = SILENCE;
        // Its speed is unknown if it has sent no share yet.
        let part = self
            .suits
            .map_or(0.0, |suits| (told.get() / suits).min(1.0));
        (intervals * INTERVAL * part).max(least)
    }

    fn change(&mut self, wanted: f64, told: Difficulty, least: f64) -> Change {
        let power = 2f64.powf(wanted.log2().round()).max(least);
        let before = self.suits.replace(power);
        self.count = Count::default();
        if before == Some(power) {
            Change::None
        } else if power < told.get() || power >= told.get() * FLOOD {
            Change::Now
        } else {
            Change::Later
        }
    }
}

/// The minimum for a miner at a pool's difficulty. Much firmware does not support fractions.
pub fn least(pool: Difficulty, software: Option<&str>, suggested: Option<Difficulty>) -> f64 {
    let firmware = match Firmware::of(software) {
        Firmware::NerdMiner => LEAST,
        Firmware::EmptyE1 | Firmware::FourBytes | Firmware::Unknown if is_cpu(software) => LEAST,
        Firmware::EmptyE1 | Firmware::FourBytes | Firmware::Unknown if pool.get() >= 1.0 => 1.0,
        Firmware::EmptyE1 | Firmware::FourBytes | Firmware::Unknown => pool.get() * SMALLEST_PART,
    };
    let suggested = suggested.map_or(f64::INFINITY, Difficulty::get);
    firmware.min(suggested.max(SMALLEST)).min(pool.get())
}

/// Whether a software mines on a CPU or a microcontroller.
fn is_cpu(software: Option<&str>) -> bool {
    let name = software.unwrap_or_default().trim().to_ascii_lowercase();
    let known = ["cpuminer", "minerd", "leafminer"];
    known.iter().any(|known| name.starts_with(known))
}

/// Each worker's difficulty when its miner left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KnownDifficulties(BTreeMap<String, f64>);

impl KnownDifficulties {
    /// The difficulty of a worker's miner.
    pub fn get(&self, worker: &str) -> Option<f64> {
        self.0.get(worker).copied()
    }

    /// Records the difficulty of a worker's miner.
    pub fn note(&mut self, worker: &str, suits: f64) {
        if let Some(known) = self.0.get_mut(worker) {
            *known = suits;
        } else if self.0.len() < MOST && !worker.is_empty() {
            self.0.insert(worker.to_owned(), suits);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;
    use crate::random::Random;

    fn difficulty(value: f64) -> Difficulty {
        Difficulty::new(value).unwrap()
    }

    /// Simulates a miner for some seconds with random shares. Returns the number of shares and of changes.
    fn work(
        vardiff: &mut Vardiff,
        rate: f64,
        pool: f64,
        start: Instant,
        seconds: f64,
        random: &mut Random,
    ) -> (u32, u32) {
        let (mut shares, mut changes) = (0, 0);
        let mut now = start;
        let end = start + Duration::from_secs_f64(seconds);
        vardiff.works(true, now);
        while now < end {
            let told = vardiff.of(difficulty(pool));
            let pause = -random.unit().max(1e-12).ln() * told.get() / rate;
            let share = now + Duration::from_secs_f64(pause.min(1e6));
            let due = vardiff.next_deadline(told).unwrap();
            now = share.min(due).max(now);
            if share <= due {
                vardiff.share(told.get(), true, now);
                shares += 1;
            }
            changes += u32::from(vardiff.look(told, 1.0, now) != Change::None);
        }
        (shares, changes)
    }

    #[test]
    fn every_miner_settles_at_a_share_every_few_seconds() {
        let mut random = Random::new(5);
        for rate in [20.0, 500.0, 9e4, 3e7] {
            for start in [1.0, 1000.0, 1e6] {
                let now = Instant::now();
                let mut vardiff = Vardiff::default();
                vardiff.begin(Some(start));
                let settled = work(&mut vardiff, rate, 1e12, now, 600.0, &mut random);
                let suits = (0.5..2.0).contains(&(rate * INTERVAL / start));
                assert!(settled.1 > 0 || suits, "{rate} {start}");
                let now = now + Duration::from_secs(600);
                let (shares, changes) = work(&mut vardiff, rate, 1e12, now, 36_000.0, &mut random);
                let interval = 36_000.0 / f64::from(shares);
                assert!(
                    (4.0..20.0).contains(&interval),
                    "{rate} {start}: {interval}"
                );
                assert!(changes < 100, "{rate} {start}: {changes}");
            }
        }
    }

    #[test]
    fn a_flood_of_shares_ends_after_a_few() {
        let mut vardiff = Vardiff::default();
        let mut random = Random::new(6);
        let now = Instant::now();
        vardiff.begin(Some(1000.0));
        let (shares, _) = work(&mut vardiff, 1e5, 1e12, now, 3.0, &mut random);
        assert!(shares < 20, "{shares}");
        let d = vardiff.of(difficulty(1e12)).get();
        assert!((1e5..4e6).contains(&d), "{d}");
        assert_eq!(
            vardiff.of(difficulty(1000.0)).get(),
            1000.0,
            "not above the pool's"
        );
    }

    #[test]
    fn shares_in_flight_do_not_lower_it_again() {
        let mut vardiff = Vardiff::default();
        let (pool, mut now) = (difficulty(1e12), Instant::now());
        vardiff.begin(Some(1.0));
        vardiff.works(true, now);
        for number in 0..100 {
            now += Duration::from_millis(if number < 8 { 8 } else { 50 });
            vardiff.share(1.0, number < 8, now);
            vardiff.look(vardiff.of(pool), 1.0, now);
        }
        assert_eq!(vardiff.suits(), Some(1024.0));
        for _ in 0..8 {
            now += Duration::from_secs(36);
            vardiff.share(1024.0, true, now);
            vardiff.look(vardiff.of(pool), 1.0, now);
        }
        assert!(vardiff.suits() < Some(1024.0));
    }

    #[test]
    fn a_higher_difficulty_waits_for_a_job_unless_shares_flood_in() {
        for (part, expected) in [
            (1.0, Change::None),
            (10.0, Change::Later),
            (30.0, Change::Later),
            (200.0, Change::Now),
        ] {
            let mut vardiff = Vardiff::default();
            let (pool, mut now) = (difficulty(1e9), Instant::now());
            vardiff.begin(Some(1024.0));
            vardiff.works(true, now);
            let told = vardiff.of(pool);
            let pause = Duration::from_secs_f64(INTERVAL / part);
            let changes = (0..60).map(|_| {
                now += pause;
                vardiff.share(told.get(), true, now);
                vardiff.look(told, 1.0, now)
            });
            let change = changes.into_iter().find(|change| *change != Change::None);
            assert_eq!(change.unwrap_or(Change::None), expected, "{part}");
        }
    }

    #[test]
    fn the_difficulty_of_a_silent_miner_stops_at_its_lowest_value() {
        let mut vardiff = Vardiff::default();
        let mut now = Instant::now();
        vardiff.works(true, now);
        let pool = difficulty(1e6);
        for _ in 0..40 {
            now = vardiff.next_deadline(vardiff.of(pool)).unwrap();
            vardiff.look(vardiff.of(pool), least(pool, Some("bitaxe"), None), now);
        }
        assert_eq!(vardiff.of(pool).get(), 1.0);
        assert_eq!(least(pool, Some("NerdMinerV2"), None), LEAST);
        assert_eq!(least(pool, Some("odd"), Some(difficulty(0.01))), 0.01);
        let tiny = difficulty(1e-300);
        assert_eq!(least(pool, Some("odd"), Some(tiny)), SMALLEST);
        let mut vardiff = Vardiff::default();
        assert!(vardiff.begin(Some(tiny.get())) && !vardiff.begin(Some(1.0)));
        assert_eq!(vardiff.of(pool).get(), SMALLEST);
        assert_eq!(least(difficulty(0.5), Some("odd"), None), 0.5 / 65_536.0);
    }
}
