//! Fuzzes what miners say.
#![no_main]

dpmp_fuzz::program!(from_miner);
