//! Fuzzes messages from miners.
#![no_main]

dpmp_fuzz::program!(from_miner);
