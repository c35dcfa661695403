//! `dpmp check`: checks the configuration and the files that it names, and tests both pools. Nothing is mined.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::config::{self, ConfigErrors, DifficultyLimits, LoadedConfig, PoolConfig};
use crate::observe::log::warn_of_unknown_names;
use crate::shell::tls::miner::Certificate;
use crate::shell::tls::pool::Tls;
use crate::system::files;
use crate::units::PoolSlot;
use crate::visit::{Finding, Step, visit};

/// How long a visit to a pool may take in all.
const PATIENCE: Duration = Duration::from_secs(40);

/// Checks the file and both pools; exit code 0 only if everything works.
///
/// # Errors
/// If the file cannot be read or is not valid.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let text = files::read_text(path, config::LARGEST_FILE)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let mut loaded = understand(&text)
        .map_err(|errors| anyhow!("{} is not valid:\n{errors}", path.display()))?;
    warn_of_unknown_names(&mut loaded);
    say(format_args!("{}: valid", path.display()))?;
    for warning in &loaded.warnings {
        say(format_args!("  warning: {warning}"))?;
    }
    let mut good = true;
    if let Some((certificate, key)) = loaded.config.listen.certificate_beside(path) {
        let port = loaded.config.listen.tls_port;
        let usable = Certificate::load(certificate, key).and_then(|certificate| {
            certificate
                .out_of_date()
                .map_or(Ok(()), |problem| Err(anyhow!(problem)))
        });
        match usable {
            Ok(()) => say(format_args!(
                "port {port}, encrypted, for miners: the certificate can be used"
            ))?,
            Err(error) => {
                say(format_args!("port {port}, encrypted, for miners"))?;
                say(format_args!("  FAILED: {error:#}"))?;
                good = false;
            }
        }
    }
    let tls = Tls::default();
    for slot in PoolSlot::ALL {
        let share = 100.0 * loaded.config.share(slot);
        let limits = &loaded.config.downstream_diff[slot];
        match &loaded.config.pools[slot] {
            None if share == 0.0 => {
                say(format_args!(
                    "pool {slot}: not set up, and not needed because its weight is 0"
                ))?;
            }
            None => {
                say(format_args!(
                    "pool {slot}: not set up (the host or payout address is missing or a placeholder)"
                ))?;
                good = false;
            }
            Some(pool) => {
                let name = &pool.name;
                let (address, chain) = (pool.address(), &pool.chain);
                say(format_args!(
                    "pool {slot}: {name}, {chain}, {address}, {share:.1}% of the work"
                ))?;
                if let Err(error) = check_pool(slot, pool, limits, &tls) {
                    say(format_args!("  FAILED: {error:#}"))?;
                    good = false;
                }
                for (index, backup) in pool.backups.iter().enumerate() {
                    say(format_args!("  backup {}: {backup}", index + 1))?;
                    if let Err(error) = check_pool(slot, &pool.at(index + 1), limits, &tls) {
                        say(format_args!("  FAILED: {error:#}"))?;
                        good = false;
                    }
                }
            }
        }
    }
    say(if good {
        "both pools work"
    } else {
        "not everything works: see above"
    })?;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The configuration. One of the Python version is accepted, because DPMP converts it when it starts.
fn understand(text: &str) -> Result<LoadedConfig, ConfigErrors> {
    let read = config::parse_file(text);
    let Err(errors) = read else { return read };
    let raw = config::read_json(text).ok();
    let Some((raw, mut notes)) = raw.and_then(|raw| config::imported(&raw)) else {
        return Err(errors);
    };
    let mut loaded = config::parse_file(&config::text(&raw))?;
    notes.append(&mut loaded.warnings);
    loaded.warnings = notes;
    Ok(loaded)
}

fn say(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn check_pool(
    slot: PoolSlot,
    pool: &PoolConfig,
    limits: &DifficultyLimits,
    tls: &Tls,
) -> anyhow::Result<()> {
    let show = |found| {
        match found {
            Finding::Step(Step {
                name, took, text, ..
            }) => {
                let took = took.as_secs_f64() * 1000.0;
                say(format_args!("  {name:<10} {took:>8.1} ms  {text}"))?;
            }
            Finding::Note(text) => say(format_args!("  {text}"))?,
        }
        Ok(())
    };
    visit(slot, pool, limits, tls, PATIENCE, show).map_err(|failure| failure.error)
}
