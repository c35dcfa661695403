//! `events`: the log while it is written, by long polling.

pub(super) mod sentence;

use std::time::Duration;

use rouille::{Request, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use self::sentence::sentence;
use super::PoolNames;
use crate::observe::tail::Excerpt;
use crate::system::clock::clock;
use crate::web::error::{Answer, ApiError};
use crate::web::json;
use crate::web::pages::{Call, Pages};

/// The default number of events in an answer.
const USUAL: usize = 200;

/// The maximum number.
const MOST: usize = 1000;

/// How long a client may wait for events, in seconds.
const LONGEST_WAIT: u64 = 25;

/// `GET /api/v1/events`
pub(in crate::web) fn show(pages: &Pages, call: &Call<'_>) -> Answer {
    let limit = number(call.request, "limit")?.map_or(USUAL, |limit| {
        usize::try_from(limit).unwrap_or(MOST).clamp(1, MOST)
    });
    let wait = number(call.request, "wait")?.unwrap_or(0).min(LONGEST_WAIT);
    let tail = pages.context.observer.log.tail();
    let excerpt = match number(call.request, "after")? {
        Some(after) => tail.from(after, limit, clock() + Duration::from_secs(wait)),
        None => tail.newest(limit),
    };
    let names = PoolNames::of(&pages.context.live.get(), &pages.published.get());
    Ok(respond(&excerpt, &names))
}

#[derive(Serialize)]
struct Body<'a> {
    events: Vec<Event<'a>>,
    next: u64,
    missed: u64,
}

#[derive(Serialize)]
struct Event<'a> {
    seq: u64,
    text: String,
    event: &'a RawValue,
}

fn respond(excerpt: &Excerpt, names: &PoolNames) -> Response {
    json::respond(&Body {
        // The lines of the log are JSON.
        events: excerpt
            .lines
            .iter()
            .filter_map(|(seq, line)| {
                let event = serde_json::from_str(line).ok()?;
                let (seq, text) = (*seq, sentence(line, names));
                Some(Event { seq, text, event })
            })
            .collect(),
        next: excerpt.next,
        missed: excerpt.missed,
    })
}

pub(super) fn number(request: &Request, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(text) = request.get_param(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(ApiError::invalid_value(
            name,
            format!("{name} must be a whole number."),
        )),
    }
}
