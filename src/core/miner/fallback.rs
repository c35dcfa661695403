//! Lets miners go to their own fallback pool while no pool has work here.
//!
//! Most firmware uses its fallback only when this server looks dead. AxeOS takes any answer for a sign of life, and
//! gives up after three connections without one (compat Q17, Q69). So the first connections from an address are
//! closed at once, which sends such a miner to its fallback within seconds. Later ones are kept open without an
//! answer: a miner that has no fallback does not dial in a loop, and gets work as soon as a pool is back.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many connections without an answer make a miner look for another pool.
const ATTEMPTS: u32 = 3;

/// After this time an address starts over, as does a miner that looks whether its first pool is back.
const WINDOW: Duration = Duration::from_secs(60);

/// How many addresses are remembered; connections from others are kept open.
const MOST: usize = 4096;

/// How often each address was turned away lately.
#[derive(Debug, Default)]
pub struct Fallback {
    addresses: HashMap<IpAddr, Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    /// Connections that are still closed at once.
    closes: u32,
}

impl Fallback {
    /// Whether a new connection is closed at once.
    pub fn hangs_up(&mut self, address: IpAddr, now: Instant) -> bool {
        let Some(window) = self.window(address, now) else {
            return false;
        };
        let closes = window.closes > 0;
        window.closes = window.closes.saturating_sub(1);
        closes
    }

    /// A miner had to leave. Behind a router or a container's network others have the same address, so each miner
    /// adds its own attempts.
    pub fn left(&mut self, address: IpAddr, now: Instant) {
        if let Some(window) = self.window(address, now) {
            window.closes = window.closes.saturating_add(ATTEMPTS);
        }
    }

    /// A pool is back.
    pub fn end(&mut self) {
        self.addresses.clear();
    }

    fn window(&mut self, address: IpAddr, now: Instant) -> Option<&mut Window> {
        let lately = |window: &Window| now.saturating_duration_since(window.since) < WINDOW;
        if self.addresses.len() >= MOST && !self.addresses.contains_key(&address) {
            self.addresses.retain(|_, window| lately(window));
            if self.addresses.len() >= MOST {
                return None;
            }
        }
        let fresh = Window {
            since: now,
            closes: ATTEMPTS,
        };
        let window = self.addresses.entry(address).or_insert(fresh);
        if !lately(window) {
            *window = fresh;
        }
        Some(window)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    fn closed(fallback: &mut Fallback, address: IpAddr, now: Instant) -> usize {
        (0..20).filter(|_| fallback.hangs_up(address, now)).count()
    }

    #[test]
    fn each_address_is_turned_away_three_times_a_minute_for_each_miner() {
        let (mut fallback, now) = (Fallback::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        assert_eq!(closed(&mut fallback, one, now), 3);
        assert_eq!(closed(&mut fallback, one, now + WINDOW / 2), 0);
        assert_eq!(closed(&mut fallback, one, now + WINDOW), 3);
        for _ in 0..4 {
            fallback.left(other, now);
        }
        assert_eq!(closed(&mut fallback, other, now), 15);
        fallback.end();
        assert_eq!(closed(&mut fallback, other, now), 3);
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_the_memory() {
        let (mut fallback, now) = (Fallback::default(), Instant::now());
        for number in 0..20_000_u32 {
            fallback.hangs_up(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(fallback.addresses.len(), MOST);
        let newcomer = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(closed(&mut fallback, newcomer, now), 0);
        assert_eq!(closed(&mut fallback, newcomer, now + WINDOW), 3);
    }
}
