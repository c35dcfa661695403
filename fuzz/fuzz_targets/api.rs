//! Fuzzes the bodies of API requests.
#![no_main]

dpmp_fuzz::program!(api);
