//! Fuzzes wallets and addresses of scripts.
#![no_main]

dpmp_fuzz::program!(address);
