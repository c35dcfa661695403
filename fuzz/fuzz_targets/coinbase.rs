//! Fuzzes coinbases of jobs.
#![no_main]

dpmp_fuzz::program!(coinbase);
