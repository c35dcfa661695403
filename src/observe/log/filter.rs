//! Which events are logged.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use log::{Level, LevelFilter};

use crate::config::{Change, Logging};
use crate::core::fact::Fact;
use crate::observe::event::{self, Name};

/// What is logged. Reading it takes no lock; it is harmless that its parts change one after another.
#[derive(Debug)]
pub(super) struct Filter {
    /// A [`LevelFilter`] as a number.
    level: AtomicUsize,
    /// The [bits](Name::bit) of the names that are logged.
    names: AtomicU64,
    show_wallets: AtomicBool,
    /// A [`LevelFilter`] as a number: what also goes to standard output.
    stdout: AtomicUsize,
}

impl Filter {
    pub(super) fn new(logging: &Logging) -> Self {
        let filter = Self {
            level: AtomicUsize::new(0),
            names: AtomicU64::new(0),
            show_wallets: AtomicBool::new(false),
            stdout: AtomicUsize::new(0),
        };
        filter.set(logging);
        filter
    }

    pub(super) fn set(&self, logging: &Logging) {
        let in_list = |list: &[String], name: &Name| list.iter().any(|text| text == name.text());
        let names = Name::ALL
            .iter()
            .filter(|name| logging.allow.is_empty() || in_list(&logging.allow, name))
            .filter(|name| !in_list(&logging.deny, name))
            .fold(0, |names, name| names | name.bit());
        self.level
            .store(number(LevelFilter::from(logging.level)), Ordering::Relaxed);
        self.names.store(names, Ordering::Relaxed);
        let stdout = LevelFilter::from(logging.stdout());
        self.stdout.store(number(stdout), Ordering::Relaxed);
        self.show_wallets
            .store(logging.show_wallets, Ordering::Relaxed);
    }

    pub(super) fn shows_wallets(&self) -> bool {
        self.show_wallets.load(Ordering::Relaxed)
    }

    /// Whether a logged line also goes to standard output.
    pub(super) fn prints(&self, level: Level) -> bool {
        number(level.to_level_filter()) <= self.stdout.load(Ordering::Relaxed)
    }

    pub(super) fn passes(&self, fact: &Fact) -> bool {
        // A change of where the earnings go is always logged, whatever the filter says.
        let moves_money = matches!(fact, Fact::ConfigApplied { changes, .. } if changes.iter().any(Change::moves_money));
        moves_money || self.lets_pass(event::level(fact), event::name(fact))
    }

    pub(super) fn lets_pass(&self, level: Level, name: Name) -> bool {
        number(level.to_level_filter()) <= self.level.load(Ordering::Relaxed)
            && self.names.load(Ordering::Relaxed) & name.bit() != 0
    }
}

/// A level's rank, quietest first.
fn number(level: LevelFilter) -> usize {
    match level {
        LevelFilter::Off => 0,
        LevelFilter::Error => 1,
        LevelFilter::Warn => 2,
        LevelFilter::Info => 3,
        LevelFilter::Debug => 4,
        LevelFilter::Trace => 5,
    }
}
