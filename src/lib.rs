//! DPMP: a Stratum v1 proxy between miners and two pools.
//!
//! The path of a message: a connection's reader turns bytes into a typed message ([`stratum`]). The scheduler thread
//! passes it to the state machine that makes all decisions ([`core`]), and carries out the actions that it returns
//! ([`shell`]). Outgoing messages become bytes and go to the sockets. Everything worth reporting leaves the core as
//! facts. They become log lines and metrics ([`observe`]), a history of the last month ([`history`]) and pages
//! ([`web`]). `ARCHITECTURE.md` has the map.
#![cfg_attr(
    test,
    allow(
        clippy::wildcard_enum_match_arm,
        clippy::match_wildcard_for_single_variants,
        reason = "a test that expects one variant fails on any other"
    )
)]

// In the best order for reading.
pub mod random;
pub mod units;

pub mod system;

pub mod stratum;

pub mod coin;

pub mod config;

pub mod core;

pub mod timetable;

pub mod shell;

pub mod history;
pub mod ledger;
pub mod observe;
pub mod odds;

pub mod visit;

pub mod trouble;

pub mod notify;

pub mod http;
pub mod web;

pub mod welcome;

pub mod proxy;

pub mod cli;

pub mod check;
pub mod demo;
pub mod health;

pub mod sim;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

/// Does what the command line says.
///
/// # Errors
/// If it cannot be done; the message names what failed and why.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let general = cli.config.config;
    match cli.command {
        None => proxy::run(&config::locate(general)),
        Some(Command::Check { config }) => check::run(&config::locate(config.config.or(general))),
        Some(Command::Healthcheck { config }) => {
            health::run(&config::locate(config.config.or(general)))
        }
        Some(Command::Notify { test, config }) => {
            notify::run(&config::locate(config.config.or(general)), &test)
        }
        Some(Command::Demo { .. }) if general.is_some() => {
            anyhow::bail!("the demo makes its own configuration; leave out --config")
        }
        Some(Command::Demo { seconds }) => demo::run(seconds),
    }
}
