//! Fuzzes the API's bodies.
#![no_main]

dpmp_fuzz::program!(api);
