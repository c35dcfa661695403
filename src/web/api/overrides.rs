//! `override`: a temporary change, set and ended.

use serde::Deserialize;
use serde_json::json;

use crate::config::steering::Work;
use crate::core::steering::{ALL_WORKERS, Override, Steering};
use crate::shell::inbox::Input;
use crate::system::clock::now;
use crate::timetable::clock_check::ClockProblem;
use crate::web::api::command::command;
use crate::web::error::{Answer, ApiError, Code};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json};

/// The longest time, in milliseconds: a leap year.
const LONGEST_MS: u64 = 366 * 86_400_000;

/// How many workers one change may name.
const MOST_WORKERS: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBody {
    work: Work,
    workers: Vec<String>,
    until_ms: Option<u64>,
    for_seconds: Option<u64>,
    before_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndBody {
    workers: Vec<String>,
    before_ms: Option<u64>,
}

/// `PUT /api/v1/override`
pub(in crate::web) fn set(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: SetBody = body::read(call.request)?;
    let now_ms = now().unix_ms;
    let workers = sorted(body.workers)?;
    if let Some(pattern) = pattern_in(&workers) {
        return Err(ApiError::invalid_value(
            "workers",
            format!(
                "{pattern} is a pattern. A temporary change names workers exactly, such as [\"bitaxe-1\"], or all with \
                 [\"*\"]. Patterns are for groups."
            ),
        ));
    }
    let until_ms = end(body.until_ms, body.for_seconds, now_ms)?;
    let snapshot = pages.published.get();
    is_as_seen(snapshot.steering.last_change(&workers), body.before_ms)?;
    drop(snapshot);
    if until_ms.is_some() {
        if let Some(problem) = ClockProblem::find(now_ms, &pages.published.get()) {
            return Err(ApiError::new(Code::Unavailable, problem.to_string()));
        }
    }
    let change = Override {
        work: body.work,
        workers,
        until_ms,
        set_ms: now_ms,
        by: call.source(pages).to_string(),
    };
    let wanted = change.clone();
    command(pages, |done| Input::Override { change, done })?;
    if pages.published.get().steering.overrides.contains(&wanted) {
        Ok(json::respond(&wanted))
    } else {
        let most = Steering::MOST_OVERRIDES;
        let message = format!("There already are {most} temporary changes. End one first.");
        Err(ApiError::new(Code::TooMany, message))
    }
}

/// `DELETE /api/v1/override`
pub(in crate::web) fn end_early(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: EndBody = body::read(call.request)?;
    let workers = sorted(body.workers)?;
    let snapshot = pages.published.get();
    let mut present = snapshot.steering.overrides.iter();
    let present = present.find(|it| it.workers == workers);
    is_as_seen(present.map_or(0, |it| it.set_ms), body.before_ms)?;
    if present.is_none() {
        return Err(ApiError::not_found(
            "There is no temporary change for exactly these workers.",
        ));
    }
    command(pages, |done| Input::OverrideEnded { workers, done })?;
    Ok(json::respond(&json!({"ok": true})))
}

/// Checks that the last temporary change is the one that the client has seen, by the times when they were made. 0:
/// there is none; `None`: the client does not care.
fn is_as_seen(last_ms: u64, seen_ms: Option<u64>) -> Result<(), ApiError> {
    if seen_ms.is_none_or(|seen_ms| seen_ms == last_ms) {
        return Ok(());
    }
    let message = "The temporary change was set or ended in the meantime. Check what is in force, then try again.";
    Err(ApiError::new(Code::Conflict, message))
}

/// The workers in the form for comparing.
fn sorted(mut workers: Vec<String>) -> Result<Vec<String>, ApiError> {
    workers.sort_unstable();
    workers.dedup();
    let wrong = |message: &'static str| Err(ApiError::invalid_value("workers", message));
    if workers.is_empty() || workers.iter().any(String::is_empty) {
        return wrong("Name at least one worker, or [\"*\"] for all.");
    }
    if workers.len() > 1 && workers.iter().any(|name| name == ALL_WORKERS) {
        return wrong("\"*\" means all workers, so it must be the only entry.");
    }
    if workers.len() > MOST_WORKERS {
        return wrong("A temporary change can name at most 1000 workers. Use [\"*\"] for all.");
    }
    Ok(workers)
}

/// A name with a wildcard, which cannot be a worker's.
fn pattern_in(workers: &[String]) -> Option<&String> {
    let is_pattern = |name: &&String| *name != ALL_WORKERS && name.contains(['*', '?']);
    workers.iter().find(is_pattern)
}

/// When it ends, in milliseconds since 1970.
fn end(
    until_ms: Option<u64>,
    for_seconds: Option<u64>,
    now_ms: u64,
) -> Result<Option<u64>, ApiError> {
    let (field, until_ms) = match (until_ms, for_seconds) {
        (None, None) => return Ok(None),
        (Some(until_ms), None) => ("until_ms", until_ms),
        (None, Some(seconds)) => {
            let ms = seconds.saturating_mul(1000);
            ("for_seconds", now_ms.saturating_add(ms))
        }
        (Some(_), Some(_)) => {
            let message = "Give either until_ms or for_seconds, not both.";
            return Err(ApiError::invalid_value("for_seconds", message));
        }
    };
    if until_ms <= now_ms {
        let message = "A temporary change must end in the future.";
        return Err(ApiError::invalid_value(field, message));
    }
    if until_ms - now_ms > LONGEST_MS {
        let message = "A temporary change can last at most a year. Leave out its end to keep it until you end it.";
        return Err(ApiError::invalid_value(field, message));
    }
    Ok(Some(until_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_must_be_in_the_future_and_not_too_far_away() {
        let now = 1_000_000;
        assert_eq!(end(None, None, now), Ok(None));
        assert_eq!(end(Some(now + 1), None, now), Ok(Some(now + 1)));
        assert_eq!(end(None, Some(60), now), Ok(Some(now + 60_000)));
        assert_eq!(
            end(Some(now + LONGEST_MS), None, now),
            Ok(Some(now + LONGEST_MS))
        );
        let wrong = [
            (Some(now), None, "until_ms"),
            (Some(0), None, "until_ms"),
            (Some(now + LONGEST_MS + 1), None, "until_ms"),
            (None, Some(0), "for_seconds"),
            (None, Some(u64::MAX), "for_seconds"),
            (Some(now + 1), Some(1), "for_seconds"),
        ];
        for (until, seconds, field) in wrong {
            let error = end(until, seconds, now).unwrap_err();
            assert_eq!(
                (error.code, error.field.as_deref()),
                (Code::InvalidValue, Some(field))
            );
        }
    }

    #[test]
    fn a_change_is_for_named_workers_or_for_all() {
        let names = |names: &[&str]| sorted(names.iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(names(&["b", "a", "b"]).unwrap(), ["a", "b"]);
        assert_eq!(names(&["*"]).unwrap(), ["*"]);
        for wrong in [&[][..], &[""], &["*", "a"]] {
            assert!(names(wrong).is_err(), "{wrong:?}");
        }
        let pattern = |name: &str| pattern_in(&[name.to_owned()]).is_some();
        assert!(pattern("garage-*") && pattern("rig-?"));
        assert!(!pattern("*") && !pattern("rig-[1]"));
        let many: Vec<_> = (0..=MOST_WORKERS).map(|it| it.to_string()).collect();
        assert!(sorted(many).is_err());
    }
}
