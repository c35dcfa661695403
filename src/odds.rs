//! The odds of a block, and how lucky a best share was. Pure arithmetic: blocks are a Poisson process, so past work
//! changes nothing.

use crate::core::stats::meter::HASHES_PER_DIFFICULTY;

/// A day, in seconds.
pub const DAY: f64 = 86_400.0;

/// A year, in seconds.
pub const YEAR: f64 = 365.25 * DAY;

/// How many blocks are found per second, on average. Never negative or infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockRate(f64);

impl BlockRate {
    /// For this hashrate in hashes per second and this network difficulty; `None` if either makes no sense.
    pub fn of(hashrate: f64, network_difficulty: f64) -> Option<Self> {
        let rate = hashrate / (network_difficulty * HASHES_PER_DIFFICULTY);
        let makes_sense = network_difficulty > 0.0 && rate.is_finite() && rate >= 0.0;
        makes_sense.then_some(Self(rate))
    }

    /// The rate of both together, whatever their coins are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self((self.0 + other.0).min(f64::MAX))
    }

    /// The chance of at least one block in this many seconds, from 0 to 1.
    pub fn chance_in(self, seconds: f64) -> f64 {
        // Exact even if the chance is tiny.
        -(-self.0 * seconds).exp_m1()
    }

    /// The average time for a block, in seconds; `None`: there will be none.
    pub fn seconds_per_block(self) -> Option<f64> {
        Some(1.0 / self.0).filter(|seconds| seconds.is_finite())
    }
}

/// The difficulty that the best share for this work (a sum of difficulties) exceeds in half of all cases; `None`
/// without work.
pub fn usual_best(work: f64) -> Option<f64> {
    let best = work / std::f64::consts::LN_2;
    (best > 0.0 && best.is_finite()).then_some(best)
}

/// The chance that the best share for this work would have been lower than this one, from 0 to 1; `None` without work.
pub fn luck(best: f64, work: f64) -> Option<f64> {
    (work > 0.0 && best > 0.0).then(|| (-work / best).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn a_small_miner_has_a_small_chance() {
        // 1 TH/s at a difficulty of 100 T: one block takes 4.3e23 hashes on average.
        let rate = BlockRate::of(1e12, 1e14).unwrap();
        near(rate.seconds_per_block().unwrap(), 4.294_967_296e11);
        near(rate.chance_in(DAY), DAY / 4.294_967_296e11);
        near(rate.chance_in(1.0), 1.0 / 4.294_967_296e11);
        near(rate.and(rate).chance_in(DAY), 2.0 * DAY / 4.294_967_296e11);
    }

    #[test]
    fn within_the_expected_time_a_block_is_found_in_63_percent_of_cases() {
        let rate = BlockRate::of(HASHES_PER_DIFFICULTY, 600.0).unwrap();
        near(rate.chance_in(600.0), 1.0 - (-1.0_f64).exp());
        assert_eq!(rate.chance_in(1e9), 1.0);
        assert_eq!(rate.chance_in(0.0), 0.0);
    }

    #[test]
    fn extreme_inputs_give_finite_numbers() {
        let none = BlockRate::of(0.0, 1e14).unwrap();
        assert_eq!(none.chance_in(YEAR), 0.0);
        assert_eq!(none.seconds_per_block(), None);
        for (hashrate, difficulty) in [
            (1.0, 0.0),
            (1.0, -1.0),
            (-1.0, 1.0),
            (1.0, f64::NAN),
            (f64::NAN, 1.0),
            (f64::INFINITY, 1.0),
        ] {
            assert_eq!(BlockRate::of(hashrate, difficulty), None);
        }
        let huge = BlockRate::of(1e300, 1e-9).unwrap();
        assert_eq!(huge.and(huge).chance_in(DAY), 1.0);
        let slow = BlockRate::of(1e-300, 1e300);
        assert_eq!(slow.map(|rate| rate.chance_in(DAY)), Some(0.0));
    }

    #[test]
    fn a_best_share_is_judged_by_the_work_done() {
        let usual = usual_best(1000.0).unwrap();
        near(luck(usual, 1000.0).unwrap(), 0.5);
        assert!(luck(1e9, 1000.0).unwrap() > 0.999);
        assert!(luck(1.0, 1000.0).unwrap() < 1e-9);
        assert_eq!(
            (usual_best(0.0), luck(1.0, 0.0), luck(0.0, 1.0)),
            (None, None, None)
        );
        assert_eq!(usual_best(f64::NAN), None);
    }
}
