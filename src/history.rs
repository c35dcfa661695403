//! The history: what happened in each minute of the last day and each quarter hour of the last month, for the charts
//! and the measured split.
//!
//! Once a minute, a thread reads the published state and records how much the totals have grown, in rings of fixed size
//! (`ring`). They are saved next to the configuration (`file`), seldom enough for a memory card. A step in which DPMP
//! was not running stays unknown; it is not zero.
//!
//! The history never asks the scheduler for anything.

mod file;
mod record;
mod ring;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use parking_lot::Mutex;

pub use self::file::path;

use self::file::Pace;
use self::record::{PoolStep, Step, Sums, Totals, ValueStep, WorkerStep};
use self::ring::{Ring, Scale, Slot};
use crate::core::snapshot::Snapshot;
use crate::core::stats::meter::HASHES_PER_DIFFICULTY;
use crate::observe::latest::LatestSnapshot;
use crate::system::clock::now;
use crate::system::thread::Keeper;
use crate::units::{FIRST_PLAUSIBLE_MS, Now, PerPool, PoolSlot, named};

/// One-minute steps for a day.
const MINUTES: Scale = Scale {
    step_ms: 60_000,
    steps: 1440,
};

/// Quarter-hour steps for thirty days.
const QUARTERS: Scale = Scale {
    step_ms: 900_000,
    steps: 2880,
};

/// How many workers have a history of their own.
const MOST_WORKERS: usize = 256;

/// How many seconds must be known for an average over an hour to be meaningful.
const LEAST_OF_HOUR: f64 = 600.0;

/// How many seconds must be known for an average over a day to be meaningful.
const LEAST_OF_DAY: f64 = 3600.0;

/// How many minutes the wall clock may be behind the latest record.
const USUAL_CORRECTION: u64 = 5;

/// How long to wait before trusting a clock that would erase much of the history.
const DOUBT: Duration = Duration::from_secs(3600);

/// How many steps wait for a trustworthy clock.
const MOST_UNSETTLED: usize = 240;

/// The middle of a usual step.
const HALF_A_MINUTE: Duration = Duration::from_secs(30);

/// How soon to look again while no state has been published.
const BEFORE_THE_FIRST: Duration = Duration::from_millis(200);

/// The history, with one writing thread and many readers.
#[derive(Debug, Default)]
pub struct History(Mutex<Recorder>);

/// All rings, and the totals of the last look.
#[derive(Debug, Default)]
struct Recorder {
    rings: Rings,
    last: Option<Totals>,
    /// Steps that are not in the rings yet, because the wall clock is doubtful.
    unsettled: VecDeque<Backlog>,
    /// Since when it has been doubtful.
    doubted: Option<Instant>,
    /// Whether anything was recorded in this run of the program.
    has_settled: bool,
}

/// What was done up to a moment that is known only on the monotonic clock.
#[derive(Debug)]
struct Backlog {
    end: Instant,
    step: Step,
    refused: ByReason,
    workers: Vec<(String, WorkerStep)>,
    value: ValueStep,
}

/// What is kept in the file.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rings {
    pools: Pair<Step>,
    workers: BTreeMap<String, Pair<WorkerStep>>,
    /// By quarter hours; each is the median of a day.
    values: Ring<ValueStep>,
    /// Why DPMP blocked shares, by the minute. For the last minutes only, because that is all that notices need.
    refused: BTreeMap<u64, ByReason>,
}

/// Shares that DPMP blocked, by the name of the reason.
type ByReason = BTreeMap<String, u64>;

/// How many minutes of these are kept.
const REFUSED_MINUTES: u64 = 12;

/// The same data in two scales.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(bound = "T: serde::Serialize + serde::de::DeserializeOwned")]
struct Pair<T> {
    minutes: Ring<T>,
    quarters: Ring<T>,
}

impl<T> Default for Pair<T> {
    fn default() -> Self {
        Self {
            minutes: Ring::default(),
            quarters: Ring::default(),
        }
    }
}

impl<T: Slot> Pair<T> {
    fn add(&mut self, unix_ms: u64, value: T) {
        self.minutes.add(MINUTES.number(unix_ms), value, MINUTES);
        self.quarters.add(QUARTERS.number(unix_ms), value, QUARTERS);
    }
}

named! {
    /// How far back a chart goes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Range {
        /// An hour, by minutes.
        Hour = "1h",
        /// A day, by minutes.
        Day = "24h",
        /// A week, by quarters of an hour.
        Week = "7d",
        /// Thirty days, by quarters of an hour.
        Month = "30d",
    }
}

impl Range {
    fn steps(self) -> u64 {
        match self {
            Self::Hour => 60,
            Self::Day => 1440,
            Self::Week => 672,
            Self::Month => 2880,
        }
    }

    fn scale(self) -> Scale {
        match self {
            Self::Hour | Self::Day => MINUTES,
            Self::Week | Self::Month => QUARTERS,
        }
    }
}

/// A chart's data: a value for each step, `None` where nothing is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The length of a step, in seconds.
    pub step_seconds: u64,
    /// When the first step began, in milliseconds since 1970.
    pub start_ms: u64,
    /// Hashes a second, by shares.
    pub hashrate: PerPool<Vec<Option<f64>>>,
    /// The part of the miners' time that went to A; not recorded for individual workers.
    pub time_share_a: Vec<Option<f64>>,
    /// The part of the work that was meant for A; not recorded for individual workers.
    pub meant_share_a: Vec<Option<f64>>,
    /// The results of all shares; not recorded for individual workers.
    pub shares: Option<ShareSeries>,
    /// The part of the step during which a pool was down, from 0 to 1; not recorded for individual workers.
    pub down: Option<PerPool<Vec<Option<f64>>>>,
    /// What a terahash per second earned in a day, in the currency of the prices at that time; not recorded for single
    /// workers. It is recorded once per quarter hour.
    pub value: Option<PerPool<Vec<Option<f64>>>>,
}

impl Series {
    /// The same steps with everything unknown.
    pub fn unknown(self) -> Self {
        let nothing = |values: Vec<Option<f64>>| vec![None; values.len()];
        Self {
            hashrate: self.hashrate.map(|_, values| vec![None; values.len()]),
            time_share_a: nothing(self.time_share_a),
            meant_share_a: nothing(self.meant_share_a),
            shares: None,
            down: None,
            value: None,
            ..self
        }
    }
}

/// How many shares had each result in each step.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareSeries {
    /// Accepted by a pool.
    pub accepted: PerPool<Vec<Option<f64>>>,
    /// Rejected by a pool.
    pub rejected: PerPool<Vec<Option<f64>>>,
    /// Refused here.
    pub refused: Vec<Option<f64>>,
}

/// What was measured over the last while.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// How much of it is known, in seconds.
    pub known_seconds: f64,
    /// The sum of the difficulties that miners were asked for, by pool.
    pub work: PerPool<f64>,
    /// The part of the work that went to A, if there was any.
    pub share_a: Option<f64>,
    /// One standard deviation of luck for it.
    pub expected_error: Option<f64>,
    /// The part of the time that went to A, if miners worked.
    pub time_share_a: Option<f64>,
    /// The part of the work that was meant for A: what each miner was to do, by its hashrate.
    pub meant_share_a: Option<f64>,
    /// Shares that each pool took.
    pub accepted: PerPool<f64>,
    /// Shares that each pool refused.
    pub rejected: PerPool<f64>,
    /// Shares that DPMP blocked.
    pub refused: f64,
    /// How long each pool was down, in seconds.
    pub down: PerPool<f64>,
}

/// A worker's hashrates, in hashes a second; `None` as long as too little is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Averages {
    /// Over an hour.
    pub hour: Option<f64>,
    /// Over a day.
    pub day: Option<f64>,
}

impl History {
    /// Whether there has been a state to look at.
    fn has_begun(&self) -> bool {
        self.0.lock().last.is_some()
    }

    /// Records what happened since the last look.
    pub fn look(&self, snapshot: &Snapshot, at: Now) {
        self.0.lock().look(snapshot, at);
    }

    /// A chart's data up to now, of all or of one worker; `None` if that worker is not known.
    pub fn series(&self, range: Range, worker: Option<&str>, unix_ms: u64) -> Option<Series> {
        self.0.lock().rings.series(range, worker, unix_ms)
    }

    /// What was measured over the last `minutes` and in the current, incomplete one.
    pub fn window(&self, minutes: u64, snapshot: &Snapshot, at: Now) -> Window {
        self.0.lock().window(minutes, snapshot, at)
    }

    /// Why DPMP blocked shares in the same time.
    pub fn refused_by(&self, minutes: u64, snapshot: &Snapshot, at: Now) -> BTreeMap<String, u64> {
        self.0.lock().refused_by(minutes, snapshot, at)
    }

    /// The hashrates of one worker.
    pub fn average(&self, worker: &str, unix_ms: u64) -> Averages {
        self.0.lock().rings.averages(worker, unix_ms)
    }

    /// The hashrates of all workers that have a history.
    pub fn averages(&self, unix_ms: u64) -> BTreeMap<String, Averages> {
        let recorder = self.0.lock();
        let rings = &recorder.rings;
        let average = |worker: &String| (worker.clone(), rings.averages(worker, unix_ms));
        rings.workers.keys().map(average).collect()
    }
}

impl Recorder {
    fn look(&mut self, snapshot: &Snapshot, at: Now) {
        if snapshot.unix_ms == 0 {
            // Nothing has been published yet.
            return;
        }
        let totals = Totals::of(snapshot, self.last.as_ref(), at);
        if let Some(before) = &self.last {
            let workers = totals.workers_since(before);
            self.unsettled.push_back(Backlog {
                end: at.at,
                step: totals.sums.since(&before.sums),
                refused: totals.refused_since(before),
                workers: workers
                    .map(|(name, step)| (name.to_owned(), step))
                    .collect(),
                value: ValueStep::of(snapshot.balance.values),
            });
            if self.doubts(at) {
                if self.unsettled.len() > MOST_UNSETTLED {
                    self.unsettled.pop_front();
                }
            } else {
                self.settle(at);
            }
        }
        self.last = Some(totals);
    }

    /// Whether the wall clock is hard to believe: it shows a time long ago, or one that would erase a day of minutes.
    /// (After a restart, the latter may just be the length of the stop.)
    fn doubts(&mut self, at: Now) -> bool {
        if at.unix_ms < FIRST_PLAUSIBLE_MS {
            return true;
        }
        let minutes = &self.rings.pools.minutes;
        let number = MINUTES.number(at.unix_ms);
        let far = u64::try_from(MINUTES.steps).unwrap_or(u64::MAX);
        let jumped = !minutes.is_empty()
            && (number.saturating_add(USUAL_CORRECTION) < minutes.end()
                || number.saturating_sub(minutes.end()) >= far && self.has_settled);
        if !jumped {
            self.doubted = None;
            return false;
        }
        let since = *self.doubted.get_or_insert(at.at);
        at.at.saturating_duration_since(since) < DOUBT
    }

    /// Records the waiting steps, each at its time according to the present wall clock.
    fn settle(&mut self, at: Now) {
        self.has_settled = true;
        self.doubted = None;
        for waited in std::mem::take(&mut self.unsettled) {
            let Backlog {
                end,
                step,
                refused,
                workers,
                value,
            } = waited;
            // A look is always a little late, so its end lies in the next minute and its middle does not.
            let middle = Duration::from_secs_f32(step.span / 2.0).min(HALF_A_MINUTE);
            let age = (at.at.saturating_duration_since(end) + middle).as_millis();
            let age = u64::try_from(age).unwrap_or(u64::MAX);
            let unix_ms = at.unix_ms.saturating_sub(age);
            self.rings.pools.add(unix_ms, step);
            self.rings.add_refused(unix_ms, &refused);
            for (worker, step) in workers {
                self.rings.add_worker(&worker, unix_ms, step);
            }
            self.rings.add_value(unix_ms, value);
        }
    }

    fn window(&self, minutes: u64, snapshot: &Snapshot, at: Now) -> Window {
        let reach = Reach::of(minutes, snapshot, at);
        let ring = &self.rings.pools.minutes;
        let mut sum = Step::UNKNOWN;
        for number in reach.oldest.max(ring.first())..=reach.present {
            sum.add(ring.get(number));
        }
        for waiting in self.unsettled.iter().filter(|it| reach.has(it)) {
            sum.add(waiting.step);
        }
        if let Some(last) = self.last.as_ref().filter(|last| reach.counts_from(last)) {
            sum.add(Sums::of(snapshot, at).since(&last.sums));
        }
        Window::of(&sum)
    }

    fn refused_by(&self, minutes: u64, snapshot: &Snapshot, at: Now) -> ByReason {
        let reach = Reach::of(minutes, snapshot, at);
        let settled = self.rings.refused.iter();
        let settled = settled.filter(|(at, _)| (reach.oldest..=reach.present).contains(*at));
        let waiting = self.unsettled.iter().filter(|it| reach.has(it));
        let last = self.last.as_ref().filter(|last| reach.counts_from(last));
        let present = last.map(|last| Totals::of(snapshot, None, at).refused_since(last));
        let mut sum = ByReason::new();
        settled
            .map(|(_, by)| by)
            .chain(waiting.map(|it| &it.refused))
            .chain(&present)
            .for_each(|by| add_reasons(&mut sum, by));
        sum
    }
}

/// Which steps count as the last minutes. What another pool did in a slot says nothing of the present one, so nothing
/// counts that began before a slot got its pool.
struct Reach {
    at: Now,
    /// The first and the last minute.
    oldest: u64,
    present: u64,
    length: Duration,
    /// When a slot last got another pool, in milliseconds since 1970.
    changed: Option<u64>,
    /// Whether anything has been published.
    has_state: bool,
}

impl Reach {
    fn of(minutes: u64, snapshot: &Snapshot, at: Now) -> Self {
        let present = MINUTES.number(at.unix_ms);
        let oldest = present.saturating_sub(minutes);
        let former = snapshot.pools.iter().flat_map(|(_, pool)| &pool.former);
        let changed = former.map(|it| it.until_ms).max();
        let minutes = u32::try_from(minutes).unwrap_or(u32::MAX);
        Self {
            at,
            oldest: changed.map_or(oldest, |ms| oldest.max(MINUTES.number(ms) + 1)),
            present,
            length: Duration::from_secs(60).saturating_mul(minutes),
            changed,
            has_state: snapshot.unix_ms > 0,
        }
    }

    fn has(&self, waiting: &Backlog) -> bool {
        let age = self.at.at.saturating_duration_since(waiting.end);
        let since = |ms| Duration::from_millis(self.at.unix_ms.saturating_sub(ms));
        let began = age + Duration::from_secs_f32(waiting.step.span);
        age < self.length && self.changed.is_none_or(|ms| began <= since(ms))
    }

    /// Whether the current step, which began at the last look, counts.
    fn counts_from(&self, last: &Totals) -> bool {
        self.has_state && self.changed.is_none_or(|ms| last.is_since(ms))
    }
}

fn add_reasons(sum: &mut ByReason, more: &ByReason) {
    for (reason, count) in more {
        *sum.entry(reason.clone()).or_default() += count;
    }
}

impl Window {
    fn of(sum: &Step) -> Self {
        let of = |value: fn(&PoolStep) -> f32| sum.pools.map(|_, pool| f64::from(value(pool)));
        let work = of(|pool| pool.work);
        let seconds = of(|pool| pool.seconds);
        Self {
            known_seconds: f64::from(sum.span),
            work,
            share_a: part_of_a(work),
            expected_error: expected_error(work, of(|pool| pool.work_squares)),
            time_share_a: part_of_a(seconds),
            meant_share_a: part_of_a(of(|pool| pool.meant)),
            accepted: of(|pool| pool.accepted),
            rejected: of(|pool| pool.rejected),
            refused: f64::from(sum.refused),
            down: of(|pool| pool.down),
        }
    }
}

impl Rings {
    fn add_refused(&mut self, unix_ms: u64, refused: &ByReason) {
        if refused.is_empty() {
            return;
        }
        let number = MINUTES.number(unix_ms);
        add_reasons(self.refused.entry(number).or_default(), refused);
        // Also those that a wrong clock has put into the future.
        self.refused
            .retain(|at, _| at.abs_diff(number) < REFUSED_MINUTES);
    }

    fn add_worker(&mut self, worker: &str, unix_ms: u64, step: WorkerStep) {
        if !self.workers.contains_key(worker) && !self.make_room(unix_ms) {
            return;
        }
        let pair = self.workers.entry(worker.to_owned()).or_default();
        pair.add(unix_ms, step);
    }

    /// Most owners enter no prices; then nothing is kept.
    fn add_value(&mut self, unix_ms: u64, value: ValueStep) {
        if PoolSlot::ALL
            .into_iter()
            .any(|slot| value.of_pool(slot).is_some())
        {
            self.values.add(QUARTERS.number(unix_ms), value, QUARTERS);
        }
    }

    /// Replaces the worker that has been silent longest with a new one; returns whether there is room. Workers seen a
    /// moment ago stay, so that too many workers do not keep replacing each other.
    fn make_room(&mut self, unix_ms: u64) -> bool {
        if self.workers.len() < MOST_WORKERS {
            return true;
        }
        let silent = self
            .workers
            .iter()
            .min_by_key(|(_, pair)| pair.quarters.end());
        let Some((name, pair)) = silent else {
            return true;
        };
        if pair.quarters.end() >= QUARTERS.number(unix_ms) {
            return false;
        }
        let name = name.clone();
        self.workers.remove(&name);
        true
    }

    fn series(&self, range: Range, worker: Option<&str>, unix_ms: u64) -> Option<Series> {
        let scale = range.scale();
        let worker = match worker {
            Some(name) => Some(self.workers.get(name)?),
            None => None,
        };
        // The current minute is left out until it ends; the current quarter hour is included.
        let end = match range {
            Range::Hour | Range::Day => scale.number(unix_ms),
            Range::Week | Range::Month => scale.number(unix_ms) + 1,
        };
        let numbers = || end.saturating_sub(range.steps())..end;
        let of = |number| match range {
            Range::Hour | Range::Day => self.pools.minutes.get(number),
            Range::Week | Range::Month => self.pools.quarters.get(number),
        };
        let of_worker = |pair: &Pair<WorkerStep>, number| match range {
            Range::Hour | Range::Day => pair.minutes.get(number),
            Range::Week | Range::Month => pair.quarters.get(number),
        };
        let work = |number, slot: PoolSlot| match worker {
            None => Some(f64::from(of(number).pools[slot].work)),
            Some(pair) => Some(of_worker(pair, number).known()?[slot]),
        };
        let known = |number| Some(of(number)).filter(|step| step.span > 0.0);
        let share_a = |what: fn(&PoolStep) -> f32| {
            let part = |number| {
                let step = known(number).filter(|_| worker.is_none())?;
                part_of_a(step.pools.map(|_, pool| f64::from(what(pool))))
            };
            numbers().map(part).collect()
        };
        let all = |what: &dyn Fn(&Step) -> f32| -> Vec<Option<f64>> {
            let value = |number| known(number).map(|step| f64::from(what(&step)));
            numbers().map(value).collect()
        };
        let of_pools = |what: fn(&Step, &PoolStep) -> f32| {
            PerPool::from_fn(|slot| all(&|step| what(step, &step.pools[slot])))
        };
        Some(Series {
            step_seconds: scale.step_ms / 1000,
            start_ms: numbers().start.saturating_mul(scale.step_ms),
            hashrate: PerPool::from_fn(|slot| {
                let rate = |number| {
                    let span = f64::from(known(number)?.span);
                    Some(work(number, slot)? * HASHES_PER_DIFFICULTY / span)
                };
                numbers().map(rate).collect()
            }),
            time_share_a: share_a(|pool| pool.seconds),
            meant_share_a: share_a(|pool| pool.meant),
            shares: worker.is_none().then(|| ShareSeries {
                accepted: of_pools(|_, pool| pool.accepted),
                rejected: of_pools(|_, pool| pool.rejected),
                refused: all(&|step| step.refused),
            }),
            down: worker
                .is_none()
                .then(|| of_pools(|step, pool| (pool.down / step.span).min(1.0))),
            value: worker.is_none().then(|| {
                let quarter = |number| QUARTERS.number(scale.step_ms.saturating_mul(number));
                let at = |number| self.values.get(quarter(number));
                PerPool::from_fn(|slot| numbers().map(|number| at(number).of_pool(slot)).collect())
            }),
        })
    }

    fn averages(&self, worker: &str, unix_ms: u64) -> Averages {
        let Some(pair) = self.workers.get(worker) else {
            return Averages::default();
        };
        let present = MINUTES.number(unix_ms);
        // The worker's work over the known time since it came; while it is away, it hashes nothing.
        let average = |minutes: u64, least: f64| {
            let oldest = present.saturating_sub(minutes).max(pair.minutes.first());
            let (mut work, mut span) = (0.0, 0.0);
            for number in oldest..present {
                span += f64::from(self.pools.minutes.get(number).span);
                let step = pair.minutes.get(number).known().unwrap_or_default();
                work += step[PoolSlot::A] + step[PoolSlot::B];
            }
            (span >= least && !pair.minutes.is_empty()).then(|| work * HASHES_PER_DIFFICULTY / span)
        };
        Averages {
            hour: average(60, LEAST_OF_HOUR),
            day: average(1440, LEAST_OF_DAY),
        }
    }
}

fn part_of_a(values: PerPool<f64>) -> Option<f64> {
    let sum = values[PoolSlot::A] + values[PoolSlot::B];
    (sum > 0.0).then(|| values[PoolSlot::A] / sum)
}

/// One standard deviation of A's part of the work, if shares come at random. For independent shares, the variance of a
/// sum is the sum of the squares, and that of the quotient follows from its derivatives. Nothing can be said about a
/// pool without shares.
fn expected_error(work: PerPool<f64>, squares: PerPool<f64>) -> Option<f64> {
    let (a, b) = (work[PoolSlot::A], work[PoolSlot::B]);
    let sum = a + b;
    let variance = b * b * squares[PoolSlot::A] + a * a * squares[PoolSlot::B];
    (a > 0.0 && b > 0.0).then(|| variance.sqrt() / (sum * sum))
}

/// Reads the history that belongs to a configuration file and starts the thread that continues it. `report` is called
/// once when a problem with the file begins.
///
/// # Errors
/// If there is no room for the thread.
pub fn start(
    path: PathBuf,
    published: Arc<LatestSnapshot>,
    report: impl Fn(String) + Send + 'static,
) -> anyhow::Result<(Arc<History>, Keeper)> {
    let (rings, problem) = file::load(&path);
    if let Some(problem) = problem {
        report(problem);
    }
    let recorder = Recorder {
        rings,
        ..Recorder::default()
    };
    let history = Arc::new(History(Mutex::new(recorder)));
    let for_thread = Arc::clone(&history);
    let keeper = Keeper::start("history", move |stopped| {
        let history = for_thread;
        let mut pace = Pace::new(now().at);
        let mut in_trouble = false;
        loop {
            history.look(&published.get(), now());
            if pace.is_due(now().at) {
                let saved = save(&history, &path, &mut pace);
                match saved {
                    Ok(()) => in_trouble = false,
                    Err(error) => {
                        if !std::mem::replace(&mut in_trouble, true) {
                            report(format!("{error:#}"));
                        }
                    }
                }
            }
            let pause = if history.has_begun() {
                until_next_minute(now())
            } else {
                BEFORE_THE_FIRST
            };
            if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        history.look(&published.get(), now());
        save(&history, &path, &mut pace)
    })?;
    Ok((history, keeper))
}

fn save(history: &History, path: &std::path::Path, pace: &mut Pace) -> anyhow::Result<()> {
    // The lock is held only for the formatting, because the disk may be slow.
    let text = file::format(&history.0.lock().rings)?;
    pace.saved(now().at, text.len());
    file::save(path, &text)
}

fn until_next_minute(at: Now) -> Duration {
    Duration::from_millis(MINUTES.step_ms - at.unix_ms % MINUTES.step_ms)
}

#[cfg(test)]
mod tests;
