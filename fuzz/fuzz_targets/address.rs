//! Fuzzes wallets and the addresses of scripts.
#![no_main]

dpmp_fuzz::program!(address);
