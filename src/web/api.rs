//! The API under `/api/v1`, as described in `docs/api.md`: a file for each group of routes.
//!
//! Handlers that only report something read the newest snapshot, so that a hundred open pages do not disturb the
//! scheduler.

pub mod alerts;
pub(super) mod blocks;
mod command;
pub(super) mod config;
pub(super) mod connect;
pub(super) mod events;
pub mod history;
pub(super) mod ledger;
pub(super) mod logs;
mod measured;
pub mod miners;
pub(super) mod notify;
pub(super) mod overrides;
pub(super) mod pool_page;
pub(super) mod pool_test;
pub(super) mod prices;
pub mod records;
pub(super) mod session;
pub mod status;
pub mod steering;
pub(super) mod tokens;
pub(super) mod weights;
pub mod widgets;
pub(super) mod workers;

use std::io::Cursor;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rouille::{Response, ResponseBody};
use serde::Serialize;

use crate::config::Config;
use crate::config::steering::Work;
use crate::core::outage::Health;
use crate::core::snapshot::Snapshot;
use crate::core::steering::{Aim, AimSource};
use crate::observe::time::rfc3339;
use crate::units::{Now, PerPool, PoolSlot};
use crate::web::error::ApiError;
use crate::web::json;

/// The state at the moment of a request.
pub struct Moment<'a> {
    /// The newest snapshot.
    pub snapshot: &'a Arc<Snapshot>,
    /// The configuration in force.
    pub config: &'a Arc<Config>,
    /// The time. The snapshot may be older, because none is made while nothing happens.
    pub now: Now,
}

/// The pools' names; with their letters, if both have the same name.
fn pool_names(config: &Config) -> PerPool<String> {
    let name = |slot: PoolSlot| {
        let pool = config.pools[slot].as_ref();
        pool.map_or_else(|| format!("Pool {slot}"), |pool| pool.name.clone())
    };
    PerPool::from_fn(|slot| match name(slot) {
        own if own == name(slot.other()) => format!("{own} ({slot})"),
        own => own,
    })
}

/// What the pools are called, and what they were called before.
struct PoolNames {
    now: PerPool<String>,
    /// By slot: until when, as the log writes times, and the name; the latest first.
    former: PerPool<Vec<(String, String)>>,
}

impl PoolNames {
    fn of(config: &Config, snapshot: &Snapshot) -> Self {
        let former = |slot| {
            let former = snapshot.pools[slot].former.iter();
            let former = former.map(|it| (rfc3339(it.until_ms), it.id.name.clone()));
            former.collect()
        };
        Self {
            now: pool_names(config),
            former: PerPool::from_fn(former),
        }
    }

    /// At a time of the log.
    fn at(&self, time: &str) -> PerPool<String> {
        self.former.map(|slot, former| {
            let mut oldest_first = former.iter().rev();
            let then = oldest_first.find(|(until, _)| until.as_str() > time);
            then.map_or_else(|| self.now[slot].clone(), |(_, name)| name.clone())
        })
    }
}

/// The pool that a worker waits for, because it is down and the worker may not work for the other one.
fn waits_for(worker: &str, work: Work, moment: &Moment<'_>) -> Option<PoolSlot> {
    let source = AimSource::Worker;
    let pool = Aim { work, source }.only()?;
    let is_down = moment.snapshot.pools[pool].health == Health::Down;
    (is_down && !moment.config.may_stand_in(worker)).then_some(pool)
}

/// An answer that many clients request at the same time. It is made once per snapshot and second.
#[derive(Debug, Default)]
pub struct SharedAnswer(Mutex<Option<CachedAnswer>>);

#[derive(Debug)]
struct CachedAnswer {
    /// Its snapshot, without keeping a whole farm in memory when the last page is closed.
    snapshot: Weak<Snapshot>,
    config: Arc<Config>,
    second: u64,
    /// Counts dismissals, which change an answer immediately.
    version: u64,
    body: Arc<Vec<u8>>,
}

impl SharedAnswer {
    /// The current answer. `make` is called if there is none yet; other clients wait for it instead of making their
    /// own.
    pub fn answer<T: Serialize>(
        &self,
        moment: &Moment<'_>,
        version: u64,
        make: impl FnOnce() -> T,
    ) -> Response {
        let second = moment.now.unix_ms / 1000;
        let is_of = |made: &CachedAnswer| {
            made.snapshot.as_ptr() == Arc::as_ptr(moment.snapshot)
                && Arc::ptr_eq(&made.config, moment.config)
                && (made.second, made.version) == (second, version)
        };
        let mut made = self.0.lock();
        let body = match made.as_ref().filter(|made| is_of(made)) {
            Some(made) => Arc::clone(&made.body),
            None => {
                // The previous one is released first: memory for two is not needed, and the next one is about as long.
                let length = made.take().map_or(0, |made| made.body.len());
                let mut bytes = Vec::with_capacity(length + length / 16);
                if let Err(error) = serde_json::to_writer(&mut bytes, &make()) {
                    return ApiError::failed(&error.into()).response();
                }
                let body = Arc::new(bytes);
                *made = Some(CachedAnswer {
                    snapshot: Arc::downgrade(moment.snapshot),
                    config: Arc::clone(moment.config),
                    second,
                    version,
                    body: Arc::clone(&body),
                });
                body
            }
        };
        drop(made);
        let length = body.len();
        Response {
            data: ResponseBody::from_reader_and_size(Cursor::new(Bytes(body)), length),
            ..json::respond(&())
        }
    }
}

/// A body that several answers share.
struct Bytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The sum of values of which some may be unknown; unknown if all are.
fn sum(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(|a, b| a + b)
}

/// A part of a whole, if the whole is not zero.
fn part(of: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| of / whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::clock::now;

    #[test]
    fn a_shared_answer_is_built_once_per_second() {
        let shared = SharedAnswer::default();
        let snapshot = Arc::new(Snapshot::default());
        let config = Arc::new(Config::default());
        let mut count = 0;
        let mut now = now();
        let mut ask = |now, version| {
            let moment = Moment {
                snapshot: &snapshot,
                config: &config,
                now,
            };
            let response = shared.answer(&moment, version, || {
                count += 1;
                count
            });
            let (mut body, _) = response.data.into_reader_and_size();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut body, &mut text).unwrap();
            text
        };
        now.unix_ms = 5000;
        assert_eq!(ask(now, 0), "1");
        now.unix_ms = 5999;
        assert_eq!(ask(now, 0), "1");
        assert_eq!(ask(now, 1), "2");
        now.unix_ms = 6000;
        assert_eq!(ask(now, 1), "3");
    }
}
