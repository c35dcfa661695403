//! `ledger`: what each worker did for each pool on each day.

use rouille::{Request, Response};
use serde_json::{Value, json};

use super::miners::push_row;
use crate::ledger::{Day, Entry, MOST_DAYS};
use crate::timetable::LocalTimetable;
use crate::units::PoolSlot;
use crate::web::error::{Answer, ApiError};
use crate::web::json;
use crate::web::pages::{Call, Pages};

/// The default number of days.
const USUAL_DAYS: usize = 31;

/// The columns of the table.
const COLUMNS: [&str; 9] = [
    "day",
    "worker",
    "pool",
    "pool_name",
    "work",
    "accepted",
    "rejected",
    "blocks",
    "seconds",
];

/// `GET /api/v1/ledger`
pub(in crate::web) fn show(pages: &Pages, call: &Call<'_>) -> Answer {
    let (zone, days) = days(pages, call.request)?;
    let days: Vec<_> = days
        .iter()
        .map(|(name, day)| {
            let rows: Vec<Value> = rows(day)
                .map(|(worker, slot, entry)| {
                    json!({
                        "worker": worker, "pool": slot.name(), "pool_name": day.pools[slot],
                        "work": entry.work, "accepted": entry.accepted, "rejected": entry.rejected,
                        "blocks": entry.blocks, "seconds": entry.seconds,
                    })
                })
                .collect();
            json!({ "day": name, "rows": rows })
        })
        .collect();
    Ok(json::respond(&json!({ "time_zone": zone, "days": days })))
}

/// `GET /api/v1/ledger.csv`
pub(in crate::web) fn csv(pages: &Pages, call: &Call<'_>) -> Answer {
    let (_, days) = days(pages, call.request)?;
    let mut text = String::new();
    push_row(&mut text, &COLUMNS.map(str::to_owned));
    for (name, day) in &days {
        for (worker, slot, entry) in rows(day) {
            push_row(
                &mut text,
                &[
                    name.clone(),
                    worker.unwrap_or("(others)").to_owned(),
                    slot.name().to_owned(),
                    day.pools[slot].clone(),
                    entry.work.to_string(),
                    entry.accepted.to_string(),
                    entry.rejected.to_string(),
                    entry.blocks.to_string(),
                    format!("{:.0}", entry.seconds),
                ],
            );
        }
    }
    Ok(Response::from_data("text/csv; charset=utf-8", text)
        .with_unique_header("Cache-Control", "no-store")
        .with_unique_header(
            "Content-Disposition",
            "attachment; filename=\"dpmp-ledger.csv\"",
        ))
}

/// The time zone and the requested days, up to now.
fn days(pages: &Pages, request: &Request) -> Result<(String, Vec<(String, Day)>), ApiError> {
    let most = match request.get_param("days") {
        None => USUAL_DAYS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (1..=MOST_DAYS).contains(days))
            .ok_or_else(|| {
                ApiError::invalid_value(
                    "days",
                    format!("days must be a number from 1 to {MOST_DAYS}."),
                )
            })?,
    };
    let config = pages.context.live.get();
    let timetable = LocalTimetable::new(&config.timetable);
    let now_ms = crate::system::clock::now().unix_ms;
    pages
        .ledger
        .look(&pages.published.get(), timetable.zone(), now_ms);
    Ok((timetable.zone().name().to_owned(), pages.ledger.days(most)))
}

/// The work by worker; workers without their own entry have no name.
fn rows(day: &Day) -> impl Iterator<Item = (Option<&str>, PoolSlot, &Entry)> {
    let named = day
        .workers
        .iter()
        .map(|(name, of)| (Some(name.as_str()), of));
    let all = named.chain([(None, &day.others)]);
    all.flat_map(|(worker, of)| of.iter().map(move |(slot, entry)| (worker, slot, entry)))
        .filter(|(_, _, entry)| !entry.is_empty())
}
