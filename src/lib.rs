//! DPMP: a Stratum v1 proxy between miners and two pools.
#![cfg_attr(
    test,
    allow(
        clippy::wildcard_enum_match_arm,
        clippy::match_wildcard_for_single_variants,
        reason = "a test that expects one variant fails on any other"
    )
)]

pub mod units;

pub mod stratum;

pub mod config;

pub mod core;

pub mod observe;

pub mod web;

pub mod shell;
