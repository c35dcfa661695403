//! `workers`: changes settings of individual workers without touching the rest of the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config;
use crate::web::api::config::present;
use crate::web::error::{Answer, ApiError};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json};

/// The settings of a worker.
const KEYS: [&str; 4] = ["name", "work", "turns", "failover"];

/// New settings by worker; `None`: all settings are removed.
type NewSettings = BTreeMap<String, Option<Map<String, Value>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkersBody {
    workers: NewSettings,
}

/// `PUT /api/v1/workers`
pub(in crate::web) fn set(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: WorkersBody = body::read(call.request)?;
    for (worker, settings) in &body.workers {
        let mut keys = settings.iter().flat_map(Map::keys);
        if let Some(key) = keys.find(|key| !KEYS.contains(&key.as_str())) {
            let message = format!("This setting does not exist. Allowed: {}.", KEYS.join(", "));
            return Err(ApiError::invalid_value(
                format!("workers.{worker}.{key}"),
                message,
            ));
        }
    }
    let mut now = Value::Null;
    pages.settings.change(call.source(pages), |contents| {
        let mut file = present(contents)?.raw;
        now = merged(config::lookup(&file, "workers"), &body.workers);
        config::set(&mut file, "workers", now.clone());
        Ok::<_, ApiError>(file)
    })?;
    Ok(json::respond(&json!({ "workers": now })))
}

/// The settings of all workers with the new ones. `null` removes a setting; a worker without any is removed, too.
fn merged(present: Option<&Value>, new: &NewSettings) -> Value {
    let mut workers = present
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for (worker, settings) in new {
        let Some(settings) = settings else {
            workers.shift_remove(worker);
            continue;
        };
        let entry = workers.entry(worker.clone()).or_insert_with(|| json!({}));
        let Some(entry) = entry.as_object_mut() else {
            continue;
        };
        for (key, value) in settings {
            if value.is_null() {
                entry.shift_remove(key);
            } else {
                entry.insert(key.clone(), value.clone());
            }
        }
        if entry.is_empty() {
            workers.shift_remove(worker);
        }
    }
    Value::Object(workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(present: Option<Value>, new: Value) -> Value {
        let body: WorkersBody = serde_json::from_value(json!({ "workers": new })).unwrap();
        merged(present.as_ref(), &body.workers)
    }

    #[test]
    fn settings_are_merged_and_null_removes_a_setting() {
        let present = json!({"a": {"work": "A", "name": "Attic"}, "b": {"work": "B"}, "c": {"work": "pause"}, "f": {"work": "A"}});
        let new = json!({"a": {"work": "pause", "failover": true}, "b": {"work": null}, "d": {"name": "Den"}, "e": {}, "f": null, "g": null});
        assert_eq!(
            patch(Some(present), new),
            json!({
                "a": {"work": "pause", "name": "Attic", "failover": true},
                "c": {"work": "pause"},
                "d": {"name": "Den"},
            })
        );
        assert_eq!(
            patch(None, json!({"a": {"work": "A"}})),
            json!({"a": {"work": "A"}})
        );
    }
}
