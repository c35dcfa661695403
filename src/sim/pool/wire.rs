//! A simulated pool's messages as text.

use serde_json::{Value, json};

use crate::sim::chain::judge::Verdict;
use crate::sim::pool::options::{DifficultyForm, PoolOptions, RejectForm, SubscriptionForm};
use crate::stratum::job::Notify;

/// An answer without an error.
pub(super) fn answer(options: &PoolOptions, id: &Value, result: &Value) -> String {
    object(
        options,
        &format!(r#""id":{id},"result":{result},"error":null"#),
    )
}

/// An answer with an error in the usual form.
pub(super) fn refusal(
    options: &PoolOptions,
    id: &Value,
    result: &Value,
    (code, text): (i64, &str),
) -> String {
    let error = json!([code, text, null]);
    object(
        options,
        &format!(r#""id":{id},"result":{result},"error":{error}"#),
    )
}

/// The answer to a rejected share.
pub(super) fn share_refusal(options: &PoolOptions, id: &Value, verdict: Verdict) -> String {
    let (code, text) = reason(verdict);
    let rest = match options.reject_form {
        RejectForm::Array => return refusal(options, id, &Value::Null, (code, text)),
        RejectForm::Object => {
            let error = json!({"code": code, "message": text});
            format!(r#""result":null,"error":{error}"#)
        }
        RejectForm::Text => format!(r#""result":false,"error":"{text}""#),
        RejectForm::RejectReason => {
            format!(r#""reject-reason":"{text}","result":false,"error":null"#)
        }
        RejectForm::Bare => r#""result":false,"error":null"#.to_owned(),
    };
    object(options, &format!(r#""id":{id},{rest}"#))
}

/// The result of `mining.subscribe`.
pub(super) fn subscription(form: SubscriptionForm, e1: &[u8], e2_size: usize) -> Value {
    let e1 = hex::encode(e1);
    match form {
        SubscriptionForm::Usual => {
            let list = [["mining.set_difficulty", "1"], ["mining.notify", "1"]];
            json!([list, e1, e2_size])
        }
        SubscriptionForm::NotifyOnly => json!([[["mining.notify", "ae6812eb"]], e1, e2_size]),
        SubscriptionForm::Flat => json!([["mining.notify", "ae6812eb"], e1, e2_size]),
        SubscriptionForm::Null => json!([null, e1, e2_size]),
        SubscriptionForm::Bare => json!([e1, e2_size]),
        SubscriptionForm::FloatSize => {
            let size = u32::try_from(e2_size).map_or(0.0, f64::from);
            json!([[["mining.notify", "1"]], e1, size])
        }
    }
}

/// A message that needs no answer.
pub(super) fn push(options: &PoolOptions, method: &str, params: &str) -> String {
    object(
        options,
        &format!(r#""id":null,"method":"{method}","params":{params}"#),
    )
}

/// `mining.set_difficulty`.
pub(super) fn set_difficulty(options: &PoolOptions, difficulty: f64) -> String {
    let number = match options.difficulty_form {
        DifficultyForm::Plain => format!("{difficulty}"),
        DifficultyForm::Float if difficulty.fract() == 0.0 => format!("{difficulty:.1}"),
        DifficultyForm::Float => format!("{difficulty}"),
        DifficultyForm::Long => format!("{difficulty:.30}"),
        DifficultyForm::Text => format!("\"{difficulty}\""),
    };
    push(options, "mining.set_difficulty", &format!("[{number}]"))
}

/// `mining.notify`.
pub(super) fn notify(options: &PoolOptions, notify: &Notify) -> String {
    let branches: Vec<String> = notify.branches.iter().map(hex::encode).collect();
    let mut params = vec![
        json!(notify.job_id),
        json!(hex::encode(notify.prevhash)),
        json!(hex::encode(&notify.coinb1)),
        json!(hex::encode(&notify.coinb2)),
        json!(branches),
        json!(format!("{:08x}", notify.version)),
        json!(format!("{:08x}", notify.nbits)),
        json!(format!("{:08x}", notify.ntime)),
    ];
    params.extend(options.extra_fields.iter().cloned());
    params.push(json!(notify.clean));
    push(options, "mining.notify", &Value::Array(params).to_string())
}

/// The code and text of a rejection.
fn reason(verdict: Verdict) -> (i64, &'static str) {
    match verdict {
        Verdict::Accepted => (20, "Refused without a reason"),
        Verdict::Malformed => (20, "Invalid parameters"),
        Verdict::ExtranonceSize => (20, "Invalid extranonce2 size"),
        Verdict::Ntime => (20, "Ntime out of range"),
        Verdict::VersionBits => (20, "Invalid version bits"),
        Verdict::UnknownJob => (21, "Job not found"),
        Verdict::Stale => (21, "Stale"),
        Verdict::Duplicate => (22, "Duplicate"),
        Verdict::LowDifficulty => (23, "Above target"),
        Verdict::Unauthorized => (24, "Unauthorized worker"),
        Verdict::WorkerMismatch => (24, "Worker mismatch"),
        Verdict::NotSubscribed => (25, "Not subscribed"),
    }
}

/// Puts fields into an object on a line of its own.
fn object(options: &PoolOptions, fields: &str) -> String {
    let version = if options.jsonrpc {
        r#""jsonrpc":"2.0","#
    } else {
        ""
    };
    format!("{{{version}{fields}}}\n")
}
