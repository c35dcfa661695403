//! The real binary over real sockets, between simulated pools and miners.
//!
//! Each file tests one behavior; `support` holds what they share. `direct` tests the simulators against each other,
//! without the proxy, so that a failure elsewhere is the proxy's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "tests fail by panicking, print what they measure, and run in real time"
)]

mod support;

mod direct;

mod backups;
mod balancer;
mod check;
mod extranonce;
mod failover;
mod files;
mod floods;
mod handshake;
mod health;
mod import;
mod live;
mod logins;
mod notify;
mod panics;
mod restart;
mod rubbish;
mod shared;
mod shares;
mod split;
mod steering;
mod tls;
mod tls_miners;
mod tokens;
mod verdicts;
mod visit;

mod web_read;
mod web_shapes;
mod web_write;

mod public;
mod tidy;
mod words;
