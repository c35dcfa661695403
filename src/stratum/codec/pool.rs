//! Lines from pools.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::decode::{DecodeError, Envelope, Params, as_number, parse_word, quote, text_of};
use crate::stratum::job::Notify;
use crate::stratum::message::{Extranonces, FromPool, Outcome};
use crate::stratum::reject::Reject;
use crate::units::{Difficulty, Extranonce1, MAX_EXTRANONCE, VersionMask};

/// No miner can handle more merkle branches than this (compat Q30); a block has fewer.
const MOST_BRANCHES: usize = 32;

/// The longest coinbase half that is accepted, in bytes (compat Q32: the largest seen have 16 KB).
const LONGEST_COINBASE: usize = 65_536;

/// The longest job id that is accepted, in bytes.
const LONGEST_JOB_ID: usize = 256;

pub(super) fn decode(line: &Envelope<'_>) -> Result<FromPool, DecodeError> {
    let Some(method) = line.method() else {
        return Ok(match line.counter() {
            Some(id) => FromPool::Response {
                id,
                outcome: outcome(line),
            },
            None => FromPool::Unknown {
                method: String::new(),
            },
        });
    };
    let params = line.params();
    Ok(match method.as_ref() {
        "mining.notify" => valid("mining.notify", notify(&params)),
        "mining.set_difficulty" => valid("mining.set_difficulty", set_difficulty(&params)),
        "mining.set_extranonce" => valid("mining.set_extranonce", set_extranonce(&params)),
        "mining.set_version_mask" => valid("mining.set_version_mask", set_version_mask(&params)),
        "client.reconnect" => reconnect(&params),
        "client.show_message" => {
            FromPool::ShowMessage(quote(&params.text(0, "message").unwrap_or_default()))
        }
        "client.get_version" => FromPool::GetVersion(line.id()?),
        "mining.ping" => FromPool::Ping(line.id()?),
        other => FromPool::Unknown {
            method: quote(other),
        },
    })
}

fn valid(method: &'static str, message: Result<FromPool, String>) -> FromPool {
    message.unwrap_or_else(|problem| FromPool::Invalid { method, problem })
}

fn notify(params: &Params<'_>) -> Result<FromPool, String> {
    let is_number = |raw: &RawValue| {
        raw.get()
            .starts_with(|c: char| c == '-' || c.is_ascii_digit())
    };
    let job_id = match params.0.first() {
        Some(raw) if is_number(raw) => raw.get().to_owned(),
        Some(_) | None => params.text(0, "job id")?.into_owned(),
    };
    if job_id.len() > LONGEST_JOB_ID {
        return Err(format!("job id longer than {LONGEST_JOB_ID} bytes"));
    }
    let coinbase = |index, name| match params.bytes(index, name) {
        Ok(half) if half.len() > LONGEST_COINBASE => {
            Err(format!("{name} longer than {LONGEST_COINBASE} bytes"))
        }
        other => other,
    };
    let branches = params.0.get(4).map_or("", |raw| raw.get());
    let branches: Vec<&RawValue> =
        serde_json::from_str(branches).map_err(|_| "merkle branches are no list")?;
    if branches.len() > MOST_BRANCHES {
        return Err(format!("more than {MOST_BRANCHES} merkle branches"));
    }
    let branches = branches
        .iter()
        .map(|branch| hash(text_of(branch), "merkle branch"));
    Ok(FromPool::Notify(Arc::new(Notify {
        job_id,
        prevhash: hash(params.text(1, "prevhash").ok(), "prevhash")?,
        coinb1: coinbase(2, "coinb1")?,
        coinb2: coinbase(3, "coinb2")?,
        branches: branches.collect::<Result<_, _>>()?,
        version: params.word(5, "version")?,
        nbits: params.word(6, "nbits")?,
        ntime: params.word(7, "ntime")?,
        // There may be further fields before it (compat Q25).
        clean: params
            .0
            .get(8..)
            .and_then(|rest| rest.last())
            .is_none_or(|flag| flag.get() != "false"),
    })))
}

fn hash(text: Option<Cow<'_, str>>, name: &str) -> Result<[u8; 32], String> {
    let mut hash = [0; 32];
    let text = text.ok_or_else(|| format!("{name} is no string"))?;
    hex::decode_to_slice(&*text, &mut hash).map_err(|_| format!("{name} is not 64 hex digits"))?;
    Ok(hash)
}

fn set_difficulty(params: &Params<'_>) -> Result<FromPool, String> {
    let number = params.number(0, "difficulty")?;
    let difficulty = Difficulty::new(number)
        .ok_or_else(|| format!("difficulty is {number:e}, not above 0 or too high"))?;
    Ok(FromPool::SetDifficulty(difficulty))
}

fn set_extranonce(params: &Params<'_>) -> Result<FromPool, String> {
    extranonces(params.value(0).as_ref(), params.value(1).as_ref()).map(FromPool::SetExtranonce)
}

fn set_version_mask(params: &Params<'_>) -> Result<FromPool, String> {
    params
        .word(0, "mask")
        .map(|mask| FromPool::SetVersionMask(VersionMask(mask)))
}

fn reconnect(params: &Params<'_>) -> FromPool {
    let whole = |index: usize| as_number(params.value(index).as_ref()).and_then(to_whole);
    FromPool::Reconnect {
        host: params
            .text(0, "host")
            .ok()
            .filter(|host| !host.is_empty())
            .map(|host| quote(&host)),
        port: whole(1)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0),
        wait_seconds: whole(2).unwrap_or(0),
    }
}

fn extranonces(e1: Option<&Value>, e2_size: Option<&Value>) -> Result<Extranonces, String> {
    let text = e1
        .and_then(Value::as_str)
        .ok_or("extranonce1 is no string")?;
    let e1 = Extranonce1::from_hex(text).ok_or_else(|| {
        format!(
            "extranonce1 is {:?}, not hex of at most {MAX_EXTRANONCE} bytes",
            quote(text)
        )
    })?;
    // Lumerin writes it as a float; others send negative or huge values (compat Q24).
    let size = as_number(e2_size).ok_or("the size of extranonce2 is no number")?;
    let e2_size = to_whole(size)
        .and_then(|size| u8::try_from(size).ok())
        .filter(|size| usize::from(*size) <= MAX_EXTRANONCE)
        .ok_or_else(|| {
            format!(
                "the size of extranonce2 is {size}, not a whole number from 0 to {MAX_EXTRANONCE}"
            )
        })?;
    Ok(Extranonces { e1, e2_size })
}

fn outcome(line: &Envelope<'_>) -> Outcome {
    let parse = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let result: Option<Value> = parse(line.result);
    let error: Option<Value> = parse(line.error);
    let reason: Option<Value> = parse(line.reject_reason);
    match result {
        Some(Value::Bool(true)) => Outcome::True,
        Some(Value::Array(list)) if !has_content(error.as_ref()) => subscription(&list),
        Some(Value::Object(granted)) if !has_content(error.as_ref()) => {
            Outcome::Configured(granted_mask(&granted))
        }
        None | Some(Value::Null | Value::Bool(false)) => Outcome::Rejected(reject(error, reason)),
        Some(_) if has_content(error.as_ref()) => Outcome::Rejected(reject(error, reason)),
        Some(other) => Outcome::Other(quote(&other.to_string())),
    }
}

fn has_content(error: Option<&Value>) -> bool {
    match error {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Bool(true) | Value::Number(_)) => true,
    }
}

/// `[subscriptions, extranonce1, size]`; some pools leave the subscriptions out (compat Q9).
fn subscription(list: &[Value]) -> Outcome {
    let [.., e1, e2_size] = list else {
        return Outcome::Other(format!("a list of {}", list.len()));
    };
    // If there are two elements, both may be strings, with the size in hex or decimal as the second.
    extranonces(Some(e1), Some(e2_size)).map_or_else(Outcome::Other, Outcome::Subscribed)
}

fn granted_mask(granted: &serde_json::Map<String, Value>) -> Option<VersionMask> {
    let rolling = granted.get("version-rolling").and_then(Value::as_bool)?;
    let mask = granted
        .get("version-rolling.mask")
        .and_then(Value::as_str)
        .and_then(parse_word)?;
    rolling.then_some(VersionMask(mask))
}

/// An error as array, object, string or ckpool's `reject-reason` (compat Q21, Q56).
fn reject(error: Option<Value>, reason: Option<Value>) -> Reject {
    let text = |value: Option<&Value>| {
        value
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(quote)
    };
    let (code, message) = match &error {
        Some(Value::Array(list)) => (list.first().and_then(Value::as_i64), text(list.get(1))),
        Some(Value::Object(fields)) => (
            fields.get("code").and_then(Value::as_i64),
            text(fields.get("message")),
        ),
        Some(Value::Number(number)) => (number.as_i64(), None),
        Some(Value::String(_)) => (None, text(error.as_ref())),
        Some(Value::Null | Value::Bool(_)) | None => (None, None),
    };
    let message = message.or_else(|| text(reason.as_ref()));
    Reject {
        code: code.unwrap_or(20),
        message: message.map_or(Cow::Borrowed("Rejected by the pool"), Cow::Owned),
    }
}

/// A whole number that fits 32 bits; a fraction is dropped, because it is noise of the peer's number format.
fn to_whole(number: f64) -> Option<u32> {
    let fits = number >= 0.0 && number <= f64::from(u32::MAX);
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked and there is no other way from f64"
    )]
    fits.then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::codec::decode_pool;

    fn read(line: &str) -> FromPool {
        decode_pool(line.as_bytes()).unwrap()
    }

    fn answer(rest: &str) -> Outcome {
        match read(&format!(r#"{{"id":1,{rest}}}"#)) {
            FromPool::Response { id: 1, outcome } => outcome,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_form_of_rejection_is_read_as_one() {
        let refusal = |rest: &str| match answer(rest) {
            Outcome::Rejected(reject) => (reject.code, reject.message.into_owned()),
            other => panic!("{other:?}"),
        };
        let low = (23, "Low".to_owned());
        assert_eq!(refusal(r#""result":null,"error":[23,"Low",null]"#), low);
        assert_eq!(
            refusal(r#""result":null,"error":{"code":23,"message":"Low"}"#),
            low
        );
        assert_eq!(
            refusal(r#""result":false,"error":"Low""#),
            (20, "Low".into())
        );
        let ckpool = r#""reject-reason":"Above target","result":false,"error":null"#;
        assert_eq!(refusal(ckpool), (20, "Above target".into()));
        assert_eq!(refusal(r#""result":false,"error":null"#).0, 20);
        assert_eq!(refusal(r#""error":[-3,"Method not found",null]"#).0, -3);
        assert_eq!(refusal(r#""result":[],"error":true"#).0, 20);
        assert_eq!(answer(r#""result":true"#), Outcome::True);
        assert_eq!(answer(r#""result":true,"error":[]"#), Outcome::True);
        assert_eq!(
            answer(r#""method":"mining.submit","result":true,"error":null"#),
            Outcome::True
        );
        let repeated = r#""method":"mining.submit","result":null,"error":[23,"Low",null]"#;
        assert_eq!(refusal(repeated), low);
    }

    #[test]
    fn every_form_of_subscribe_answer_is_read() {
        let got = |rest: &str| match answer(&format!(r#""result":{rest},"error":null"#)) {
            Outcome::Subscribed(e) => Some((e.e1.to_string(), e.e2_size)),
            _ => None,
        };
        assert_eq!(
            got(r#"[[["mining.notify","x"]],"0a0b",8]"#),
            Some(("0a0b".into(), 8))
        );
        let nicehash = r#"[[["mining.set_difficulty","s"],["mining.notify","s"]],"",4]"#;
        assert_eq!(got(nicehash), Some((String::new(), 4)));
        assert_eq!(got(r#"[null,"0a",4.0]"#), Some(("0a".into(), 4)));
        for bad in [
            r#"[[],"0a",-1]"#,
            r#"[[],"0a",99999]"#,
            r#"[[],"0",4]"#,
            r#"["x"]"#,
            r#""Initialising""#,
        ] {
            assert_eq!(got(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_part_of_a_notify_is_checked() {
        let hash = "00".repeat(32);
        let line = |job: &str, hash: &str, branches: &str, rest: &str| {
            read(&format!(
                r#"{{"id":null,"jsonrpc":"2.0","method":"mining.notify","params":[{job},"{hash}","01","02",{branches},"20000000","1d00ffff","64a1b2c3"{rest}]}}"#
            ))
        };
        let FromPool::Notify(notify) = line(r#""0xc0_1""#, &hash, "[]", ",7,null,false") else {
            panic!()
        };
        assert_eq!((notify.job_id.as_str(), notify.clean), ("0xc0_1", false));
        let FromPool::Notify(notify) = line("17", &hash, "[]", "") else {
            panic!()
        };
        assert_eq!((notify.job_id.as_str(), notify.clean), ("17", true));
        let many = format!("[{}]", vec![format!("{hash:?}"); 33].join(","));
        for bad in [
            line("[]", &hash, "[]", ""),
            line("\"1\"", "00", "[]", ""),
            line("\"1\"", &hash, "[\"00\"]", ""),
            line("\"1\"", &hash, &many, ""),
            line("\"1\"", &hash, "null", ""),
        ] {
            assert!(
                matches!(
                    bad,
                    FromPool::Invalid {
                        method: "mining.notify",
                        ..
                    }
                ),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn reconnects_with_and_without_an_address_are_read() {
        let to = |params: &str| match read(&format!(
            r#"{{"method":"client.reconnect","params":{params}}}"#
        )) {
            FromPool::Reconnect {
                host,
                port,
                wait_seconds,
            } => (host, port, wait_seconds),
            other => panic!("{other:?}"),
        };
        assert_eq!(to("[]"), (None, None, 0));
        assert_eq!(to(r#"["h","3333",5]"#), (Some("h".into()), Some(3333), 5));
        assert_eq!(to(r#"["",0,-1]"#), (None, None, 0));
        assert_eq!(to(r#"["h",99999,1e99]"#), (Some("h".into()), None, 0));
    }

    #[test]
    fn difficulties_may_have_any_form_but_must_be_positive() {
        let got = |params: &str| match read(&format!(
            r#"{{"method":"mining.set_difficulty","params":{params}}}"#
        )) {
            FromPool::SetDifficulty(difficulty) => Some(difficulty.get()),
            _ => None,
        };
        assert_eq!(got("[9427.960695338843]"), Some(9427.960695338843));
        assert_eq!(got("[0.00050000000000000001]"), Some(0.0005));
        assert_eq!(got("[\"16\"]"), Some(16.0));
        for bad in ["[]", "[0]", "[-1]", "[null]", "{}"] {
            assert_eq!(got(bad), None, "{bad}");
        }
    }
}
