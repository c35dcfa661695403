//! What a simulated miner does with answers.

use std::time::Instant;

use serde_json::{Map, Value};

use crate::sim::miner::ledger::AnswerRecord;

/// Whether an answer has all three keys, and an error only as a list of code, text and null (compat Q20, Q21).
pub(super) fn is_usual_answer(message: &Map<String, Value>) -> bool {
    let usual_error = match message.get("error") {
        Some(Value::Null) => true,
        Some(Value::Array(list)) => match &list[..] {
            [code, text, Value::Null] => code.is_i64() && text.is_string(),
            _ => false,
        },
        Some(_) | None => false,
    };
    usual_error && message.contains_key("id") && message.contains_key("result")
}

/// The answer to a share.
pub(super) fn share_answer(message: &Map<String, Value>, now: Instant) -> AnswerRecord {
    let error = message.get("error").unwrap_or(&Value::Null);
    let text = error.get(1).and_then(Value::as_str);
    AnswerRecord {
        at: now,
        accepted: message.get("result") == Some(&Value::Bool(true)) && error.is_null(),
        code: error.get(0).and_then(Value::as_i64),
        text: text.map_or_else(|| error.to_string(), str::to_owned),
    }
}
