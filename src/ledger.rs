//! The ledger: what each worker did for each pool on each day, kept for ten years.
//!
//! - The scheduler notes shares as they are settled. Once a minute, a thread adds them and the mining time to the day
//!   and writes the day's file. Past days are in a separate file, written once a day.
//! - Days follow the timetable's time zone. While the wall clock is wrong, the work waits.
//! - A past day keeps the 32 workers with the most work and the sum of the others. So the files have a maximum size.

mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::core::fact::{ShareOutcome, ShareResult};
use crate::core::miner::view::MinerView;
use crate::core::snapshot::Snapshot;
use crate::system::clock::now;
use crate::system::thread::Keeper;
use crate::timetable::zone::Zone;
use crate::units::{FIRST_PLAUSIBLE_MS, PerPool, PoolSlot};

/// How many days are kept: ten years.
pub const MOST_DAYS: usize = 3653;

/// How many workers are listed by name on a past day.
const MOST_WORKERS: usize = 32;

/// How many workers are listed on the current day and in what waits to be added to it.
const MOST_WORKERS_TODAY: usize = 256;

/// The longest name that is kept, in bytes; a longer one is cut.
const LONGEST_NAME: usize = 64;

/// The largest value, so that no sum becomes infinite, which the file could not hold.
const LARGEST: f64 = 1e30;

/// How often work is added to the day and written.
const EVERY: Duration = Duration::from_secs(60);

/// What was done for one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, u64, u64, u64, f64)", into = "(f64, u64, u64, u64, f64)")]
pub struct Entry {
    /// The sum of the difficulties that miners were given, over good shares.
    pub work: f64,
    /// Shares that the pool accepted.
    pub accepted: u64,
    /// Shares that the pool rejected or DPMP blocked.
    pub rejected: u64,
    /// Hashes that met the network target.
    pub blocks: u64,
    /// The total time that miners worked for it, in seconds.
    pub seconds: f64,
}

impl Entry {
    fn add(&mut self, other: &Self) {
        self.work = (self.work + other.work).clamp(0.0, LARGEST);
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.blocks = self.blocks.saturating_add(other.blocks);
        self.seconds = (self.seconds + other.seconds).clamp(0.0, LARGEST);
    }

    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A row of the file.
impl From<(f64, u64, u64, u64, f64)> for Entry {
    fn from((work, accepted, rejected, blocks, seconds): (f64, u64, u64, u64, f64)) -> Self {
        Self {
            work,
            accepted,
            rejected,
            blocks,
            seconds,
        }
    }
}

impl From<Entry> for (f64, u64, u64, u64, f64) {
    fn from(it: Entry) -> Self {
        (it.work, it.accepted, it.rejected, it.blocks, it.seconds)
    }
}

/// What was done on one day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Day {
    /// The pools' names; several if they changed on that day.
    pub pools: PerPool<String>,
    /// By worker.
    pub workers: BTreeMap<String, PerPool<Entry>>,
    /// All workers without an entry of their own, together.
    pub others: PerPool<Entry>,
}

impl Day {
    /// One worker's entry; the shared one if it has none of its own.
    fn of(&mut self, worker: &str) -> &mut PerPool<Entry> {
        if worker.is_empty() {
            return &mut self.others;
        }
        let name = shortened(worker);
        let has_room = self.workers.len() < MOST_WORKERS_TODAY || self.workers.contains_key(name);
        if !has_room {
            return &mut self.others;
        }
        self.workers.entry(name.to_owned()).or_default()
    }

    fn add(&mut self, other: &Self) {
        let add = |to: &mut PerPool<Entry>, from: &PerPool<Entry>| {
            for (slot, entry) in from.iter() {
                to[slot].add(entry);
            }
        };
        for (worker, entries) in &other.workers {
            add(self.of(worker), entries);
        }
        add(&mut self.others, &other.others);
        // Workers that have done little are replaced by others the next time.
        self.reduce(MOST_WORKERS_TODAY - 1);
    }

    fn add_names<'a>(&mut self, name: impl Fn(PoolSlot) -> &'a str) {
        for slot in PoolSlot::ALL {
            let (name, known) = (shortened(name(slot)), &mut self.pools[slot]);
            if known.is_empty() {
                name.clone_into(known);
            } else if !known.ends_with(name) && known.len() < 4 * LONGEST_NAME {
                known.push_str(", ");
                known.push_str(name);
            }
        }
    }

    /// Keeps this many workers by name, those with the most work.
    fn reduce(&mut self, most: usize) {
        while self.workers.len() > most {
            let work =
                |entries: &PerPool<Entry>| entries[PoolSlot::A].work + entries[PoolSlot::B].work;
            let least = self
                .workers
                .iter()
                .min_by(|(_, a), (_, b)| work(a).total_cmp(&work(b)));
            let Some(name) = least.map(|(name, _)| name.clone()) else {
                return;
            };
            for (slot, entry) in self.workers.remove(&name).unwrap_or_default().iter() {
                self.others[slot].add(entry);
            }
        }
    }
}

fn shortened(worker: &str) -> &str {
    let mut end = worker.len().min(LONGEST_NAME);
    while !worker.is_char_boundary(end) {
        end -= 1;
    }
    &worker[..end]
}

/// The ledger: the scheduler writes, others read. Each side has its own lock, so that the scheduler never waits for a
/// reader.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Work that has not been added to a day yet.
    pending: Mutex<Day>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    days: BTreeMap<String, Day>,
    /// How long each miner had worked for each pool at the last look, in seconds, by id.
    seconds: BTreeMap<u64, PerPool<f64>>,
    /// The day to which work was added last.
    today: String,
    /// Whether today must be written, and whether the days before must be.
    unsaved: (bool, bool),
}

impl Ledger {
    /// Reads the ledger that belongs to a configuration file. Problems with its files are returned as well.
    pub fn load(config: &std::path::Path) -> (Self, Vec<String>) {
        let (days, problems) = file::load(config);
        let books = Books {
            days,
            ..Books::default()
        };
        let ledger = Self {
            books: Mutex::new(books),
            ..Self::default()
        };
        (ledger, problems)
    }

    /// Writes what has changed. The lock is held only for the formatting, because the disk may be slow.
    fn save(&self, config: &std::path::Path) -> anyhow::Result<()> {
        let mut books = self.books.lock();
        let (today, past) = std::mem::take(&mut books.unsaved);
        let of_today = |(name, _): &(&String, &Day)| **name == books.today;
        let (new, old): (BTreeMap<_, _>, BTreeMap<_, _>) = books.days.iter().partition(of_today);
        // Past days first, because today's file has the day that just ended until it is replaced.
        let texts = [
            (past, file::past(config), &old),
            (today, file::today(config), &new),
        ];
        let texts = texts
            .into_iter()
            .filter(|(unsaved, ..)| *unsaved)
            .map(|(_, path, days)| Ok((path, file::format(days)?)))
            .collect::<anyhow::Result<Vec<_>>>();
        drop(books);
        let saved = texts.and_then(|texts| {
            let mut texts = texts.iter();
            texts.try_for_each(|(path, text)| file::save(path, text))
        });
        if saved.is_err() {
            let mut books = self.books.lock();
            books.unsaved = (books.unsaved.0 || today, books.unsaved.1 || past);
        }
        saved
    }

    /// Notes the result of a share. One for an unknown job counts for no pool.
    pub fn note(&self, share: &ShareResult) {
        let Some(slot) = share.slot else { return };
        let (accepted, rejected) = match &share.outcome {
            ShareOutcome::Accepted => (1, 0),
            ShareOutcome::RejectedByPool(_) | ShareOutcome::RefusedHere(_) => (0, 1),
            ShareOutcome::BelowPool | ShareOutcome::Lost(_) => (0, 0),
        };
        self.pending.lock().of(&share.worker)[slot].add(&Entry {
            work: share.work(),
            accepted,
            rejected,
            blocks: u64::from(share.block),
            seconds: 0.0,
        });
    }

    /// The pools are about to change: the work that was noted so far was for the present ones.
    pub fn keep_names(&self, snapshot: &Snapshot) {
        let mut pending = self.pending.lock();
        if *pending != Day::default() {
            pending.add_names(|slot| &snapshot.pools[slot].name);
        }
    }

    /// Adds the work since the last look to the day.
    pub fn look(&self, snapshot: &Snapshot, zone: &Zone, unix_ms: u64) {
        let mut books = self.books.lock();
        if unix_ms >= FIRST_PLAUSIBLE_MS {
            let mut new = std::mem::take(&mut *self.pending.lock());
            books.add_time(snapshot, &mut new);
            books.add(&new, snapshot, day_of(zone, unix_ms));
        }
    }

    /// The latest days, newest first.
    pub fn days(&self, most: usize) -> Vec<(String, Day)> {
        let books = self.books.lock();
        let newest_first = books.days.iter().rev().take(most);
        newest_first
            .map(|(name, day)| (name.clone(), day.clone()))
            .collect()
    }
}

/// The day, such as `2026-11-30`. At midnight, the minute that just ended belongs to the previous day.
fn day_of(zone: &Zone, unix_ms: u64) -> String {
    zone.date(i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX) - 1)
}

impl Books {
    /// Adds the time that miners have worked since the last look.
    fn add_time(&mut self, snapshot: &Snapshot, to: &mut Day) {
        let left = snapshot.left.iter().map(|left| &left.miner);
        let miners: Vec<&MinerView> = snapshot.miners.iter().chain(left).collect();
        for miner in &miners {
            let before = self.seconds.insert(miner.id, miner.seconds);
            let before = before.unwrap_or_default();
            for (slot, seconds) in miner.seconds.iter() {
                let seconds = (seconds - before[slot]).clamp(0.0, LARGEST);
                if seconds > 0.0 {
                    to.of(&miner.worker)[slot].seconds += seconds;
                }
            }
        }
        let ids: std::collections::BTreeSet<_> = miners.iter().map(|miner| miner.id).collect();
        self.seconds.retain(|id, _| ids.contains(id));
    }

    fn add(&mut self, new: &Day, snapshot: &Snapshot, today: String) {
        if *new == Day::default() {
            return;
        }
        if self.today != today {
            // Today's file may have the last day, also one of an earlier run: it moves to the past before it is gone.
            for (_, day) in self.days.iter_mut().filter(|(name, _)| **name != today) {
                day.reduce(MOST_WORKERS);
                self.unsaved.1 = true;
            }
            self.today.clone_from(&today);
        }
        let day = self.days.entry(today).or_default();
        day.add(new);
        day.add_names(|slot| &new.pools[slot]);
        day.add_names(|slot| &snapshot.pools[slot].name);
        self.unsaved.0 = true;
        while self.days.len() > MOST_DAYS {
            self.days.pop_first();
        }
    }
}

/// Starts the thread that calls `look` to add to the day, the last time with `true`. `report` is called once when a problem with the files begins.
///
/// # Errors
/// If there is no room for the thread.
pub fn start(
    config: PathBuf,
    ledger: Arc<Ledger>,
    look: impl Fn(&Ledger, bool) + Send + 'static,
    report: impl Fn(String) + Send + 'static,
) -> anyhow::Result<Keeper> {
    Keeper::start("ledger", move |stopped| {
        let mut in_trouble = false;
        loop {
            let every = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
            let pause = Duration::from_millis(every - now().unix_ms % every);
            let ends = stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout);
            look(&ledger, ends);
            let saved = ledger.save(&config);
            if ends {
                return saved;
            }
            let was_in_trouble = std::mem::replace(&mut in_trouble, saved.is_err());
            if let (Err(error), false) = (saved, was_in_trouble) {
                report(format!("{error:#}"));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::system::files::LARGEST_OWN;

    const NOON: u64 = 1_796_040_000_000;
    const DAY: u64 = 86_400_000;

    fn utc() -> Zone {
        Zone::named("UTC").unwrap()
    }

    fn share(worker: &str, slot: PoolSlot, work: f64, outcome: ShareOutcome) -> ShareResult {
        ShareResult {
            miner: crate::units::MinerId(1),
            worker: worker.into(),
            slot: Some(slot),
            job: None,
            outcome,
            asked: work,
            credit: None,
            true_difficulty: None,
            latency: None,
            block: work > 1000.0,
            former: false,
            together: false,
        }
    }

    #[test]
    fn days_add_up_and_survive_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.json");
        let (ledger, problems) = Ledger::load(&config);
        assert_eq!((ledger.days(9).len(), problems.len()), (0, 0));
        let snapshot = Snapshot::default();
        let lost = ShareOutcome::Lost(crate::stratum::reject::RejectReason::PoolLost);
        let stale = ShareOutcome::RefusedHere(crate::stratum::reject::RejectReason::Stale);
        for (worker, work, outcome) in [
            ("rig", 2.0, ShareOutcome::Accepted),
            ("rig", 2000.0, ShareOutcome::Accepted),
            ("rig", 1.0, ShareOutcome::BelowPool),
            ("rig", 0.0, stale),
            ("rig", 5.0, lost),
            ("", 4.0, ShareOutcome::Accepted),
        ] {
            ledger.note(&share(worker, PoolSlot::B, work, outcome));
        }
        // It waits while the clock shows an impossible time.
        ledger.look(&snapshot, &utc(), 5000);
        assert_eq!(ledger.days(9), []);
        ledger.look(&snapshot, &utc(), NOON);
        ledger.save(&config).unwrap();
        let days = ledger.days(9);
        let (name, day) = &days[0];
        assert_eq!((days.len(), name.as_str()), (1, "2026-11-30"));
        let expected = Entry {
            work: 2003.0,
            accepted: 2,
            rejected: 1,
            blocks: 1,
            seconds: 0.0,
        };
        assert_eq!(day.workers["rig"][PoolSlot::B], expected);
        assert!(day.workers["rig"][PoolSlot::A].is_empty());
        assert_eq!(day.others[PoolSlot::B].work, 4.0);

        // The program is killed here and started again; the day continues.
        let (ledger, problems) = Ledger::load(&config);
        assert_eq!((ledger.days(9), problems.len()), (days, 0));
        let one = || share("rig", PoolSlot::B, 1.0, ShareOutcome::Accepted);
        ledger.note(&one());
        ledger.look(&snapshot, &utc(), NOON + 60_000);
        ledger.note(&one());
        ledger.look(&snapshot, &utc(), NOON + DAY);
        ledger.save(&config).unwrap();
        let days = ledger.days(9);
        assert_eq!(days.len(), 2);
        assert_eq!(days[1].1.workers["rig"][PoolSlot::B].accepted, 3);
        assert_eq!(Ledger::load(&config).0.days(9), days);

        // Each file is renamed separately if it cannot be read.
        fs::write(file::today(&config), "{").unwrap();
        let (ledger, problems) = Ledger::load(&config);
        assert_eq!((ledger.days(9).len(), problems.len()), (1, 1));
        assert!(problems[0].contains("set aside"), "{problems:?}");
        fs::write(file::past(&config), "[]").unwrap();
        assert_eq!(Ledger::load(&config).0.days(9), []);
    }

    #[test]
    fn days_that_ended_while_it_was_off_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.json");
        // On each day it starts, works and is stopped or killed.
        for day in 0..5 {
            let (ledger, problems) = Ledger::load(&config);
            assert_eq!(problems.len(), 0);
            for minute in 0..2 {
                ledger.note(&share("rig", PoolSlot::A, 1.0, ShareOutcome::Accepted));
                let at = NOON + day * DAY + minute * 60_000;
                ledger.look(&Snapshot::default(), &utc(), at);
                ledger.save(&config).unwrap();
            }
        }
        let days = Ledger::load(&config).0.days(9);
        let accepted: Vec<_> = days
            .iter()
            .map(|(_, day)| day.workers["rig"][PoolSlot::A].accepted)
            .collect();
        assert_eq!(accepted, [2; 5]);
    }

    #[test]
    fn work_for_a_pool_that_was_just_replaced_keeps_its_name() {
        let ledger = Ledger::default();
        let mut snapshot = Snapshot::default();
        snapshot.pools[PoolSlot::A].name = "One".into();
        ledger.note(&share("rig", PoolSlot::A, 1.0, ShareOutcome::Accepted));
        ledger.keep_names(&snapshot);
        snapshot.pools[PoolSlot::A].name = "Two".into();
        ledger.look(&snapshot, &utc(), NOON);
        assert_eq!(ledger.days(1)[0].1.pools[PoolSlot::A], "One, Two");
    }

    #[test]
    fn a_day_names_every_pool_a_slot_had() {
        let ledger = Ledger::default();
        let mut snapshot = Snapshot::default();
        for (minute, name) in (0..).zip(["One", "One", "Two", "Two"]) {
            snapshot.pools[PoolSlot::A].name = name.into();
            ledger.note(&share("rig", PoolSlot::A, 1.0, ShareOutcome::Accepted));
            ledger.look(&snapshot, &utc(), NOON + 60_000 * minute);
        }
        assert_eq!(ledger.days(1)[0].1.pools[PoolSlot::A], "One, Two");
    }

    #[test]
    fn many_workers_do_not_make_the_ledger_grow() {
        let ledger = Ledger::default();
        let name = |number: u32| format!("{number:0100}");
        for day in 0..2_u64 {
            for number in 0..1000_u32 {
                // Names that count down. The number comes first, because long names are cut off.
                let worker = format!("{number}-{}", name(number));
                let work = f64::from(number);
                ledger.note(&share(&worker, PoolSlot::A, work, ShareOutcome::Accepted));
                ledger.look(&Snapshot::default(), &utc(), NOON + day * DAY);
            }
        }
        let days = ledger.days(9);
        let (today, past) = (&days[0].1, &days[1].1);
        assert_eq!(past.workers.len(), MOST_WORKERS);
        assert!(today.workers.len() < MOST_WORKERS_TODAY);
        for day in [today, past] {
            let all = day.workers.values().chain([&day.others]);
            let accepted: u64 = all.map(|entries| entries[PoolSlot::A].accepted).sum();
            assert_eq!(accepted, 1000, "nothing is lost");
            assert!(day.workers.keys().any(|name| name.starts_with("999-")));
        }
        let size = serde_json::to_vec(past).unwrap().len();
        assert!(size * MOST_DAYS < LARGEST_OWN / 2, "{size} bytes a day");
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(shortened(&"ä".repeat(50)).len(), 64);
        assert_eq!(shortened(&format!("x{}", "ä".repeat(50))).len(), 63);
    }
}
