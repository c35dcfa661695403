//! What a hash has earned at a pool in the last 24 hours, in coins. It is a median in which each job is weighted by how
//! long it was the newest.
//!
//! - So a job without fees, which pools send for a few seconds after each block, has little weight.
//! - A job that is not replaced counts for at most an hour, because the pool is down then. A job that cannot be read
//!   does not count.
//! - A few samples are kept for each past half hour, and only their median across a restart.
//! - Prices and fees are not included, so a new price applies immediately.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::stratum::job::network_difficulty;
use crate::units::{Now, later};

/// How long a span is, in milliseconds: half an hour.
const SPAN: u64 = 30 * 60 * 1000;

/// How many spans count: 24 hours.
const SPANS: u64 = 48;

/// How long the newest job counts if none follows.
const LONGEST_JOB: Duration = Duration::from_secs(3600);

/// How many samples of the current span are kept. A fast pool has about one a second.
const MOST_SAMPLES: usize = 2000;

/// How many samples of a past span are kept.
const KEPT_SAMPLES: u64 = 8;

/// The hashes of 1 TH/s in a day.
const TERAHASH_DAY: f64 = 1e12 * 86_400.0;

/// How many hashes a difficulty of 1 takes on average.
const HASHES: f64 = 4_294_967_296.0;

/// How many coins 1 TH/s earns in a day at this reward (in the coin's smallest units) and this compact target; `None`
/// if the result is not a reasonable number.
pub fn coins_per_day(chain: &str, reward: u64, nbits: u32) -> Option<f64> {
    let unit = match chain {
        "XEC" => 1e2,
        "PPC" => 1e6,
        _ => 1e8,
    };
    // Integers above 2^53 lose precision that does not matter here.
    let [high, low] = [reward >> 32, reward & 0xffff_ffff]
        .map(|half| u32::try_from(half).unwrap_or(u32::MAX))
        .map(f64::from);
    let coins = (high * HASHES + low) / unit;
    let earned = coins * TERAHASH_DAY / (network_difficulty(nbits) * HASHES);
    (earned.is_finite() && earned > 0.0).then_some(earned)
}

/// The earnings of one span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u64, f64, u64)", into = "(u64, f64, u64)")]
struct Span {
    /// The number of the span, counted from 1970.
    number: u64,
    samples: Vec<Sample>,
}

/// The coins, and for how long, in milliseconds.
type Sample = (f64, u64);

impl Span {
    fn add(&mut self, coins: f64, ms: u64) {
        match self.samples.last_mut() {
            Some((last, time)) if *last == coins => *time += ms,
            Some(_) | None => {
                if self.samples.len() >= MOST_SAMPLES {
                    self.reduce(KEPT_SAMPLES);
                }
                self.samples.push((coins, ms));
            }
        }
    }

    /// Reduces the samples to this many, each for the same time.
    fn reduce(&mut self, parts: u64) {
        if u64::try_from(self.samples.len()).is_ok_and(|samples| samples <= parts) {
            return;
        }
        let all = Sorted::from(std::mem::take(&mut self.samples));
        let time = total(&all.0);
        let part = |part: u64| {
            let middle = (2 * part + 1) * time / (2 * parts);
            let share = (part + 1) * time / parts - part * time / parts;
            all.at(middle).map(|coins| (coins, share))
        };
        self.samples = (0..parts).filter_map(part).collect();
    }
}

impl From<Span> for (u64, f64, u64) {
    fn from(mut span: Span) -> Self {
        span.reduce(1);
        let (coins, ms) = span.samples.first().copied().unwrap_or_default();
        (span.number, coins, ms)
    }
}

impl From<(u64, f64, u64)> for Span {
    fn from((number, coins, ms): (u64, f64, u64)) -> Self {
        Self {
            number,
            samples: vec![(coins, ms.min(SPAN))],
        }
    }
}

/// What a hash has earned at one pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Earnings {
    /// The coin.
    chain: String,
    /// Oldest first.
    spans: VecDeque<Span>,
    #[serde(skip)]
    newest: Option<NewestJob>,
}

/// The value of the newest job.
#[derive(Clone, Copy, Debug, PartialEq)]
struct NewestJob {
    coins: f64,
    since: Instant,
    /// Up to when it was counted.
    counted: Instant,
}

impl Earnings {
    /// Records the value of a new job from the pool; `None`: it cannot be read.
    pub fn hear(&mut self, chain: &str, coins: Option<f64>, now: Now) {
        if self.chain != chain {
            *self = Self {
                chain: chain.to_owned(),
                ..Self::default()
            };
        }
        let present = now.unix_ms / SPAN;
        // Also spans in the future, if the clock was wrong.
        self.spans.retain(|span| is_recent(span, present));
        self.count(now);
        self.newest = coins.map(|coins| NewestJob {
            coins,
            since: now.at,
            counted: now.at,
        });
    }

    /// How many coins 1 TH/s earned in a day, as a median over the last 24 hours; `None` if nothing is known about this
    /// coin.
    pub fn median(&mut self, chain: &str, now: Now) -> Option<f64> {
        self.count(now);
        let spans = self.recent(now).filter(|_| self.chain == chain);
        let samples: Vec<_> = spans.flat_map(|span| &span.samples).copied().collect();
        Sorted::from(samples).median()
    }

    /// How long there was a job in the last 24 hours.
    pub fn watched(&self, now: Now) -> Duration {
        let times = self.recent(now).map(|span| total(&span.samples));
        Duration::from_millis(times.sum())
    }

    fn recent(&self, now: Now) -> impl Iterator<Item = &Span> {
        let present = now.unix_ms / SPAN;
        self.spans
            .iter()
            .filter(move |span| is_recent(span, present))
    }

    /// Counts the newest job for the time since it was last counted.
    fn count(&mut self, now: Now) {
        let present = now.unix_ms / SPAN;
        let Some(newest) = &mut self.newest else {
            return;
        };
        let until = now.at.min(later(newest.since, LONGEST_JOB));
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let time = ms(until.saturating_duration_since(newest.counted));
        let coins = newest.coins;
        newest.counted = later(newest.counted, Duration::from_millis(time));
        let idle = ms(now.at.saturating_duration_since(until));
        let end = now.unix_ms.saturating_sub(idle);
        let mut from = end.saturating_sub(time);
        while from < end {
            let number = from / SPAN;
            let to = end.min((number + 1) * SPAN);
            if present.saturating_sub(number) < SPANS {
                self.span(number).add(coins, to - from);
            }
            from = to;
        }
    }

    /// The newest span; earlier ones are over.
    fn span(&mut self, number: u64) -> &mut Span {
        if self.spans.back().is_none_or(|last| last.number < number) {
            if let Some(last) = self.spans.back_mut() {
                last.reduce(KEPT_SAMPLES);
            }
            let samples = Vec::new();
            self.spans.push_back(Span { number, samples });
        }
        let last = self.spans.len() - 1;
        &mut self.spans[last]
    }
}

/// Whether a span is within the last 24 hours.
fn is_recent(span: &Span, present: u64) -> bool {
    span.number <= present && present - span.number < SPANS
}

/// The total time of the samples, in milliseconds.
fn total(samples: &[Sample]) -> u64 {
    samples.iter().map(|(_, ms)| *ms).sum()
}

/// Samples, smallest value first.
struct Sorted(Vec<Sample>);

impl From<Vec<Sample>> for Sorted {
    fn from(mut samples: Vec<Sample>) -> Self {
        samples.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        Self(samples)
    }
}

impl Sorted {
    /// The value that is reached after this time, in milliseconds.
    fn at(&self, time: u64) -> Option<f64> {
        let mut passed = 0;
        let reached = self.0.iter().find(|(_, ms)| {
            passed += ms;
            passed > time
        });
        reached.or(self.0.last()).map(|(coins, _)| *coins)
    }

    /// The value that is not exceeded half of the time.
    fn median(&self) -> Option<f64> {
        self.at(total(&self.0) / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const BTC: &str = "BTC";

    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn start() -> Now {
        Now {
            at: Instant::now(),
            unix_ms: 1_700_000_000_000,
        }
    }

    fn after(start: Now, seconds: u64) -> Now {
        Now {
            at: later(start.at, Duration::from_secs(seconds)),
            unix_ms: start.unix_ms + seconds * 1000,
        }
    }

    #[test]
    fn earnings_are_counted_in_the_units_of_the_coin() {
        // At difficulty 1: 86400e12 / 2^32 blocks a day.
        let blocks = 86_400.0 * 1e12 / HASHES;
        let close = |coins: Option<f64>, expected: f64| {
            assert!((coins.unwrap() / expected - 1.0).abs() < 1e-12, "{coins:?}");
        };
        close(coins_per_day(BTC, 312_500_000, 0x1d00_ffff), 3.125 * blocks);
        close(
            coins_per_day("XEC", 312_500_000, 0x1d00_ffff),
            3_125_000.0 * blocks,
        );
        close(
            coins_per_day(BTC, u64::MAX / 2, 0x1d00_ffff),
            92_233_720_368.547_76 * blocks,
        );
        assert_eq!(coins_per_day(BTC, 0, 0x1d00_ffff), None);
        assert_eq!(coins_per_day(BTC, 1, 0), None, "no hash meets that");
    }

    #[test]
    fn each_job_counts_for_as_long_as_it_lasted() {
        let start = start();
        let mut earnings = Earnings::default();
        assert_eq!(earnings.median(BTC, start), None);
        // 100 empty jobs of a second, then one of two minutes.
        for second in 0..100 {
            let coins = 1.0 + 0.001 * f64::from(u32::try_from(second).unwrap());
            earnings.hear(BTC, Some(coins), after(start, second));
        }
        earnings.hear(BTC, Some(2.0), after(start, 100));
        assert!(earnings.median(BTC, after(start, 190)).unwrap() < 1.1);
        assert_eq!(earnings.median(BTC, after(start, 220)), Some(2.0));
        assert_eq!(
            earnings.watched(after(start, 220)),
            Duration::from_secs(220)
        );
        assert_eq!(earnings.median("BCH", after(start, 220)), None);
        // Another coin starts over.
        earnings.hear("BCH", Some(7.0), after(start, 221));
        assert_eq!(earnings.median("BCH", after(start, 222)), Some(7.0));
        assert_eq!(earnings.median(BTC, after(start, 222)), None);
    }

    #[test]
    fn a_silent_or_unreadable_pool_does_not_count() {
        let start = start();
        let mut earnings = Earnings::default();
        earnings.hear(BTC, Some(5.0), start);
        assert_eq!(earnings.median(BTC, after(start, 10 * 3600)), Some(5.0));
        assert_eq!(earnings.watched(after(start, 10 * 3600)), LONGEST_JOB);
        earnings.hear(BTC, None, after(start, 10 * 3600));
        earnings.hear(BTC, Some(6.0), after(start, 20 * 3600));
        assert_eq!(
            earnings.median(BTC, after(start, 20 * 3600 + 3599)),
            Some(5.0)
        );
        // Earnings older than a day are forgotten.
        assert_eq!(earnings.median(BTC, after(start, 25 * 3600)), Some(6.0));
        assert_eq!(earnings.median(BTC, after(start, 60 * 3600)), None);
        assert_eq!(earnings.watched(after(start, 60 * 3600)), Duration::ZERO);
    }

    #[test]
    fn a_clock_jump_does_no_harm() {
        let start = start();
        let mut earnings = Earnings::default();
        let booted = Now {
            unix_ms: 5000,
            ..start
        };
        earnings.hear(BTC, Some(1.0), booted);
        let mut set = after(start, 60);
        assert_eq!(earnings.median(BTC, set), Some(1.0));
        set.unix_ms += 1_000_000_000_000;
        earnings.hear(BTC, Some(2.0), set);
        // Back at the right time, spans in the future are forgotten.
        assert_eq!(earnings.median(BTC, after(start, 61)), Some(2.0));
        assert!(earnings.watched(after(start, 61)) <= Duration::from_secs(61));
        assert!(earnings.spans.len() <= 2);
        // If it is read in 1970 after a restart, everything is still there when the clock is set.
        let text = serde_json::to_string(&earnings).unwrap();
        let mut earnings: Earnings = serde_json::from_str(&text).unwrap();
        assert_eq!(earnings.median(BTC, booted), None);
        assert_eq!(earnings.median(BTC, after(start, 90)), Some(2.0));
    }

    #[test]
    fn the_stored_form_is_small_and_has_the_same_median() {
        let start = start();
        let mut random = Random::new(7);
        let mut earnings = Earnings::default();
        let mut all = Vec::new();
        let mut seconds = 0;
        // Three days of jobs, often several a second; what a hash earns falls by 5 % after two and a half days.
        while seconds < 3 * 86_400 {
            let level = if seconds < 216_000 { 1.0 } else { 0.95 };
            let coins = level * (1.0 + 0.1 * random.unit() * random.unit());
            let time = [0, 1, 1, 30][usize::try_from(random.below(4)).unwrap()];
            earnings.hear(BTC, Some(coins), after(start, seconds));
            all.push((seconds, coins, time * 1000));
            seconds += time;
            assert!(earnings.spans.len() <= 49);
            let kept: usize = earnings.spans.iter().map(|span| span.samples.len()).sum();
            assert!(kept <= MOST_SAMPLES + 49 * 8);
            if random.below(500) == 0 && seconds > 86_400 {
                let day = all.iter().filter(|(at, _, _)| at + 86_400 > seconds);
                let day: Vec<_> = day.map(|(_, coins, ms)| (*coins, *ms)).collect();
                let exact = Sorted::from(day).median().unwrap();
                let found = earnings.median(BTC, after(start, seconds)).unwrap();
                assert!((found / exact - 1.0).abs() < 0.003, "{found} {exact}");
            }
        }
        // A restart knows less, but enough.
        let now = after(start, seconds);
        let before = earnings.median(BTC, now).unwrap();
        let text = serde_json::to_string(&earnings).unwrap();
        assert!(text.len() < 3000, "{}", text.len());
        let mut kept: Earnings = serde_json::from_str(&text).unwrap();
        let kept = kept.median(BTC, now).unwrap();
        assert!((kept / before - 1.0).abs() < 0.03, "{kept} {before}");
    }

    #[test]
    fn a_pool_with_very_frequent_jobs_takes_no_more_room() {
        let start = start();
        let mut earnings = Earnings::default();
        for n in 0..100_000u64 {
            let coins = f64::from(u32::try_from(n % 5000).unwrap()) + 1.0;
            let now = Now {
                at: later(start.at, Duration::from_millis(n)),
                unix_ms: start.unix_ms + n,
            };
            earnings.hear(BTC, Some(coins), now);
        }
        assert!(earnings.spans[0].samples.len() <= MOST_SAMPLES);
        let middle = earnings.median(BTC, after(start, 100)).unwrap();
        assert!((2000.0..3000.0).contains(&middle), "{middle}");
    }
}
