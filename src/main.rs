//! The `dpmp` program: from the command line to an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use dpmp::cli::Cli;

fn main() -> ExitCode {
    match dpmp::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Even if this cannot be written, there is still the exit code.
            let _ = writeln!(io::stderr(), "dpmp: {error:#}");
            ExitCode::FAILURE
        }
    }
}
