//! Which work was handed out recently, so that none is handed out twice.
//!
//! Work has a place in the coinbase: the pool's extranonce1 and the bytes before the miner's own extranonce2. Some
//! pools reuse an extranonce1, for the same miner after a reconnect or for another one, and continue with the same job
//! (compat Q54). With the same header time this would be the same work, even after a restart of DPMP. So the latest
//! times of each place are remembered and kept in the state file.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::core::work::jobs::NTIME_ROOM;
use crate::stratum::job::{PoolJob, StableHasher, WorkKey};
use crate::units::MinerExtranonce;

/// How long a pool's place is certainly remembered. No pool keeps a job that long.
const SURELY: Duration = Duration::from_secs(3600);

/// The maximum number of places, twice.
const MOST_PLACES: usize = 32_768;

/// How many templates are remembered per place.
const MOST_TEMPLATES: usize = 16;

/// How many places, and templates per place, are kept across a restart.
const MOST_KEPT: (usize, usize) = (1024, 4);

/// How far ahead work begins, in seconds of header time, if it is uncertain what was handed out last. It covers the
/// time between two writes of the state file.
const RESERVE: u32 = 60;

/// A template whose time is this many seconds after DPMP's start is newer, even if the clocks differ.
const CLOCKS_DIFFER: u32 = 60;

/// The work that was handed out, and up to which header time. Memory is bounded.
#[derive(Clone, Debug, Default)]
pub struct HandedOut {
    newer: Places,
    older: Places,
    since: Option<Instant>,
    /// The number of records so far.
    count: u64,
    /// If earlier runs may have handed out more than is known.
    uncertain: Option<Uncertain>,
}

/// What is unknown about earlier runs.
#[derive(Clone, Copy, Debug)]
struct Uncertain {
    /// When DPMP started, in seconds since 1970.
    started: u32,
    /// How many runs did not end in order since the file was complete. Each began one [`RESERVE`] further ahead.
    crashes: u32,
}

/// The work handed out in each place of a coinbase, by [`WorkKey::place`].
type Places = HashMap<u64, Place, BuildHasherDefault<StableHasher>>;

#[derive(Clone, Debug, Default)]
struct Place {
    /// Each with its latest header time, most recently used last.
    templates: VecDeque<(u64, u32)>,
    /// The number of the last record.
    noted: u64,
}

impl Place {
    fn get(&self, template: u64) -> Option<u32> {
        let found = self.templates.iter().find(|(known, _)| *known == template);
        found.map(|(_, ntime)| *ntime)
    }
}

/// What is kept in the state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptWork {
    /// Whether it is complete, because it was written at an orderly stop. Earlier versions had different places, and
    /// other names for this.
    #[serde(default)]
    pub complete: bool,
    /// How many runs did not end in order since it was complete, with the one that writes this.
    pub crashes: u32,
    /// Each place with its latest templates and their times.
    #[serde(rename = "slots")]
    pub places: Vec<(u64, Vec<(u64, u32)>)>,
}

impl Default for KeptWork {
    /// Certainly nothing was handed out.
    fn default() -> Self {
        Self {
            complete: true,
            crashes: 0,
            places: Vec::new(),
        }
    }
}

impl KeptWork {
    /// It is unknown what was handed out.
    pub fn unknown() -> Self {
        Self {
            complete: false,
            crashes: 1,
            places: Vec::new(),
        }
    }

    /// What has to be in the file while a run hands out work: if it does not end in order, the next one cannot know
    /// which work, and has to begin further ahead.
    pub fn running(&self) -> Self {
        Self {
            complete: false,
            crashes: self.crashes.saturating_add(1),
            places: self.places.clone(),
        }
    }
}

impl HandedOut {
    /// Continues from what an earlier run handed out. `unix`: the current time, in seconds since 1970.
    pub fn remembering(handed_out: KeptWork, unix: u32) -> Self {
        let places = handed_out.places.into_iter();
        let places = places.take(MOST_PLACES).map(|(place, templates)| {
            let templates = templates.into_iter().take(MOST_TEMPLATES).collect();
            let noted = 0;
            (place, Place { templates, noted })
        });
        Self {
            older: places.collect(),
            uncertain: (!handed_out.complete).then_some(Uncertain {
                started: unix,
                crashes: handed_out.crashes.max(1),
            }),
            ..Self::default()
        }
    }

    /// The latest header time with which a job's work was or may have been handed out in a miner's place.
    pub fn last_ntime(&self, job: &PoolJob, miner: &MinerExtranonce) -> Option<u32> {
        let own = job.work_of(miner);
        // In the ranges around it, and in those inside.
        let others = job.work_around(miner).chain([own.inside()]);
        let others = others.map(|key| self.known(key)).max();
        self.last(own, job.notify.ntime).max(others.flatten())
    }

    /// The latest header time that is known of.
    fn known(&self, key: WorkKey) -> Option<u32> {
        let of = |places: &Places| places.get(&key.place)?.get(key.template);
        of(&self.newer).max(of(&self.older))
    }

    fn last(&self, key: WorkKey, own: u32) -> Option<u32> {
        let of = |places: &Places| places.get(&key.place)?.get(key.template);
        let (now, before) = (of(&self.newer), of(&self.older));
        // A template that only moved with its place is not newer.
        let now = now.filter(|now| before != Some(*now));
        let uncertain = self
            .uncertain
            .filter(|it| now.is_none() && own <= it.started.saturating_add(CLOCKS_DIFFER));
        let Some(Uncertain { started, crashes }) = uncertain else {
            return now.max(before);
        };
        // Work is handed out with the pool's time advanced by the seconds since then, at most up to the start. An old
        // time in a new job says nothing about that.
        let elapsed = started.saturating_sub(own);
        let until = if elapsed <= NTIME_ROOM / 2 {
            own.saturating_add(elapsed)
        } else {
            own
        };
        let latest = before.unwrap_or(own).max(until);
        let reserved = latest.saturating_add(RESERVE.saturating_mul(crashes));
        if reserved.saturating_sub(own) < NTIME_ROOM {
            Some(reserved)
        } else {
            before
        }
    }

    /// Records that a job's work was handed out or tried, with a header time, in a miner's place.
    pub fn note(&mut self, job: &PoolJob, miner: &MinerExtranonce, ntime: u32, now: Instant) {
        self.note_key(job.work_of(miner), ntime, now);
        for around in job.work_around(miner) {
            self.note_key(around.inside(), ntime, now);
        }
    }

    fn note_key(&mut self, key: WorkKey, ntime: u32, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if self.newer.len() >= MOST_PLACES || now.saturating_duration_since(since) >= SURELY {
            self.older = std::mem::take(&mut self.newer);
            self.since = Some(now);
        }
        if now.saturating_duration_since(since) >= SURELY {
            self.uncertain = None;
        }
        let Self { newer, older, .. } = self;
        let place = newer
            .entry(key.place)
            .or_insert_with(|| older.get(&key.place).cloned().unwrap_or_default());
        self.count += 1;
        place.noted = self.count;
        let template = key.template;
        let known = place
            .templates
            .iter()
            .position(|(known, _)| *known == template);
        let before = known.and_then(|index| place.templates.remove(index));
        let ntime = before.map_or(ntime, |(_, before)| before.max(ntime));
        if place.templates.len() >= MOST_TEMPLATES {
            place.templates.pop_front();
        }
        place.templates.push_back((template, ntime));
    }

    /// What to keep across a restart. `over`: nothing more will be handed out.
    pub fn kept(&self, over: bool) -> KeptWork {
        let (most_places, most_templates) = MOST_KEPT;
        let older = self.older.iter();
        let older = older.filter(|(place, _)| !self.newer.contains_key(place));
        let mut places: Vec<_> = self.newer.iter().chain(older).collect();
        let all = places.len() <= most_places;
        // Newest first, and always in the same order.
        places.sort_unstable_by_key(|(key, place)| (std::cmp::Reverse(place.noted), **key));
        places.truncate(most_places);
        let places = places.into_iter().map(|(key, place)| {
            let skipped = place.templates.len().saturating_sub(most_templates);
            (
                *key,
                place.templates.iter().skip(skipped).copied().collect(),
            )
        });
        let crashes = self.uncertain.map_or(0, |it| it.crashes);
        let complete = over && all && self.uncertain.is_none();
        KeptWork {
            complete,
            crashes: if over { crashes } else { crashes + 1 },
            places: places.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        Instant::now()
    }

    /// A pool's time in a job long ago.
    const OWN: u32 = 1000;

    #[test]
    fn work_is_remembered_for_an_hour_and_no_longer() {
        let mut templates = HandedOut::default();
        let start = start();
        let [one, other] = [WorkKey::of(1, 1), WorkKey::of(2, 1)];
        templates.note_key(one, 7, start);
        templates.note_key(one, 5, start);
        assert_eq!(templates.last(one, 1), Some(7));
        assert_eq!(templates.last(other, 1), None);
        templates.note_key(other, 1, start + SURELY);
        assert_eq!(templates.last(one, 1), Some(7));
        templates.note_key(other, 2, start + 2 * SURELY);
        assert_eq!(templates.last(one, 1), None);
        assert_eq!(templates.last(other, 1), Some(2));
    }

    #[test]
    fn a_seat_remembers_its_latest_templates() {
        let mut templates = HandedOut::default();
        for number in 0..100_u32 {
            templates.note_key(WorkKey::of(1, number), number, start());
        }
        let known = |number: u32| templates.last(WorkKey::of(1, number), 0);
        assert_eq!(known(83), None);
        assert_eq!((known(84), known(99)), (Some(84), Some(99)));
        for place in 0..5000 {
            templates.note_key(WorkKey::of(place, 1), 7, start());
        }
        let kept = templates.kept(true);
        assert_eq!(kept.places.len(), MOST_KEPT.0);
        assert!(!kept.complete, "most places are missing");
        assert!(serde_json::to_string(&kept).unwrap().len() < 200_000);
    }

    #[test]
    fn after_an_orderly_stop_work_continues_where_it_was() {
        let mut templates = HandedOut::default();
        let key = WorkKey::of(1, 1);
        templates.note_key(key, OWN + 5, start());
        let kept = serde_json::to_string(&templates.kept(true)).unwrap();
        let again = HandedOut::remembering(serde_json::from_str(&kept).unwrap(), OWN + 100);
        assert_eq!(again.last(key, OWN), Some(OWN + 5));
        assert_eq!(again.last(WorkKey::of(1, 2), OWN), None);
    }

    #[test]
    fn after_a_crash_new_work_in_a_seat_makes_no_other_work_certain() {
        let mut templates = HandedOut::default();
        let [known, new] = [WorkKey::of(1, 1), WorkKey::of(1, 2)];
        templates.note_key(known, OWN + 300, start());
        let mut again = HandedOut::remembering(templates.kept(false), OWN + 100);
        again.note_key(new, OWN + 170, start());
        assert_eq!(again.last(known, OWN), Some(OWN + 300 + RESERVE));
    }

    #[test]
    fn each_crash_starts_further_ahead_even_with_an_unchanged_file() {
        let mut templates = HandedOut::default();
        let key = WorkKey::of(1, 1);
        templates.note_key(key, OWN + 300, start());
        let mut file = templates.kept(false);
        let mut seen = Vec::new();
        for run in 0..6 {
            let mut again = HandedOut::remembering(file.clone(), OWN);
            let first = again.last(key, OWN).unwrap() + 1;
            assert!(seen.iter().all(|before| first > *before), "{run} {seen:?}");
            seen.push(first);
            file = file.running();
            again.note_key(key, first, start());
            // The fourth run stops in order, the others do not even write.
            if run == 3 {
                file = again.kept(true);
            }
        }
    }

    #[test]
    fn after_a_crash_work_starts_past_all_work_possibly_handed_out() {
        let mut templates = HandedOut::default();
        let [key, unknown] = [WorkKey::of(1, 1), WorkKey::of(1, 2)];
        templates.note_key(key, OWN + 300, start());
        let kept = templates.kept(false);
        let mut again = HandedOut::remembering(kept.clone(), OWN + 100);
        assert_eq!(again.last(key, OWN), Some(OWN + 300 + RESERVE));
        assert_eq!(again.last(unknown, OWN), Some(OWN + 100 + RESERVE));
        let new = OWN + 100 + CLOCKS_DIFFER + 1;
        assert_eq!(
            again.last(unknown, new),
            None,
            "it was made after the start"
        );
        assert_eq!(
            again.last(unknown, 1_000_000),
            None,
            "the clock is wrong, or it is new"
        );
        again.note_key(unknown, OWN + 161, start());
        assert_eq!(again.last(unknown, OWN), Some(OWN + 161));
        // A time long ago only leaves room for the reserve.
        let late = HandedOut::remembering(kept.clone(), OWN + 1_000_000);
        assert_eq!(late.last(unknown, OWN), Some(OWN + RESERVE));
        // The room is not used up, either.
        let mut full = HandedOut::default();
        full.note_key(key, OWN + NTIME_ROOM - 10, start());
        let full = HandedOut::remembering(full.kept(false), OWN);
        assert_eq!(full.last(key, OWN), Some(OWN + NTIME_ROOM - 10));
    }
}
