//! Fuzzes the line reader.
#![no_main]

dpmp_fuzz::program!(line);
