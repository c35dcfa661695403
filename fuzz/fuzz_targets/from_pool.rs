//! Fuzzes messages from pools.
#![no_main]

dpmp_fuzz::program!(from_pool);
