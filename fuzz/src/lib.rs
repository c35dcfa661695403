//! The fuzz targets for cargo-fuzz. Their code is in `tests/fuzz/targets`, which `cargo test` runs, too.
#![allow(missing_docs, reason = "it is no library for anybody else")]

#[path = "../../tests/fuzz/targets/mod.rs"]
pub mod targets;

use dpmp::random::Random;

/// Changes the input in `data[..size]`, in our way or libFuzzer's, and returns the new length.
pub fn mutate(data: &mut [u8], size: usize, longest: usize, seed: u32) -> usize {
    let mut rng = Random::new(seed.into());
    if rng.below(2) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, longest);
    }
    let made = targets::mutate::mutate(&data[..size], &data[..size], &mut rng);
    let length = made.len().min(longest);
    data[..length].copy_from_slice(&made[..length]);
    length
}

/// The program for one target.
#[macro_export]
macro_rules! program {
    ($target:ident) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::targets::$target::run(data));
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, longest: usize, seed: u32| {
            $crate::mutate(data, size, longest, seed)
        });
    };
}
