//! Fuzzes the PROXY header.
#![no_main]

dpmp_fuzz::program!(proxy_header);
