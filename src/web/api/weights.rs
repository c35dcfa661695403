//! `weights`: changes the usual split while miners work.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::config;
use crate::units::{PerPool, PoolSlot};
use crate::web::api::config::present;
use crate::web::error::{Answer, ApiError, Code};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json};

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE", deny_unknown_fields)]
struct Body {
    a: Value,
    b: Value,
    /// The weights that the client has seen. If they have changed, they are not overwritten.
    #[serde(default, rename = "before")]
    before: Option<PerPool<f64>>,
}

/// `PUT /api/v1/weights`
pub(in crate::web) fn set_weights(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: Body = body::read(call.request)?;
    let new = PerPool::from_fn(|slot| match slot {
        PoolSlot::A => body.a.clone(),
        PoolSlot::B => body.b.clone(),
    });
    for (slot, weight) in new.iter() {
        // Missing or null would mean the default.
        if !weight.is_number() {
            return Err(ApiError::invalid_value(
                slot.to_string(),
                "A weight must be a number.",
            ));
        }
    }
    if new.iter().all(|(_, weight)| weight.as_f64() == Some(0.0)) {
        return Err(ApiError::invalid_value(
            "A",
            "At least one weight must be above 0, such as {\"A\": 70, \"B\": 30}. To stop mining, make a temporary \
             change with the work \"pause\".",
        ));
    }
    let mut previous = None;
    let changed = pages.settings.change(call.source(pages), |contents| {
        let mut loaded = present(contents)?;
        let now = loaded.config.scheduler.weights;
        if body.before.is_some_and(|seen| seen != now) {
            let (a, b) = (now[PoolSlot::A], now[PoolSlot::B]);
            let message = format!("The split was changed to {a}:{b} in the meantime.");
            return Err(ApiError::new(Code::Conflict, message));
        }
        previous = Some(now);
        for (slot, weight) in new.iter() {
            config::set(&mut loaded.raw, key(slot), weight.clone());
        }
        Ok(loaded.raw)
    });
    changed.map_err(with_own_fields)?;
    Ok(json::respond(&json!({
        "A": new[PoolSlot::A],
        "B": new[PoolSlot::B],
        "previous": previous.map(|weights| json!({
            "A": weights[PoolSlot::A],
            "B": weights[PoolSlot::B],
        })),
    })))
}

fn key(slot: PoolSlot) -> &'static str {
    match slot {
        PoolSlot::A => "scheduler.poolA_weight",
        PoolSlot::B => "scheduler.poolB_weight",
    }
}

/// The file was valid before, so a mistake must be in the weights.
fn with_own_fields(error: ApiError) -> ApiError {
    let fault = PoolSlot::ALL.into_iter().find_map(|slot| {
        let of_slot = |fault: &&config::Fault| fault.path == key(slot);
        Some((slot, error.details.iter().find(of_slot)?))
    });
    match fault {
        Some((slot, fault)) => {
            let message = format!("found {}; allowed: {}", fault.found, fault.allowed);
            ApiError::invalid_value(slot.to_string(), message)
        }
        None => error,
    }
}
