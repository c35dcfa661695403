//! The price of a coin: from the configuration, or sent by a program.
//!
//! - The newer one counts. A price from a program counts until the owner enters a different one.
//! - A price from a program is valid for 48 hours. For another day it moves nothing, and then it no longer counts,
//!   because the program has stopped. A price in the configuration stays valid until it is changed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::{Now, When};

/// How long a price from a program is valid.
pub const FRESH: Duration = Duration::from_secs(48 * 3600);

/// After how long a price from a program no longer counts.
pub const EXPIRED: Duration = Duration::from_secs(72 * 3600);

/// How many coins may have a price from a program.
const MOST_COINS: usize = 16;

/// The highest price.
pub const HIGHEST: f64 = 1e12;

/// The prices from programs, by coin in upper case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices(BTreeMap<String, PutPrice>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct PutPrice {
    price: f64,
    at: When,
    /// The configured price at that time; 0: none.
    typed: f64,
}

/// The price of a coin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// The price, in the owner's currency.
    pub price: f64,
    /// When a program sent it, in milliseconds since 1970; `None`: it is from the configuration.
    pub put_ms: Option<u64>,
    /// Whether it is still valid.
    pub age: PriceAge,
}

/// Whether a price is still valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PriceAge {
    /// It is valid.
    Fresh,
    /// It is too old to move the split.
    Old,
    /// It no longer counts.
    Expired,
}

impl Prices {
    /// Records prices from a program; 0 removes its earlier price. `typed`: the configured prices.
    pub fn put(&mut self, prices: &BTreeMap<String, f64>, typed: &BTreeMap<String, f64>, now: Now) {
        for (chain, price) in prices {
            self.0.remove(chain);
            if *price > 0.0 && *price <= HIGHEST && self.0.len() < MOST_COINS {
                let put = PutPrice {
                    price: *price,
                    at: now.into(),
                    typed: typed_in(typed, chain),
                };
                self.0.insert(chain.clone(), put);
            }
        }
    }

    /// The price of a coin, if known. `typed`: the configured prices.
    pub fn of(&self, chain: &str, typed: &BTreeMap<String, f64>, now: Now) -> Option<Price> {
        let typed = typed_in(typed, chain);
        if let Some(put) = self.0.get(chain).filter(|put| put.typed == typed) {
            let put_ms = put.at.unix_ms(now);
            // If the clock was set back in the meantime, prices do not become old.
            let age = Duration::from_millis(now.unix_ms.saturating_sub(put_ms));
            return Some(Price {
                price: put.price,
                put_ms: Some(put_ms),
                age: match age {
                    _ if age < FRESH => PriceAge::Fresh,
                    _ if age < EXPIRED => PriceAge::Old,
                    _ => PriceAge::Expired,
                },
            });
        }
        (typed > 0.0).then_some(Price {
            price: typed,
            put_ms: None,
            age: PriceAge::Fresh,
        })
    }

    /// With all times converted to the current wall clock, for saving.
    pub fn correct(&mut self, now: Now) {
        for put in self.0.values_mut() {
            put.at = put.at.corrected(now);
        }
    }
}

fn typed_in(typed: &BTreeMap<String, f64>, chain: &str) -> f64 {
    typed.get(chain).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn prices(btc: f64) -> BTreeMap<String, f64> {
        [("BTC".to_owned(), btc)].into()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn the_newer_of_the_typed_and_the_posted_price_counts() {
        let start = Now {
            at: Instant::now(),
            unix_ms: 1_700_000_000_000,
        };
        let after = |hours: u64| Now {
            at: start.at + Duration::from_secs(hours * 3600),
            unix_ms: start.unix_ms + hours * 3_600_000,
        };
        let mut put = Prices::default();
        let price = |put: &Prices, typed: f64, hours| put.of("BTC", &prices(typed), after(hours));
        assert_eq!(price(&put, 0.0, 0), None);
        let typed = price(&put, 5.0, 0).unwrap();
        assert_eq!((typed.price, typed.put_ms), (5.0, None));
        assert_eq!(price(&put, 5.0, 10_000).unwrap().age, PriceAge::Fresh);

        put.put(&prices(7.0), &prices(5.0), start);
        // Even after a restart.
        let text = serde_json::to_string(&put).unwrap();
        let mut put: Prices = serde_json::from_str(&text).unwrap();
        for (hours, age) in [
            (0, PriceAge::Fresh),
            (47, PriceAge::Fresh),
            (48, PriceAge::Old),
            (71, PriceAge::Old),
            (72, PriceAge::Expired),
        ] {
            let found = price(&put, 5.0, hours).unwrap();
            assert_eq!((found.price, found.age), (7.0, age), "{hours}");
            assert_eq!(found.put_ms, Some(start.unix_ms));
        }
        assert_eq!(price(&put, 6.0, 1).unwrap().price, 6.0, "entered since");
        assert_eq!(price(&put, 0.0, 1), None, "removed since");
        assert_eq!(put.of("BCH", &prices(5.0), start), None);

        put.put(&prices(0.0), &prices(5.0), start);
        assert_eq!(price(&put, 5.0, 0), Some(typed));
        for odd in [f64::NAN, f64::INFINITY, -1.0, 1e13] {
            put.put(&prices(odd), &prices(5.0), start);
            assert_eq!(price(&put, 5.0, 0), Some(typed), "{odd}");
        }
        let many = (0..100).map(|n| (format!("C{n}"), 1.0)).collect();
        put.put(&many, &BTreeMap::new(), start);
        assert_eq!(put.0.len(), MOST_COINS);
    }
}
