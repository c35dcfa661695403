//! Every minute around changes of the clock. Checking each minute shows which change comes next.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::config::steering::Work;
use crate::units::PoolSlot;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const WEEK_MINUTES: usize = 7 * 1440;
const EVERY_DAY: [bool; 7] = [true; 7];

/// An entry from `"22:00"` to `"06:00"` on these days.
fn entry(days: [bool; 7], from: &str, to: &str, work: Work) -> TimetableEntry {
    let minutes = |text: &str| {
        let (hours, minutes) = text.split_once(':').unwrap();
        hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
    };
    TimetableEntry {
        days,
        from: minutes(from),
        to: minutes(to),
        work,
    }
}

fn daily(from: &str, to: &str) -> TimetableEntry {
    entry(EVERY_DAY, from, to, Work::Pause)
}

fn on(day: usize, from: &str, to: &str) -> TimetableEntry {
    let days = std::array::from_fn(|it| it == day);
    entry(days, from, to, Work::Pause)
}

fn timetable(zone: &str, entries: Vec<TimetableEntry>) -> Timetable {
    Timetable {
        enabled: true,
        time_zone: zone.to_owned(),
        entries,
    }
}

/// The first instant at which the clocks of a zone show this, in seconds since 1970.
fn instant(zone: &str, local: &str) -> i64 {
    let local: DateTime = local.parse().unwrap();
    let zone = TimeZone::get(zone).unwrap();
    let zoned = zone.to_ambiguous_zoned_datetime(local).earlier().unwrap();
    assert_eq!(zoned.datetime(), local, "it is shown at some time");
    zoned.timestamp().as_second()
}

fn ms(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap() * 1000
}

/// The entry in force at each minute of a week, found by marking all minutes that each entry covers.
struct Oracle {
    zone: TimeZone,
    week: Vec<Option<usize>>,
}

impl Oracle {
    fn new(timetable: &Timetable) -> Self {
        let mut week = vec![None; WEEK_MINUTES];
        for (index, entry) in timetable.entries.iter().enumerate() {
            let (from, to) = (usize::from(entry.from), usize::from(entry.to));
            let length = if from < to {
                to - from
            } else {
                to + 1440 - from
            };
            for day in (0..7).filter(|day| entry.days[*day]) {
                for minute in 0..length {
                    let place = &mut week[(day * 1440 + from + minute) % WEEK_MINUTES];
                    *place = place.or(Some(index));
                }
            }
        }
        let zone = TimeZone::get(&timetable.time_zone).unwrap();
        Self { zone, week }
    }

    fn entry(&self, at: i64) -> Option<usize> {
        let local = Timestamp::from_second(at).unwrap();
        let local = local.to_zoned_datetime(self.zone.clone());
        let day = local.weekday().to_monday_zero_offset();
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        self.week[usize::try_from(i32::from(day) * 1440 + minute).unwrap()]
    }

    /// Searched minute by minute.
    fn change(&self, now: i64) -> Option<i64> {
        let before = self.entry(now);
        let first = now - now.rem_euclid(MINUTE) + MINUTE;
        let minutes = (0..).map(|minute| first + minute * MINUTE);
        let mut minutes = minutes.take_while(|at| *at <= now + HORIZON);
        minutes.find(|at| self.entry(*at) != before)
    }
}

/// Checks that the answer at each minute between two times is the oracle's.
fn agrees_between(timetable: &Timetable, from: i64, to: i64) {
    let local = LocalTimetable::new(timetable);
    let oracle = Oracle::new(timetable);
    let mut at = from;
    while at < to {
        for second in [at, at + 59] {
            let now = local.at(ms(second));
            let entry = now.entry.map(|(entry, _)| entry);
            assert_eq!(entry, oracle.entry(second), "entry at {second}");
        }
        assert_eq!(
            local.next_change(at),
            oracle.change(at),
            "change after {at}"
        );
        at += MINUTE;
    }
}

/// The moments at which clocks change in these zones, and one at which a day was left out.
fn moments() -> [(&'static str, i64); 8] {
    let utc = |text| instant("UTC", text);
    [
        ("Europe/Berlin", utc("2026-03-29T01:00")),
        ("Europe/Berlin", utc("2026-10-25T01:00")),
        ("America/New_York", utc("2026-03-08T07:00")),
        ("America/New_York", utc("2026-11-01T06:00")),
        // Changes by half an hour.
        ("Australia/Lord_Howe", utc("2026-04-04T15:00")),
        ("Australia/Lord_Howe", utc("2026-10-03T15:30")),
        // Friday, the 30th, was left out.
        ("Pacific/Apia", utc("2011-12-30T10:00")),
        // The clock is never changed.
        ("Asia/Kolkata", utc("2026-03-29T01:00")),
    ]
}

#[test]
fn every_minute_around_a_daylight_saving_change_is_right() {
    for (zone, moment) in moments() {
        let name = Zone::named(zone).unwrap();
        let changes = name.next_transition(moment - 1) == Some(moment);
        assert_eq!(changes, zone != "Asia/Kolkata", "{zone} at {moment}");
        // All minutes of the hour that is skipped or repeated, with entries that begin and end in it.
        let entries = vec![
            on(6, "02:10", "02:20"),
            daily("02:30", "02:50"),
            on(4, "22:00", "06:00"),
            daily("01:45", "02:00"),
            daily("03:00", "03:00"),
        ];
        let timetable = timetable(zone, entries);
        agrees_between(&timetable, moment - 3 * HOUR, moment + 3 * HOUR);
    }
}

/// The clock goes from 02:00 to 03:00.
#[test]
fn entries_inside_the_skipped_hour_do_not_happen() {
    let timetable = timetable("Europe/Berlin", vec![daily("02:10", "02:50")]);
    let local = LocalTimetable::new(&timetable);
    let before = instant("Europe/Berlin", "2026-03-29T01:59");
    let now = local.at(ms(before));
    assert_eq!(now.entry, None);
    let tomorrow = instant("Europe/Berlin", "2026-03-30T02:10");
    assert_eq!(now.until_ms, Some(ms(tomorrow)));
    assert_eq!(now.next, Some(Work::Pause));
}

/// An entry that begins in the skipped hour begins at its end; one that ends in it ends at its beginning.
#[test]
fn the_edges_of_the_skipped_hour_are_right() {
    let timetable = timetable(
        "Europe/Berlin",
        vec![daily("01:00", "02:30"), daily("02:30", "04:00")],
    );
    let local = LocalTimetable::new(&timetable);
    let three = instant("Europe/Berlin", "2026-03-29T03:00");
    assert_eq!(local.at(ms(three - 1)).entry, Some((0, Work::Pause)));
    assert_eq!(local.at(ms(three - 1)).until_ms, Some(ms(three)));
    assert_eq!(local.at(ms(three)).entry, Some((1, Work::Pause)));
}

/// The clock goes from 03:00 back to 02:00.
#[test]
fn entries_inside_the_repeated_hour_happen_twice() {
    let timetable = timetable("Europe/Berlin", vec![daily("02:10", "02:50")]);
    let local = LocalTimetable::new(&timetable);
    let mut at = instant("Europe/Berlin", "2026-10-25T02:00");
    let mut seen = Vec::new();
    for _ in 0..4 {
        let next = local.next_change(at).unwrap();
        seen.push((next - at) / MINUTE);
        at = next;
    }
    assert_eq!(seen, [10, 40, 20, 40]);
}

#[test]
fn a_day_skipped_by_a_time_zone_does_not_happen() {
    // Thursday, the 29th, was followed by Saturday, the 31st.
    let timetable = timetable("Pacific/Apia", vec![on(4, "00:00", "00:00")]);
    let local = LocalTimetable::new(&timetable);
    let thursday = instant("Pacific/Apia", "2011-12-29T23:59");
    let now = local.at(ms(thursday));
    let next_friday = instant("Pacific/Apia", "2012-01-06T00:00");
    assert_eq!((now.entry, now.until_ms), (None, Some(ms(next_friday))));
}

#[test]
fn an_entry_across_midnight_belongs_to_the_day_it_starts_on() {
    let timetable = timetable("UTC", vec![on(0, "22:00", "06:00")]);
    let local = LocalTimetable::new(&timetable);
    // The 30th is a Monday.
    let at = |text| local.at(ms(instant("UTC", text)));
    assert_eq!(at("2026-11-30T05:59").entry, None, "Sunday's night");
    assert_eq!(at("2026-11-30T21:59:59").entry, None);
    assert!(at("2026-11-30T22:00").entry.is_some());
    assert!(at("2026-12-01T05:59:59").entry.is_some());
    assert_eq!(at("2026-12-01T06:00").entry, None);
    assert_eq!(at("2026-12-01T22:00").entry, None);
    let now = at("2026-11-30T23:00");
    assert_eq!(now.until_ms, Some(ms(instant("UTC", "2026-12-01T06:00"))));
    assert_eq!(now.next, None);
}

#[test]
fn the_same_start_and_end_mean_24_hours() {
    let timetable = timetable("UTC", vec![on(6, "10:00", "10:00")]);
    let local = LocalTimetable::new(&timetable);
    let sunday = instant("UTC", "2026-11-29T10:00");
    assert_eq!(local.entry_at(sunday - 1), None);
    assert_eq!(local.entry_at(sunday), Some(0));
    assert_eq!(local.next_change(sunday), Some(sunday + 24 * HOUR));
    assert_eq!(local.entry_at(sunday + 24 * HOUR), None);
}

#[test]
fn the_first_matching_entry_counts() {
    let entries = vec![
        entry(EVERY_DAY, "12:00", "13:00", Work::only(PoolSlot::A)),
        entry(EVERY_DAY, "11:00", "14:00", Work::only(PoolSlot::B)),
    ];
    let timetable = timetable("UTC", entries);
    let local = LocalTimetable::new(&timetable);
    let noon = instant("UTC", "2026-11-30T12:00");
    let now = local.at(ms(noon));
    assert_eq!(now.entry, Some((0, Work::only(PoolSlot::A))));
    assert_eq!(now.until_ms, Some(ms(noon + HOUR)));
    assert_eq!(now.next, Some(Work::only(PoolSlot::B)));
    let before = local.at(ms(noon - 1));
    assert_eq!(before.entry, Some((1, Work::only(PoolSlot::B))));
}

#[test]
fn a_timetable_that_never_changes_has_no_end() {
    for entries in [
        vec![],
        vec![daily("00:00", "00:00")],
        vec![daily("07:00", "07:00")],
    ] {
        let any = !entries.is_empty();
        let timetable = timetable("Europe/Berlin", entries);
        let now = LocalTimetable::new(&timetable).at(ms(instant("UTC", "2026-11-30T12:00")));
        assert_eq!((now.entry.is_some(), now.until_ms), (any, None));
    }
    let week_away = timetable("UTC", vec![on(0, "12:00", "12:01")]);
    let monday = instant("UTC", "2026-11-30T12:01");
    let next = LocalTimetable::new(&week_away).next_change(monday);
    assert_eq!(next, Some(monday + 7 * 24 * HOUR - MINUTE));
}

#[test]
fn a_disabled_timetable_gives_nothing() {
    let mut timetable = timetable("UTC", vec![daily("00:00", "00:00")]);
    timetable.enabled = false;
    let now = LocalTimetable::new(&timetable).at(ms(instant("UTC", "2026-11-30T12:00")));
    assert_eq!(now, TimetableNow::default());
}

#[test]
fn any_time_gets_an_answer() {
    let timetable = timetable("Europe/Berlin", vec![daily("07:00", "08:00")]);
    let local = LocalTimetable::new(&timetable);
    for unix_ms in [0, 1, 999, u64::MAX / 2, u64::MAX] {
        let now = local.at(unix_ms);
        assert!(
            now.until_ms
                .is_none_or(|until| until > unix_ms || until == u64::MAX)
        );
    }
}

#[test]
fn a_zone_has_its_usual_spelling() {
    assert_eq!(
        Zone::named("europe/berlin").unwrap().name(),
        "Europe/Berlin"
    );
    assert_eq!(Zone::named("UTC").unwrap().name(), "UTC");
    assert!(Zone::named("Mars/Olympus").is_none());
    assert!(Zone::named("").is_none());
    assert!(!Zone::of_the_system().name().is_empty());
}

fn any_entry() -> impl Strategy<Value = TimetableEntry> {
    // Only a few different times, so that some coincide.
    let time = || prop_oneof![0_u16..1440, (0_u16..8).prop_map(|it| it * 180)];
    (any::<[bool; 7]>(), time(), time()).prop_map(|(days, from, to)| TimetableEntry {
        days,
        from,
        to,
        work: Work::Pause,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_next_change_matches_a_search_minute_by_minute(
        entries in proptest::collection::vec(any_entry(), 0..5),
        (zone, moment) in proptest::sample::select(moments().to_vec()),
        before in 0_i64..9 * 24 * 3600,
    ) {
        let timetable = timetable(zone, entries);
        let now = moment - before;
        let local = LocalTimetable::new(&timetable);
        let oracle = Oracle::new(&timetable);
        prop_assert_eq!(local.entry_at(now), oracle.entry(now));
        prop_assert_eq!(local.next_change(now), oracle.change(now));
    }
}
