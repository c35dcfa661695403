//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A Stratum proxy that splits each miner's work between two pools by weight.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None)]
pub struct Cli {
    /// What to do; without it, run the proxy.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub struct ConfigFile {
    /// The configuration file [default: $DPMP_CONFIG, otherwise ./config.json]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the configuration and connect to both pools, without mining
    Check {
        /// Which configuration.
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Send a test message to one of your targets
    Notify {
        /// The target's name in the configuration
        #[arg(long, value_name = "NAME")]
        test: String,
        /// Which configuration.
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Show how DPMP works, with two simulated pools and four simulated miners
    Demo {
        /// Stop after this many seconds [default: at Ctrl-C]
        #[arg(long, value_name = "SECONDS")]
        seconds: Option<u64>,
    },
    /// Ask the DPMP on this computer whether it can serve miners; for containers
    Healthcheck {
        /// Which configuration.
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_that_read_a_configuration_accept_one() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        for line in [
            "dpmp check --config a",
            "dpmp --config a check",
            "dpmp healthcheck --config a",
            "dpmp notify --test phone --config a",
            "dpmp --config a",
        ] {
            let cli = parse(line).unwrap();
            let own = match cli.command {
                Some(
                    Command::Check { config }
                    | Command::Healthcheck { config }
                    | Command::Notify { config, .. },
                ) => config.config,
                Some(Command::Demo { .. }) | None => None,
            };
            assert_eq!(
                own.or(cli.config.config),
                Some(PathBuf::from("a")),
                "{line}"
            );
        }
        assert!(parse("dpmp demo --config a").is_err());
        assert!(parse("dpmp demo --seconds 3").is_ok());
    }
}
