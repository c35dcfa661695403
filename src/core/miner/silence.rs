//! Helps miners get to their own fallback pool while there is no work for them, or while they are paused.
//!
//! Most firmware only uses its fallback pool when this server looks dead. AxeOS takes any answer as a sign of life, and
//! gives up after three connections without one (compat Q17, Q69). So the first connections from an address are closed
//! immediately, which sends such a miner to its fallback pool within seconds. Later ones stay open without an answer. A
//! miner without a fallback pool then does not keep reconnecting, and gets work as soon as there is some.
//!
//! A miner names its worker late. Until then, DPMP goes by the workers that were seen at its address. If all of them
//! are paused, it gets no answer. If some are, it gets two seconds to name its worker before DPMP answers anything,
//! because AxeOS and NerdQAxe leave a fallback pool at the first answer (compat Q81, Q82).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::units::later;

/// How many connections without an answer make a miner look for another pool.
const ATTEMPTS: u32 = 3;

/// After this time, an address starts over. Miners check for their first pool at this interval.
const WINDOW: Duration = Duration::from_secs(60);

/// How long a connection is kept open without an answer, at least.
const HOLD: Duration = Duration::from_secs(30);

/// How long a worker counts as seen at an address.
const SEEN: Duration = Duration::from_secs(24 * 3600);

/// How many addresses are remembered; connections from others are kept open.
const MOST: usize = 4096;

/// How many workers are remembered per address.
const MOST_WORKERS: usize = 256;

/// How many paused workers are remembered as reported.
const MOST_TOLD: usize = 16_384;

/// How often each address was turned away recently, and which workers were seen there.
#[derive(Debug, Default)]
pub struct Silence {
    addresses: HashMap<IpAddr, Window>,
    workers: HashMap<IpAddr, BTreeMap<Arc<str>, Instant>>,
    /// The workers that were reported as paused.
    told: BTreeSet<Arc<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    /// How many more connections are closed immediately.
    closes: u32,
}

impl Silence {
    /// Whether a new connection is closed immediately.
    pub fn hangs_up(&mut self, address: IpAddr, now: Instant) -> bool {
        let Some(window) = self.window(address, now) else {
            return false;
        };
        let closes = window.closes > 0;
        window.closes = window.closes.saturating_sub(1);
        closes
    }

    /// A miner was disconnected. Behind a router or a container's network, other miners have the same address, so each
    /// miner adds its own attempts.
    pub fn left(&mut self, address: IpAddr, now: Instant) {
        let begins = !self.has_window(address, now);
        if let Some(window) = self.window(address, now).filter(|_| !begins) {
            window.closes = window.closes.saturating_add(ATTEMPTS);
        }
    }

    /// How long a connection from an address stays open without an answer: to the end of the address's minute. So there
    /// is no more than one besides those that are closed immediately.
    pub fn hold_until(&self, address: IpAddr, now: Instant) -> Instant {
        let window = self.addresses.get(&address);
        let minute = window.map_or(now, |window| later(window.since, WINDOW));
        later(now, HOLD).max(minute)
    }

    /// A worker was seen at an address.
    pub fn saw(&mut self, address: IpAddr, worker: &Arc<str>, now: Instant) {
        if self.workers.len() >= MOST && !self.workers.contains_key(&address) {
            self.workers
                .retain(|_, workers| workers.values().any(|at| lately(*at, now)));
            if self.workers.len() >= MOST {
                return;
            }
        }
        let workers = self.workers.entry(address).or_default();
        if workers.len() >= MOST_WORKERS && !workers.contains_key(worker) {
            workers.retain(|_, at| lately(*at, now));
        }
        if workers.len() < MOST_WORKERS || workers.contains_key(worker) {
            workers.insert(Arc::clone(worker), now);
        }
    }

    /// The workers that were seen at an address within a day.
    pub fn seen(&self, address: IpAddr, now: Instant) -> impl Iterator<Item = &Arc<str>> {
        let workers = self.workers.get(&address).into_iter().flatten();
        let workers = workers.filter(move |(_, at)| lately(**at, now));
        workers.map(|(worker, _)| worker)
    }

    /// Whether a worker's pause has not been reported yet.
    pub fn begins(&mut self, worker: &Arc<str>) -> bool {
        self.told.len() < MOST_TOLD && self.told.insert(Arc::clone(worker))
    }

    /// The paused workers that were reported.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        self.told.iter().map(|worker| &**worker)
    }

    /// The workers that are no longer paused.
    pub fn ended(&mut self, pauses: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let over = self.told.iter().filter(|worker| !pauses(worker));
        let over: Vec<_> = over.cloned().collect();
        for worker in &over {
            self.told.remove(worker);
        }
        over
    }

    fn has_window(&self, address: IpAddr, now: Instant) -> bool {
        let window = self.addresses.get(&address);
        window.is_some_and(|window| now.saturating_duration_since(window.since) < WINDOW)
    }

    fn window(&mut self, address: IpAddr, now: Instant) -> Option<&mut Window> {
        let is_new = !self.has_window(address, now);
        if self.addresses.len() >= MOST && !self.addresses.contains_key(&address) {
            self.addresses
                .retain(|_, window| now.saturating_duration_since(window.since) < WINDOW);
            if self.addresses.len() >= MOST {
                return None;
            }
        }
        let fresh = Window {
            since: now,
            closes: ATTEMPTS,
        };
        let window = self.addresses.entry(address).or_insert(fresh);
        if is_new {
            *window = fresh;
        }
        Some(window)
    }
}

fn lately(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < SEEN
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    fn closed(silence: &mut Silence, address: IpAddr, now: Instant) -> usize {
        (0..20).filter(|_| silence.hangs_up(address, now)).count()
    }

    #[test]
    fn an_address_is_turned_away_three_times_a_minute_per_miner() {
        let (mut silence, now) = (Silence::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        assert_eq!(closed(&mut silence, one, now), 3);
        assert_eq!(closed(&mut silence, one, now + WINDOW / 2), 0);
        assert_eq!(closed(&mut silence, one, now + WINDOW), 3);
        for _ in 0..4 {
            silence.left(other, now);
        }
        assert_eq!(closed(&mut silence, other, now), 12);
    }

    #[test]
    fn a_flood_of_addresses_does_not_use_more_memory() {
        let (mut silence, now) = (Silence::default(), Instant::now());
        for number in 0..20_000_u32 {
            silence.hangs_up(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(silence.addresses.len(), MOST);
        let newcomer = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(closed(&mut silence, newcomer, now), 0);
        assert_eq!(closed(&mut silence, newcomer, now + WINDOW), 3);
    }
}
