//! The `dpmp` program: from the command line to an exit code.

use std::process::ExitCode;

use clap::Parser;

use dpmp::cli::Cli;

fn main() -> ExitCode {
    match dpmp::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("dpmp: {error:#}");
            ExitCode::FAILURE
        }
    }
}
