//! Random numbers: repeatable ones that depend only on the seed, for the core's jitter, the simulators and tests; and
//! unpredictable ones from the system.

use anyhow::anyhow;

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and good enough for everything but secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts the sequence for a seed. Neighboring seeds give unrelated sequences.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.next_u64().to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// A whole number below `end`; zero if `end` is zero.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or(0)
    }

    /// A number from 0 up to, but not including, 1.
    pub fn unit(&mut self) -> f64 {
        f64::from(self.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    /// A number between two positive ones, with every order of magnitude equally likely.
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        (low.ln() + (high.ln() - low.ln()) * self.unit()).exp()
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let fresh = self.next_u64().to_be_bytes();
            chunk.copy_from_slice(&fresh[..chunk.len()]);
        }
        bytes
    }
}

/// Bytes that nobody can guess.
///
/// # Errors
/// If the system has none.
pub fn secret<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system has no random numbers: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_within_bounds() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert_eq!(a.bytes::<33>(), b.bytes::<33>());
        for _ in 0..1000 {
            assert!(a.below(10) < 10);
            assert!((0.0..1.0).contains(&a.unit()));
            let difficulty = a.log_between(1e-9, 1e-6);
            assert!((0.9e-9..1.1e-6).contains(&difficulty));
        }
        assert_eq!(a.below(0), 0);
        assert_ne!(Random::new(1).next_u64(), Random::new(2).next_u64());
    }
}
