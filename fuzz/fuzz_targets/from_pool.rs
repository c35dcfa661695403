//! Fuzzes what pools say.
#![no_main]

dpmp_fuzz::program!(from_pool);
