//! `steering`: what each worker does now, why, and until when; and what it would do with other settings.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Moment, sum, waits_for};
use crate::config;
use crate::config::Config;
use crate::config::steering::{Turns, Work};
use crate::core::balance::BalanceView;
use crate::core::balance::prices::{Price, PriceAge};
use crate::core::miner::view::MinerView;
use crate::core::snapshot::Snapshot;
use crate::core::split::fleet::FleetView;
use crate::core::steering::{ALL_WORKERS, Override, Steering as Said};
use crate::timetable::LocalTimetable;
use crate::timetable::clock_check::ClockProblem;
use crate::timetable::forecast::{Forecast, Span};
use crate::timetable::zone::Zone;
use crate::units::{MinerId, PerPool, PoolSlot};
use crate::web::error::{Answer, ApiError};
use crate::web::json;

const DAY_MS: u64 = 86_400_000;

/// How far ahead the next change is searched.
const NEXT_MS: u64 = 8 * DAY_MS;

/// How far a preview reaches.
const PREVIEW_MS: u64 = 2 * DAY_MS;

/// What each worker does, and everything that decides it.
#[derive(Debug, Serialize)]
pub struct Steering<'a> {
    usual: PerPool<f64>,
    clock: Clock,
    overrides: &'a [Override],
    timetable: Timetable,
    balance: Balance,
    fleet: Option<Fleet<'a>>,
    workers: Vec<Worker<'a>>,
    reach: Option<Reach>,
    undo: Vec<Past<'a>>,
}

#[derive(Debug, Serialize)]
struct Clock {
    now_ms: u64,
    plausible: bool,
    problem: Option<String>,
    time_zone: String,
}

#[derive(Debug, Serialize)]
struct Timetable {
    enabled: bool,
    time_zone: String,
    entry: Option<usize>,
    work: Option<Work>,
    next_ms: Option<u64>,
    next_work: Option<Work>,
}

#[derive(Debug, Serialize)]
struct Balance {
    enabled: bool,
    shift: Option<f64>,
    wanted: Option<f64>,
    value: PerPool<Option<f64>>,
    prices: PerPool<Option<ShownPrice>>,
    problem: Option<String>,
    next_step_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ShownPrice {
    price: f64,
    put_ms: Option<u64>,
    age: &'static str,
}

#[derive(Debug, Serialize)]
struct Fleet<'a> {
    turn_takers: BTreeSet<&'a str>,
    fixed: BTreeSet<&'a str>,
    assigned: BTreeMap<&'a str, PoolSlot>,
    moves_24h: u32,
    error_seconds: Option<f64>,
    error_work: Option<f64>,
    bound_work: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Worker<'a> {
    worker: &'a str,
    name: &'a str,
    connected: usize,
    work: Work,
    source: &'static str,
    until_ms: Option<u64>,
    next: Option<Next>,
    own: Option<Work>,
    group: Option<&'a str>,
    turns: &'static str,
    failover: Option<bool>,
    on: Option<PoolSlot>,
    stands_in: bool,
    waits: bool,
}

#[derive(Debug, Serialize)]
struct Next {
    at_ms: u64,
    work: Work,
    source: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Reach {
    wanted_a: f64,
    low_a: f64,
    high_a: f64,
}

#[derive(Debug, Serialize)]
struct Past<'a> {
    #[serde(flatten)]
    weights: PerPool<f64>,
    at_ms: u64,
    by: &'a str,
}

/// `GET /api/v1/steering`.
pub fn steering<'a>(moment: &Moment<'a>) -> Steering<'a> {
    let Moment {
        snapshot,
        config,
        now,
    } = moment;
    let problem = ClockProblem::find(now.unix_ms, snapshot);
    let said = said_now(snapshot, problem);
    let forecast = Forecast::new(config, &said, now.unix_ms, NEXT_MS);
    let timetable = forecast.timetable();
    let entry = timetable.entry;
    let past = snapshot.past_splits.iter().map(|past| Past {
        weights: past.weights,
        at_ms: past.replaced_ms,
        by: &past.by,
    });
    Steering {
        usual: config.scheduler.weights,
        clock: Clock {
            now_ms: now.unix_ms,
            plausible: problem.is_none(),
            problem: problem.map(|problem| problem.to_string()),
            time_zone: Zone::of_the_system().name().to_owned(),
        },
        overrides: &snapshot.steering.overrides,
        timetable: Timetable {
            enabled: config.timetable.enabled,
            time_zone: LocalTimetable::new(&config.timetable)
                .zone()
                .name()
                .to_owned(),
            entry: entry.map(|(entry, _)| entry),
            work: entry.map(|(_, work)| work),
            next_ms: timetable.until_ms,
            next_work: timetable.next,
        },
        balance: balance(&snapshot.balance),
        fleet: snapshot.fleet.as_ref().map(|view| fleet(view, snapshot)),
        workers: workers(moment, &said, &forecast),
        reach: reach(snapshot, config),
        undo: past.collect(),
    }
}

/// The owner's changes apart from the configuration, and whether the clock is right.
fn said_now(snapshot: &Snapshot, problem: Option<ClockProblem>) -> Said {
    let mut said = snapshot.steering.clone();
    said.timetable.clock_is_wrong = problem.is_some();
    said
}

fn balance(view: &BalanceView) -> Balance {
    let shown = |price: &Price| ShownPrice {
        price: price.price,
        put_ms: price.put_ms,
        age: match price.age {
            PriceAge::Fresh => "fresh",
            PriceAge::Old => "old",
            PriceAge::Expired => "expired",
        },
    };
    Balance {
        enabled: view.enabled,
        shift: view.shift,
        wanted: view.wanted,
        value: view.values,
        prices: view.prices.map(|_, price| price.as_ref().map(shown)),
        problem: view.problem.as_ref().map(ToString::to_string),
        next_step_ms: view.next_step_ms,
    }
}

/// By worker names; two miners with the same name count as one.
fn fleet<'a>(view: &FleetView, snapshot: &'a Snapshot) -> Fleet<'a> {
    let miners = snapshot.miners.iter();
    let names: BTreeMap<u64, &str> = miners.map(|it| (it.id, it.worker.as_str())).collect();
    let name = |miner: &MinerId| names.get(&miner.0).copied();
    let assigned = view.assigned.iter();
    Fleet {
        turn_takers: view.turn_takers.iter().filter_map(name).collect(),
        fixed: view.own.iter().filter_map(name).collect(),
        assigned: assigned
            .filter_map(|(miner, slot)| Some((name(miner)?, *slot)))
            .collect(),
        moves_24h: view.moves,
        error_seconds: view.error_seconds,
        error_work: view.error,
        bound_work: view.bound,
    }
}

/// All workers that are connected, were connected recently or have settings, in the order of their names.
fn workers<'a>(moment: &Moment<'a>, said: &Said, forecast: &Forecast) -> Vec<Worker<'a>> {
    let Moment {
        snapshot, config, ..
    } = moment;
    let mut connected: BTreeMap<&str, Vec<&MinerView>> = BTreeMap::new();
    for miner in &snapshot.miners {
        connected.entry(&miner.worker).or_default().push(miner);
    }
    let left = snapshot.left.iter().map(|left| left.miner.worker.as_str());
    let named = config.workers.keys().map(String::as_str);
    let changed = snapshot
        .steering
        .overrides
        .iter()
        .flat_map(|it| &it.workers);
    let changed = changed
        .map(String::as_str)
        .filter(|name| *name != ALL_WORKERS);
    let mut names: BTreeSet<&str> = left.chain(named).chain(changed).collect();
    names.extend(connected.keys());
    // A miner that has not sent its name does not count yet.
    names.remove("");
    let one = |worker: &'a str| {
        let miners = connected.get(worker).map_or(&[][..], Vec::as_slice);
        let settings = config.workers.get(worker);
        let group = config.groups.iter().find(|group| group.has(worker));
        let (now, next) = match forecast.now_and_next(worker, config) {
            Some((now, next)) => ((now.work, now.source), next),
            None => {
                let aim = said.aim(worker, config);
                ((aim.work, aim.source), None)
            }
        };
        let mut on = miners.iter().map(|miner| miner.pool);
        let first = on.next().flatten();
        let on = first.filter(|_| on.all(|other| other == first));
        Worker {
            worker,
            name: settings.map_or("", |settings| &settings.name),
            connected: miners.len(),
            work: now.0,
            source: now.1.name(),
            until_ms: next.map(|next| next.from_ms),
            next: next.map(|next| Next {
                at_ms: next.from_ms,
                work: next.work,
                source: next.source.name(),
            }),
            own: settings.and_then(|settings| settings.work),
            group: group.map(|group| group.name.as_str()),
            turns: settings
                .map_or(Turns::default(), |settings| settings.turns)
                .name(),
            failover: settings.and_then(|settings| settings.failover),
            on,
            stands_in: miners.iter().any(|miner| miner.stands_in),
            waits: waits_for(worker, now.0, moment).is_some(),
        }
    };
    names.into_iter().map(one).collect()
}

/// How close workers without their own settings can get to the usual split, if they cannot reach it.
fn reach(snapshot: &Snapshot, config: &Config) -> Option<Reach> {
    let nothing = Said::default();
    let (mut all, mut fixed, mut fixed_a) = (0.0, 0.0, 0.0);
    for miner in &snapshot.miners {
        let words = nothing.words(&miner.worker, config);
        let work = words.worker.or(words.group);
        if work == Some(Work::Pause) {
            continue;
        }
        // A sum with an unknown part means nothing.
        let hashrate = sum(miner.hashrate.iter().map(|(_, rate)| *rate))?;
        if let Some(shares) = work.and_then(Work::shares) {
            fixed += hashrate;
            fixed_a += hashrate * shares[PoolSlot::A];
        }
        all += hashrate;
    }
    let wanted_a = config.share(PoolSlot::A);
    let low_a = super::part(fixed_a, all)?;
    let high_a = super::part(fixed_a + all - fixed, all)?;
    // Hashrates are sums, so rounding must not count as a difference.
    let is_within = low_a - 1e-9 <= wanted_a && wanted_a <= high_a + 1e-9;
    (!is_within).then_some(Reach {
        wanted_a,
        low_a,
        high_a,
    })
}

/// The settings to try, as in the file, and the worker.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    timetable: Option<Value>,
    workers: Option<Value>,
    groups: Option<Value>,
    worker: Option<String>,
}

#[derive(Debug, Serialize)]
struct Preview {
    spans: Vec<PreviewSpan>,
}

#[derive(Debug, Serialize)]
struct PreviewSpan {
    from_ms: u64,
    to_ms: u64,
    work: Work,
    source: &'static str,
    entry: Option<usize>,
}

impl From<Span> for PreviewSpan {
    fn from(span: Span) -> Self {
        Self {
            from_ms: span.from_ms,
            to_ms: span.to_ms,
            work: span.work,
            source: span.source.name(),
            entry: span.entry,
        }
    }
}

/// `POST /api/v1/steering/preview`.
///
/// # Errors
/// If the settings are not valid.
pub fn preview(body: PreviewBody, moment: &Moment<'_>) -> Answer {
    let config = tried(&body, moment.config)?;
    let now_ms = moment.now.unix_ms;
    let problem = ClockProblem::find(now_ms, moment.snapshot);
    let said = said_now(moment.snapshot, problem);
    let forecast = Forecast::new(&config, &said, now_ms, PREVIEW_MS);
    let worker = body.worker.unwrap_or_default();
    let spans = forecast.spans(&worker, &config).map(PreviewSpan::from);
    Ok(json::respond(&Preview {
        spans: spans.collect(),
    }))
}

/// The configuration in force with other settings.
fn tried(body: &PreviewBody, present: &Config) -> Result<Config, ApiError> {
    let mut file = Map::new();
    let sections = [
        ("timetable", &body.timetable),
        ("workers", &body.workers),
        ("groups", &body.groups),
    ];
    for (name, section) in sections {
        if let Some(section) = section {
            file.insert(name.to_owned(), section.clone());
        }
    }
    let text = config::text(&Value::Object(file));
    let new = config::parse(&text).map_err(|errors| ApiError::invalid_config(errors.faults))?;
    let (mut tried, new) = (present.clone(), new.config);
    if body.timetable.is_some() {
        tried.timetable = new.timetable;
    }
    if body.workers.is_some() {
        tried.workers = new.workers;
    }
    if body.groups.is_some() {
        tried.groups = new.groups;
    }
    Ok(tried)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::config::steering::WorkerSettings;
    use crate::core::miner::view::sample_miner;
    use crate::core::past_splits::PastSplit;
    use crate::core::steering::AimSource;
    use crate::system::clock::clock;
    use crate::timetable::clock_check::MADE_MS;
    use crate::units::Now;

    const HOUR: u64 = 3_600_000;

    /// A day at 12:00 in UTC.
    const NOON: u64 = MADE_MS - MADE_MS % (24 * HOUR) + 24 * HOUR + 12 * HOUR;

    fn own(work: Work) -> WorkerSettings {
        WorkerSettings {
            work: Some(work),
            ..WorkerSettings::default()
        }
    }

    fn answer(snapshot: Snapshot, config: Config, now_ms: u64) -> Value {
        let (snapshot, config) = (Arc::new(snapshot), Arc::new(config));
        let moment = Moment {
            snapshot: &snapshot,
            config: &config,
            now: Now {
                at: clock(),
                unix_ms: now_ms,
            },
        };
        serde_json::to_value(steering(&moment)).unwrap()
    }

    fn hashing(id: u64, worker: &str, hashrate: f64) -> MinerView {
        MinerView {
            hashrate: PerPool::new(Some(hashrate), None),
            ..sample_miner(id, worker)
        }
    }

    fn all_to_b(until_ms: Option<u64>) -> Override {
        Override {
            work: Work::only(PoolSlot::B),
            workers: vec![ALL_WORKERS.to_owned()],
            until_ms,
            set_ms: NOON - HOUR,
            by: "a browser at 192.168.1.5".to_owned(),
        }
    }

    #[test]
    fn each_worker_shows_its_work_the_reason_and_the_end() {
        let mut snapshot = Snapshot {
            miners: vec![
                sample_miner(1, "a"),
                sample_miner(2, "a"),
                MinerView {
                    stands_in: true,
                    ..sample_miner(3, "b")
                },
            ],
            ..Snapshot::default()
        };
        snapshot.steering.set(all_to_b(Some(NOON + HOUR)));
        let mut config = Config::default();
        config
            .workers
            .insert("a".to_owned(), own(Work::only(PoolSlot::A)));
        config.workers.insert("gone".to_owned(), own(Work::Pause));
        let answer = answer(snapshot, config, NOON);
        assert_eq!(answer["usual"], json!({"A": 50.0, "B": 50.0}));
        assert_eq!(answer["overrides"][0]["until_ms"], NOON + HOUR);
        let workers = answer["workers"].as_array().unwrap();
        assert_eq!(workers.len(), 3);
        let shown = |worker: &Value| {
            let keys = [
                "worker",
                "connected",
                "work",
                "source",
                "until_ms",
                "on",
                "stands_in",
            ];
            Value::Array(keys.map(|key| worker[key].clone()).to_vec())
        };
        assert_eq!(
            shown(&workers[0]),
            json!(["a", 2, "A", "worker", null, "A", false])
        );
        assert_eq!(
            shown(&workers[1]),
            json!(["b", 1, "B", "override", NOON + HOUR, "A", true])
        );
        assert_eq!(
            shown(&workers[2]),
            json!(["gone", 0, "pause", "worker", null, null, false])
        );
        let usual = json!({"A": 50.0, "B": 50.0});
        let next = json!({"at_ms": NOON + HOUR, "work": usual, "source": "usual"});
        assert_eq!(workers[1]["next"], next);
    }

    #[test]
    fn a_fleet_is_described_by_its_worker_names() {
        let snapshot = Snapshot {
            miners: vec![
                sample_miner(1, "a"),
                sample_miner(2, "b"),
                sample_miner(3, "c"),
            ],
            fleet: Some(FleetView {
                turn_takers: vec![MinerId(1), MinerId(9)],
                own: vec![MinerId(2)],
                assigned: vec![(MinerId(3), PoolSlot::B)],
                moves: 5,
                ..FleetView::default()
            }),
            ..Snapshot::default()
        };
        let expected = json!({
            "turn_takers": ["a"], "fixed": ["b"], "assigned": {"c": "B"}, "moves_24h": 5,
            "error_seconds": null, "error_work": null, "bound_work": null,
        });
        assert_eq!(answer(snapshot, Config::default(), NOON)["fleet"], expected);
    }

    #[test]
    fn a_wrong_clock_gives_no_forecast() {
        let mut snapshot = Snapshot {
            miners: vec![sample_miner(1, "a")],
            ..Snapshot::default()
        };
        snapshot.steering.set(all_to_b(Some(5 * HOUR)));
        let mut config = Config::default();
        config.timetable.enabled = true;
        let answer = answer(snapshot, config, HOUR);
        assert_eq!(answer["clock"]["plausible"], false);
        assert!(answer["clock"]["problem"].is_string());
        let timetable = &answer["timetable"];
        assert_eq!(
            (&timetable["enabled"], &timetable["entry"]),
            (&json!(true), &Value::Null)
        );
        let worker = &answer["workers"][0];
        assert_eq!(
            (&worker["source"], &worker["until_ms"]),
            (&json!("override"), &Value::Null)
        );
    }

    #[test]
    fn past_splits_are_listed_with_their_end() {
        let snapshot = Snapshot {
            past_splits: vec![PastSplit {
                weights: PerPool::new(70.0, 30.0),
                replaced_ms: 5,
                by: "the configuration file".to_owned(),
            }],
            ..Snapshot::default()
        };
        let undo = &answer(snapshot, Config::default(), NOON)["undo"];
        let expected = json!([{"A": 70.0, "B": 30.0, "at_ms": 5, "by": "the configuration file"}]);
        assert_eq!(*undo, expected);
    }

    #[test]
    fn an_unreachable_split_is_reported_with_what_is_possible() {
        let snapshot = || Snapshot {
            miners: vec![
                hashing(1, "fixed", 60.0),
                hashing(2, "free", 40.0),
                hashing(3, "paused", 500.0),
            ],
            ..Snapshot::default()
        };
        let mut config = Config::default();
        config.scheduler.weights = PerPool::new(70.0, 30.0);
        config.workers.insert("paused".to_owned(), own(Work::Pause));
        let reach = |config: &Config| reach(&snapshot(), config);
        let mut unknown = snapshot();
        unknown.miners.push(sample_miner(4, "new"));
        assert_eq!(reach(&config), None);
        config
            .workers
            .insert("fixed".to_owned(), own(Work::only(PoolSlot::A)));
        assert_eq!(reach(&config), None, "from 60 to 100 %");
        config
            .workers
            .insert("fixed".to_owned(), own(Work::only(PoolSlot::B)));
        let expected = Reach {
            wanted_a: 0.7,
            low_a: 0.0,
            high_a: 0.4,
        };
        assert_eq!(reach(&config), Some(expected));
        assert_eq!(
            super::reach(&unknown, &config),
            None,
            "one has no shares yet"
        );
    }

    #[test]
    fn sources_have_the_names_in_the_api_description() {
        let names = AimSource::ALL.map(AimSource::name);
        assert_eq!(
            names,
            [
                "worker",
                "group",
                "override",
                "timetable",
                "balance",
                "usual"
            ]
        );
    }
}
