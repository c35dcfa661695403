//! Which pool one miner works for, and until when.
//!
//! One signed number decides: `error` = (time on A) − (share of A) × (time mining), in seconds. It grows on A and falls
//! on B, and a switch is due when it reaches ±h. It starts at zero, so it *is* the miner's cumulative error, which
//! never exceeds h by more than the delay of a switch.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::units::{PerPool, PoolSlot};

/// The fractional part of the golden ratio: its multiples spread evenly over the unit interval.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// The shortest first turn of a miner, in seconds.
const SHORTEST_OPENING: f64 = 0.25;

/// The owner's settings in the form needed for the calculation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The part of the time for each pool; the sum is 1.
    pub shares: PerPool<f64>,
    /// The intended shorter turn, in seconds.
    pub slice: f64,
    /// No turn is shorter, except a miner's first two and the first after a long outage.
    pub min_switch: Duration,
    /// How much missed time a pool gets back after an outage, in seconds.
    pub catch_up: f64,
    /// Whether the current time does not count: a pool answers no shares, or all work should go to one pool.
    pub frozen: bool,
}

impl Rules {
    /// Takes them from the configuration, for a miner that should divide its time like this.
    pub fn of(config: &Config, shares: PerPool<f64>) -> Self {
        let min_switch = config.scheduler.min_switch;
        Self {
            shares,
            slice: config.scheduler.slice.max(min_switch).as_secs_f64(),
            min_switch,
            catch_up: config.scheduler.catch_up.as_secs_f64(),
            // Time at the other pool in the meantime is not made up for.
            frozen: shares.iter().any(|(_, share)| *share <= 0.0),
        }
    }

    /// The bound of the error, in seconds: h = slice × (larger share) / 2. It makes the smaller pool's turn one slice
    /// long.
    pub fn bound(&self) -> f64 {
        let larger = self.shares[PoolSlot::A].max(self.shares[PoolSlot::B]);
        self.slice * larger / 2.0
    }
}

/// The state of one miner's schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The cumulative error, in seconds, at `since`.
    error: f64,
    /// The time up to which `error` and `time_on` are calculated.
    since: Instant,
    /// The pool that the miner works for, and since when.
    turn: Option<(PoolSlot, Instant)>,
    /// The miner's own place in the cycle, from 0 to 1.
    phase: f64,
    /// The stages on the way to that place.
    entry: Entry,
    /// Which pools had work at the last call.
    available: PerPool<bool>,
    /// Seconds of work for each pool so far.
    time_on: PerPool<f64>,
}

/// The stages of entering the cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry {
    /// Its first turn, which brings it to its own place.
    FirstTurn(FirstTurn),
    /// Its second turn, which begins within the bound and so may also be short.
    Second,
    /// It was put at its place again; its next turn may be short like a second one.
    Forgiven,
    /// It is in the cycle.
    Over,
}

/// A miner's first turn: its pool, and the part (0 to 1) of the bound at which it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FirstTurn {
    slot: PoolSlot,
    part: f64,
}

impl Schedule {
    /// A schedule for the `index`-th miner (from 0). The first one works its first half turn on A. The next ones start
    /// spread evenly over the cycle, so that a fleet as a whole is close to the split immediately and does not switch
    /// all together.
    pub fn new(index: u64, now: Instant) -> Self {
        // A cycle passes an error of zero twice, so half of the miners begin on each pool. The precision of a large
        // index does not matter.
        let index = f64::from(u32::try_from(index & 0xffff).unwrap_or(0));
        let phase = (0.4999 + index * GOLDEN).fract();
        let opening = if phase < 0.5 {
            FirstTurn {
                slot: PoolSlot::A,
                part: 2.0 * phase,
            }
        } else {
            FirstTurn {
                slot: PoolSlot::B,
                part: 2.0 * phase - 1.0,
            }
        };
        Self {
            error: 0.0,
            since: now,
            turn: None,
            phase,
            entry: Entry::FirstTurn(opening),
            available: PerPool::default(),
            time_on: PerPool::default(),
        }
    }

    /// The pool that the miner works for.
    pub fn on(&self) -> Option<PoolSlot> {
        self.turn.map(|(slot, _)| slot)
    }

    /// The pool that the miner would begin with if both had work.
    pub fn preferred_start(&self) -> PoolSlot {
        match self.entry {
            Entry::FirstTurn(opening) => opening.slot,
            Entry::Second | Entry::Forgiven | Entry::Over => PoolSlot::A,
        }
    }

    /// The cumulative error, in seconds, as of the last [`advance`](Self::advance).
    pub fn error(&self) -> f64 {
        self.error
    }

    /// Seconds of work for each pool, as of the last [`advance`](Self::advance).
    pub fn time_on(&self) -> PerPool<f64> {
        self.time_on
    }

    /// Accounts for the time since the last call under the rules that applied then. Returns that time in seconds and
    /// its pool.
    pub fn advance(&mut self, now: Instant, rules: &Rules) -> Option<(PoolSlot, f64)> {
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = self.since.max(now);
        let slot = self.on()?;
        self.time_on[slot] += elapsed;
        if !rules.frozen {
            self.error += elapsed * Self::rate(slot, rules);
        }
        Some((slot, elapsed))
    }

    /// How fast the error changes while the miner works for a pool.
    fn rate(slot: PoolSlot, rules: &Rules) -> f64 {
        match slot {
            PoolSlot::A => rules.shares[PoolSlot::B],
            PoolSlot::B => -rules.shares[PoolSlot::A],
        }
    }

    /// The pool that the miner should work for now, of those that have work. Call
    /// [`advance`](Self::advance) first.
    pub fn choose(
        &mut self,
        now: Instant,
        rules: &Rules,
        available: PerPool<bool>,
    ) -> Option<PoolSlot> {
        let both = available[PoolSlot::A] && available[PoolSlot::B];
        let before = std::mem::replace(&mut self.available, available);
        if !both {
            return PoolSlot::ALL.into_iter().find(|slot| available[*slot]);
        }
        if !(before[PoolSlot::A] && before[PoolSlot::B]) {
            // A pool is back: its missed time is made up for, within limits.
            let most = rules.catch_up.max(rules.bound());
            if self.error.abs() > most {
                return Some(self.forgive(most, rules));
            }
        }
        match self.turn {
            None => Some(self.preferred_start()),
            Some((slot, _)) if self.switch_due(rules).is_some_and(|due| due <= now) => {
                Some(slot.other())
            }
            Some((slot, _)) => Some(slot),
        }
    }

    /// Reduces the error to `most`, and returns the pool to work for. After a long outage, this alone would put all
    /// miners at the same point, and they would switch in step forever. So each miner is put where it would be if it
    /// had been at that point its own part of a cycle ago.
    fn forgive(&mut self, most: f64, rules: &Rules) -> PoolSlot {
        let ahead = if self.error > 0.0 {
            PoolSlot::A
        } else {
            PoolSlot::B
        };
        let behind = ahead.other();
        let (falls, rises) = (rules.shares[ahead], rules.shares[behind]);
        let (bound, turn_of) = (rules.bound(), |rate: f64| 2.0 * rules.bound() / rate);
        let since = self.phase * (turn_of(falls) + turn_of(rises));
        let until_switch = (most + bound) / falls;
        let (size, slot) = if since < until_switch {
            (most - falls * since, behind)
        } else {
            (rises * (since - until_switch) - bound, ahead)
        };
        self.error = size * self.error.signum();
        self.entry = Entry::Forgiven;
        slot
    }

    /// Records that the miner got work from a pool, or has none.
    pub fn set_turn(&mut self, slot: Option<PoolSlot>, now: Instant) {
        if self.on() != slot {
            self.entry = match self.entry {
                Entry::FirstTurn(opening) if self.on() != Some(opening.slot) => self.entry,
                Entry::FirstTurn(_) | Entry::Forgiven => Entry::Second,
                Entry::Second | Entry::Over => Entry::Over,
            };
        }
        self.turn = slot.map(|slot| (slot, now));
    }

    /// When the next switch is due, if both pools keep having work.
    pub fn next_deadline(&self, rules: &Rules) -> Option<Instant> {
        // While time does not count, the error does not change.
        let moves = self.available[PoolSlot::A] && self.available[PoolSlot::B] && !rules.frozen;
        moves.then(|| self.switch_due(rules))?
    }

    /// When the miner's next turn on a pool begins, if both have work then; `None` if unknown.
    pub fn next_turn_on(&self, slot: PoolSlot, rules: &Rules) -> Option<Instant> {
        match self.turn {
            Some((on, since)) if on == slot => Some(since),
            Some(_) => self.switch_due(rules),
            None => None,
        }
    }

    /// Since when the miner has worked for its current pool.
    pub fn turn_began(&self) -> Option<Instant> {
        self.turn.map(|(_, since)| since)
    }

    /// Whether both pools had work at the last call.
    pub fn had_both(&self) -> bool {
        self.available[PoolSlot::A] && self.available[PoolSlot::B]
    }

    fn switch_due(&self, rules: &Rules) -> Option<Instant> {
        let (slot, started) = self.turn?;
        let rate = Self::rate(slot, rules).abs();
        let progress = match slot {
            PoolSlot::A => self.error,
            PoolSlot::B => -self.error,
        };
        let bound = rules.bound();
        let (limit, shortest) = match self.entry {
            // Not on the pool of its first turn, only because that pool had no work yet.
            Entry::FirstTurn(opening) if opening.slot != slot => {
                return started.checked_add(rules.min_switch);
            }
            Entry::FirstTurn(opening) => {
                // It ends early on purpose, but not within a moment.
                let least = (rate * SHORTEST_OPENING).min(bound);
                ((opening.part * bound).max(least), Duration::ZERO)
            }
            Entry::Second | Entry::Forgiven => (bound, Duration::ZERO),
            Entry::Over => (bound, rules.min_switch),
        };
        let left = (limit - progress).max(0.0) / rate;
        // A rate of zero means that all work goes to this pool. (0/0 also means "never".)
        let left = Duration::try_from_secs_f64(left).ok()?;
        Some(
            self.since
                .checked_add(left)?
                .max(started.checked_add(shortest)?),
        )
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    fn rules(a: f64, slice: f64, min_switch: f64) -> Rules {
        let mut shares = PerPool::default();
        (shares[PoolSlot::A], shares[PoolSlot::B]) = (a, 1.0 - a);
        let min_switch = Duration::from_secs_f64(min_switch);
        Rules {
            shares,
            slice,
            min_switch,
            catch_up: 600.0,
            frozen: false,
        }
    }

    fn both() -> PerPool<bool> {
        PerPool::from_fn(|_| true)
    }

    /// Runs a schedule for `hours`, waking exactly at its deadlines. Returns the turns.
    fn run(index: u64, rules: &Rules, hours: u64) -> Vec<(PoolSlot, f64)> {
        let start = Instant::now();
        let mut now = start;
        let mut schedule = Schedule::new(index, now);
        let mut turns: Vec<(PoolSlot, f64)> = Vec::new();
        while now < start + Duration::from_secs(hours * 3600) {
            schedule.advance(now, rules);
            assert!(
                schedule.error().abs() <= rules.bound() + 1e-6,
                "{}",
                schedule.error()
            );
            let slot = schedule.choose(now, rules, both());
            if slot != schedule.on() {
                schedule.set_turn(slot, now);
                turns.push((slot.unwrap(), 0.0));
            }
            let Some(next) = schedule.next_deadline(rules) else {
                break;
            };
            assert!(next >= now);
            turns.last_mut().unwrap().1 += (next - now).as_secs_f64();
            now = next;
        }
        turns
    }

    /// Follows one schedule from one moment to another, waking at its deadlines.
    fn run_to(
        schedule: &mut Schedule,
        mut now: Instant,
        until: Instant,
        rules: &Rules,
        available: PerPool<bool>,
    ) {
        while now <= until {
            schedule.advance(now, rules);
            let slot = schedule.choose(now, rules, available);
            if slot != schedule.on() {
                schedule.set_turn(slot, now);
            }
            now = schedule
                .next_deadline(rules)
                .unwrap_or(until)
                .max(now + Duration::from_nanos(1));
        }
        schedule.advance(until, rules);
    }

    #[test]
    fn turns_have_the_intended_length() {
        for (share, a, b) in [
            (0.5, 10.0, 10.0),
            (0.7, 70.0 / 3.0, 10.0),
            (0.1, 10.0, 90.0),
        ] {
            for index in 0..20 {
                let turns = run(index, &rules(share, 10.0, 1.0), 3);
                for (slot, length) in &turns[2..turns.len() - 1] {
                    let expected = if *slot == PoolSlot::A { a } else { b };
                    assert!((length - expected).abs() < 1e-3, "{share} {slot} {length}");
                }
                assert!(turns[0].1 <= a.max(b) / 2.0 + 1e-3);
            }
        }
    }

    #[test]
    fn a_fleets_switches_are_spread_over_the_cycle() {
        // In the long run, the number of miners on A is close to its share at every moment.
        for share in [0.5, 0.7, 0.9] {
            let rules = rules(share, 10.0, 1.0);
            let start = Instant::now();
            let mut fleet: Vec<_> = (0..100).map(|index| Schedule::new(index, start)).collect();
            for tenth in 0..6000 {
                let now = start + Duration::from_millis(100 * tenth);
                for schedule in &mut fleet {
                    schedule.advance(now, &rules);
                    let slot = schedule.choose(now, &rules, both());
                    if slot != schedule.on() {
                        schedule.set_turn(slot, now);
                    }
                }
                let on_a = fleet
                    .iter()
                    .filter(|schedule| schedule.on() == Some(PoolSlot::A))
                    .count();
                let on_a = f64::from(u32::try_from(on_a).unwrap()) / 100.0;
                assert!(
                    tenth < 1000 || (on_a - share).abs() < 0.08,
                    "{share}: {on_a} at {tenth}"
                );
            }
        }
    }

    #[test]
    fn an_outage_is_made_up_for_up_to_the_limit() {
        let rules = rules(0.5, 10.0, 1.0);
        let start = Instant::now();
        let mut schedule = Schedule::new(0, start);
        let only_a = PerPool::from_fn(|slot| slot == PoolSlot::A);
        assert_eq!(schedule.choose(start, &rules, only_a), Some(PoolSlot::A));
        schedule.set_turn(Some(PoolSlot::A), start);
        let back = start + Duration::from_secs(7200);
        schedule.advance(back, &rules);
        assert_eq!(schedule.choose(back, &rules, both()), Some(PoolSlot::B));
        // Of the limit of 600 s half a cycle is over, in which B makes up for 5 s.
        assert!((schedule.error() - 595.0).abs() < 0.01);
        schedule.set_turn(Some(PoolSlot::B), back);
        let due = schedule.next_deadline(&rules).unwrap();
        assert!((due - back).abs_diff(Duration::from_secs(1195)) < Duration::from_millis(20));
    }

    #[test]
    fn a_fleet_does_not_switch_all_together_after_an_outage() {
        for (share, catch_up, lost) in [
            (0.5, 0.0, PoolSlot::B),
            (0.7, 30.0, PoolSlot::A),
            (0.3, 600.0, PoolSlot::B),
        ] {
            let rules = Rules {
                catch_up,
                ..rules(share, 2.0, 1.0)
            };
            let start = Instant::now();
            let mut fleet: Vec<_> = (0..100).map(|index| Schedule::new(index, start)).collect();
            let mut follow = |from: Duration, to: Duration, available| {
                let (from, to) = (start + from, start + to);
                for schedule in &mut fleet {
                    run_to(schedule, from, to, &rules, available);
                }
                let on_a = fleet.iter().filter(|it| it.on() == Some(PoolSlot::A));
                f64::from(u32::try_from(on_a.count()).unwrap()) / 100.0
            };
            let at = Duration::from_millis;
            follow(at(0), at(1_000), both());
            follow(
                at(1_000),
                at(7_200_000),
                PerPool::from_fn(|slot| slot != lost),
            );
            // Time enough to catch up.
            follow(at(7_200_000), at(10_800_000), both());
            for tenth in 108_000..108_600 {
                let on_a = follow(at(100 * tenth), at(100 * tenth + 100), both());
                assert!((on_a - share).abs() < 0.08, "{share}: {on_a} at {tenth}");
            }
        }
    }

    #[test]
    fn the_second_turn_stays_within_the_bound_too() {
        let rules = rules(0.7, 1.0, 1.0);
        for index in 0..50 {
            run(index, &rules, 1);
        }
    }

    #[test]
    fn a_pool_with_a_weight_of_zero_never_gets_a_turn() {
        let rules = rules(1.0, 10.0, 1.0);
        let start = Instant::now();
        let mut schedule = Schedule::new(0, start);
        assert_eq!(schedule.choose(start, &rules, both()), Some(PoolSlot::A));
        schedule.set_turn(Some(PoolSlot::A), start);
        assert_eq!(schedule.next_deadline(&rules), None);
    }

    #[test]
    fn turns_keep_their_minimum_length_when_the_weights_change() {
        let start = Instant::now();
        let mut schedule = Schedule::new(0, start);
        let wide = rules(0.5, 100.0, 5.0);
        schedule.choose(start, &wide, both());
        schedule.set_turn(Some(PoolSlot::A), start);
        let later = start + Duration::from_secs(40);
        schedule.advance(later, &wide);
        // Now the error of 20 s is far outside the bound of 5 s.
        let narrow = rules(0.5, 10.0, 5.0);
        assert_eq!(schedule.choose(later, &narrow, both()), Some(PoolSlot::B));
        schedule.set_turn(Some(PoolSlot::B), later);
        let soon = later + Duration::from_secs(2);
        schedule.advance(soon, &narrow);
        // Everything to A again: not before B has had its five seconds.
        let all_a = rules(0.999, 10.0, 5.0);
        assert_eq!(schedule.choose(soon, &all_a, both()), Some(PoolSlot::B));
    }
}
