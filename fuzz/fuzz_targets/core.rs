//! Fuzzes the core with a script of events.
#![no_main]

dpmp_fuzz::program!(core);
