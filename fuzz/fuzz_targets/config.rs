//! Fuzzes the configuration file.
#![no_main]

dpmp_fuzz::program!(config);
