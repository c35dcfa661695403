//! How far the split is shifted toward the pool at which a hash earns more.
//!
//! A hash earns the median of the last 24 hours at a pool ([`earnings`]), times the coin's price ([`prices`]), minus
//! the pool's fee. If x is the logarithm of A's earnings divided by B's, the shift in points is `max_deviation` × x /
//! ln(1 + `full_at_percent` / 100), at most `max_deviation` in either direction. The split follows it in [`steps`].
//!
//! - Two pools of the same coin earn the same for a hash, so nothing is shifted.
//! - While the earnings are unknown, the shift stays, and after a while it ends. It ends immediately if the owner turns
//!   balance off or removes a setting.
//! - The shift is also calculated while balance is off, so that the owner can see what it would do.

pub mod earnings;
pub mod prices;
pub mod steps;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::config::steering::Work;
use crate::core::balance::earnings::{Earnings, coins_per_day};
use crate::core::balance::prices::{Price, PriceAge, Prices};
use crate::core::balance::steps::{Destination, SAME, SMALLEST, Steps};
use crate::units::{Now, PerPool, PoolSlot};

/// How long both pools are compared before anything is shifted.
pub const WARM_UP: Duration = Duration::from_secs(3600);

/// What a hash earns at the pools, and the resulting shift of the split. It is kept across restarts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Balancer {
    earnings: PerPool<Earnings>,
    prices: Prices,
    steps: Steps,
}

/// What keeps the split from following the earnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// One of the pools is not set up.
    NotSetUp,
    /// Both pools mine this coin.
    SameCoin(String),
    /// The price of this coin is not known.
    NoPrice(String),
    /// The largest allowed shift is smaller than one step.
    NoRoom,
    /// The clock cannot be trusted.
    WrongClock,
    /// The prices are too old to move the split.
    OldPrices,
    /// The prices are too old to be used at all.
    ExpiredPrices,
    /// In 24 hours, this pool sent no job with a readable reward, but the other pool did.
    NoJob(PoolSlot),
    /// The pools have not been compared for long enough. The time that is left, in minutes.
    WarmUp(u64),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSetUp => f.write_str("Balance needs two pools. Set up both first."),
            Self::SameCoin(coin) => {
                write!(f, "Both pools mine {coin}, so there is nothing to balance.")
            }
            Self::NoPrice(coin) => write!(
                f,
                "No price for {coin} yet. Enter one, or have a program send it."
            ),
            Self::NoRoom => write!(
                f,
                "The split moves in steps of {SMALLEST} points or more. Set max_deviation to {SMALLEST} or higher."
            ),
            Self::WrongClock => f.write_str(
                "This computer's clock is wrong, so the split stays where it is. Check the date.",
            ),
            Self::OldPrices => f.write_str(
                "The prices are over 48 hours old, so the split stays where it is. \
                 Without new ones it returns to the usual split after 72 hours.",
            ),
            Self::ExpiredPrices => f.write_str(
                "The prices are over 72 hours old, so DPMP uses the usual split. Send new ones.",
            ),
            Self::NoJob(slot) => write!(
                f,
                "Pool {slot} has sent no job in the last 24 hours that shows what a block pays."
            ),
            Self::WarmUp(minutes) => write!(
                f,
                "DPMP compares both pools for an hour first: {minutes} min to go."
            ),
        }
    }
}

/// What a problem means for the shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consequence {
    /// It ends immediately.
    Ends,
    /// It ends with the next step.
    Returns,
    /// It stays.
    Stays,
}

impl Problem {
    fn consequence(&self) -> Consequence {
        match self {
            Self::NotSetUp | Self::SameCoin(_) | Self::NoPrice(_) | Self::NoRoom => {
                Consequence::Ends
            }
            Self::ExpiredPrices | Self::NoJob(_) => Consequence::Returns,
            Self::WrongClock | Self::OldPrices | Self::WarmUp(_) => Consequence::Stays,
        }
    }
}

/// The state at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BalanceView {
    /// Whether the split follows the earnings.
    pub enabled: bool,
    /// The shift that is added to A's usual part, in points; `None`: balance is off.
    pub shift: Option<f64>,
    /// The shift without limits on steps, in points, also while balance is off; `None`: unknown.
    pub wanted: Option<f64>,
    /// What 1 TH/s earns in a day, in the currency of the prices, after the pool's fee.
    pub values: PerPool<Option<f64>>,
    /// The prices of the pools' coins.
    pub prices: PerPool<Option<Price>>,
    /// What keeps the split from following the earnings, also while balance is off.
    pub problem: Option<Problem>,
    /// When the next step is allowed, in milliseconds since 1970, if one is wanted and balance is on.
    pub next_step_ms: Option<u64>,
}

/// The split has moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// A's part before, in points.
    pub from: f64,
    /// A's part now, in points.
    pub to: f64,
    /// What 1 TH/s earns in a day, in the currency of the prices, after the pool's fee.
    pub values: PerPool<Option<f64>>,
    /// The problem because of which the split returns to the usual one, if there is one.
    pub problem: Option<Problem>,
}

/// What a hash earns, and what that means.
struct Assessment {
    prices: PerPool<Option<Price>>,
    values: PerPool<Option<f64>>,
    wanted: Option<f64>,
    problem: Option<Problem>,
}

impl Balancer {
    /// Records a pool's new job: its reward, if readable, and its compact target. Only pass jobs of one connection at a
    /// time.
    pub fn hear(
        &mut self,
        slot: PoolSlot,
        chain: &str,
        (reward, nbits): (Option<u64>, u32),
        now: Now,
    ) {
        let coins = reward.and_then(|reward| coins_per_day(chain, reward, nbits));
        self.earnings[slot].hear(chain, coins, now);
    }

    /// Records prices that a program has sent, by coin in upper case; 0 removes a price.
    pub fn put_prices(&mut self, prices: &BTreeMap<String, f64>, config: &Config, now: Now) {
        self.prices.put(prices, &config.balance.prices, now);
    }

    /// The shifted split, if the usual one is shifted.
    pub fn work(&self, config: &Config) -> Option<Work> {
        let usual = usual(config);
        let part = self.part(config);
        let differs = (part - usual).abs() >= SAME;
        differs.then(|| Work::Split(PerPool::new(part, 100.0 - part)))
    }

    /// A's part, in points.
    fn part(&self, config: &Config) -> f64 {
        let shift = if config.balance.enabled {
            self.steps.shift()
        } else {
            0.0
        };
        steps::part(usual(config), shift)
    }

    /// Moves the shift to follow the current earnings, and returns the move. `clock_is_wrong`: the wall clock cannot be
    /// trusted.
    pub fn follow(&mut self, config: &Config, clock_is_wrong: bool, now: Now) -> Option<Move> {
        let Assessment {
            values,
            wanted,
            problem,
            ..
        } = self.assess(config, clock_is_wrong, now);
        let consequence = problem.as_ref().map(Problem::consequence);
        if !config.balance.enabled || consequence == Some(Consequence::Ends) {
            let before = steps::part(usual(config), self.steps.shift());
            // It starts over: earlier steps do not count.
            self.steps = Steps::default();
            let to = usual(config);
            let problem = problem.filter(|_| config.balance.enabled);
            let moved = (before - to).abs() >= SAME;
            return moved.then_some(Move {
                from: before,
                to,
                values,
                problem,
            });
        }
        let destination = destination(config, wanted, problem.as_ref())?;
        let step = self.steps.advance(&destination, now)?;
        Some(Move {
            from: step.from,
            to: step.to,
            values,
            problem,
        })
    }

    /// When the next step is allowed, in milliseconds since 1970, if one is wanted and balance is on.
    pub fn next_step(&mut self, config: &Config, clock_is_wrong: bool, now: Now) -> Option<u64> {
        self.view(config, clock_is_wrong, now).next_step_ms
    }

    /// The current state.
    pub fn view(&mut self, config: &Config, clock_is_wrong: bool, now: Now) -> BalanceView {
        let Assessment {
            prices,
            values,
            wanted,
            problem,
        } = self.assess(config, clock_is_wrong, now);
        let enabled = config.balance.enabled;
        let destination = destination(config, wanted, problem.as_ref()).filter(|_| enabled);
        BalanceView {
            enabled,
            shift: enabled.then(|| self.part(config) - usual(config)),
            wanted,
            values,
            prices,
            next_step_ms: destination.and_then(|to| self.steps.next_step(&to, now)),
            problem,
        }
    }

    /// With all times converted to the current wall clock, for saving.
    pub fn correct(&mut self, now: Now) {
        self.prices.correct(now);
        self.steps.correct(now);
    }

    fn assess(&mut self, config: &Config, clock_is_wrong: bool, now: Now) -> Assessment {
        let settings = &config.balance;
        let pools = PerPool::from_fn(|slot| config.pools[slot].as_ref());
        let prices = pools.map(|_, pool| self.prices.of(&(*pool)?.chain, &settings.prices, now));
        let coins = PerPool::from_fn(|slot| {
            // The last 24 hours are unknown.
            let chain = pools[slot].filter(|_| !clock_is_wrong)?.chain.as_str();
            self.earnings[slot].median(chain, now)
        });
        let values = pools.map(|slot, pool| {
            let price = prices[slot].filter(|price| price.age < PriceAge::Expired)?;
            Some(coins[slot]? * price.price * (1.0 - (*pool)?.fee_percent / 100.0))
        });
        let both = (values[PoolSlot::A], values[PoolSlot::B]);
        let wanted = match (both, pools[PoolSlot::A], pools[PoolSlot::B]) {
            ((Some(a), Some(b)), Some(at_a), Some(at_b)) if at_a.chain != at_b.chain => {
                let full = (1.0 + settings.full_at_percent / 100.0).ln();
                let wanted = settings.max_deviation * ((a / b).ln() / full).clamp(-1.0, 1.0);
                wanted.is_finite().then_some(wanted)
            }
            _ => None,
        };
        let problem = || {
            let (Some(a), Some(b)) = (pools[PoolSlot::A], pools[PoolSlot::B]) else {
                return Some(Problem::NotSetUp);
            };
            if a.chain == b.chain {
                return Some(Problem::SameCoin(a.chain.clone()));
            }
            let unpriced = PoolSlot::ALL
                .into_iter()
                .find(|slot| prices[*slot].is_none());
            if let Some(pool) = unpriced.and_then(|slot| pools[slot]) {
                return Some(Problem::NoPrice(pool.chain.clone()));
            }
            if settings.max_deviation < SMALLEST {
                return Some(Problem::NoRoom);
            }
            if clock_is_wrong {
                return Some(Problem::WrongClock);
            }
            let ages = PoolSlot::ALL.map(|slot| prices[slot].map(|price| price.age));
            match ages.into_iter().flatten().max() {
                Some(PriceAge::Expired) => return Some(Problem::ExpiredPrices),
                Some(PriceAge::Old) => return Some(Problem::OldPrices),
                Some(PriceAge::Fresh) | None => (),
            }
            let missing =
                PerPool::from_fn(|slot| WARM_UP.saturating_sub(self.earnings[slot].watched(now)));
            // After a long stop, both pools are unknown, which says nothing about either of them.
            let unknown =
                |slot: &PoolSlot| coins[*slot].is_none() && missing[slot.other()].is_zero();
            if let Some(slot) = PoolSlot::ALL.into_iter().find(unknown) {
                return Some(Problem::NoJob(slot));
            }
            let missing = missing[PoolSlot::A].max(missing[PoolSlot::B]);
            (!missing.is_zero()).then(|| Problem::WarmUp(missing.as_secs().div_ceil(60)))
        };
        Assessment {
            problem: problem(),
            prices,
            values,
            wanted,
        }
    }
}

/// A's usual part, in points.
fn usual(config: &Config) -> f64 {
    config.share(PoolSlot::A) * 100.0
}

/// The shift to move to, if any.
fn destination(
    config: &Config,
    wanted: Option<f64>,
    problem: Option<&Problem>,
) -> Option<Destination> {
    let usual = usual(config);
    match problem.map(Problem::consequence) {
        None => wanted.map(|shift| Destination {
            usual,
            shift,
            least: SMALLEST,
        }),
        Some(Consequence::Returns) => Some(Destination {
            usual,
            shift: 0.0,
            least: 0.0,
        }),
        Some(Consequence::Ends | Consequence::Stays) => None,
    }
}

#[cfg(test)]
mod tests;
