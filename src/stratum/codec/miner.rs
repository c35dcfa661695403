//! Lines from miners.

use serde_json::Value;

use super::decode::{DecodeError, Envelope, Params, parse_word, quote};
use crate::stratum::message::{Configure, FromMiner, MinerCall, Submit};
use crate::units::{Difficulty, Extranonce2, JobId, VersionMask};

/// The longest user name, password or user agent that is accepted, in bytes (compat Q33).
pub(super) const LONGEST_NAME: usize = 512;

/// How many extensions one `mining.configure` may request.
const MOST_EXTENSIONS: usize = 16;

pub(super) fn decode(line: &Envelope<'_>) -> Result<FromMiner, DecodeError> {
    let Some(method) = line.method() else {
        return Ok(FromMiner::NoAnswer);
    };
    let id = line.id()?;
    let params = line.params();
    let call = match method.as_ref() {
        "mining.submit" => submit(&params).map_or_else(
            |problem| MinerCall::UnreadableSubmit { problem },
            MinerCall::Submit,
        ),
        "mining.configure" => valid("mining.configure", configure(&params)),
        "mining.subscribe" => valid("mining.subscribe", Ok(subscribe(&params))),
        "mining.authorize" => valid("mining.authorize", authorize(&params)),
        "mining.extranonce.subscribe" => MinerCall::SubscribeExtranonce,
        "mining.suggest_difficulty" => {
            valid("mining.suggest_difficulty", suggest_difficulty(&params))
        }
        // ckpool accepts the number there, too (compat Q5).
        other if other.starts_with("mining.suggest_difficulty(") => valid(
            "mining.suggest_difficulty",
            suggested(other.split('(').nth(1).and_then(number_in)),
        ),
        "mining.suggest_target" => valid("mining.suggest_target", suggest_target(&params)),
        "mining.ping" => MinerCall::Ping,
        // AxeOS answers a ping with this method (compat Q27).
        "pong" | "mining.pong" => return Ok(FromMiner::NoAnswer),
        other => MinerCall::Unknown {
            method: quote(other),
        },
    };
    Ok(FromMiner::Request { id, call })
}

fn valid(method: &'static str, call: Result<MinerCall, String>) -> MinerCall {
    call.unwrap_or_else(|problem| MinerCall::Invalid { method, problem })
}

fn submit(params: &Params<'_>) -> Result<Submit, String> {
    let e2 = params.text(2, "extranonce2")?;
    // The first parameter, the user name, is ignored, so it can be anything (compat Q67).
    Ok(Submit {
        job: job_id(&params.text(1, "job id")?),
        e2: Extranonce2::from_hex(&e2)
            .ok_or_else(|| format!("extranonce2 is {:?}, not hex of a usable size", quote(&e2)))?,
        ntime: params.word(3, "ntime")?,
        nonce: params.word(4, "nonce")?,
        version_bits: match params.0.get(5).map(|raw| raw.get()) {
            None | Some("null" | "\"\"") => None,
            Some(_) => Some(params.word(5, "version bits")?),
        },
    })
}

/// Our own ids are plain hex; anything else cannot be one of ours.
fn job_id(text: &str) -> Option<JobId> {
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(text, 16).ok().map(JobId))?
}

fn configure(params: &Params<'_>) -> Result<MinerCall, String> {
    let Some(Value::Array(extensions)) = params.value(0) else {
        return Err("the list of extensions is missing".into());
    };
    if extensions.len() > MOST_EXTENSIONS {
        return Err(format!("more than {MOST_EXTENSIONS} extensions"));
    }
    let options = params.value(1);
    let mut asked = Configure::default();
    for extension in extensions.iter().filter_map(Value::as_str) {
        match extension {
            "version-rolling" => {
                let mask = options
                    .as_ref()
                    .and_then(|options| options.get("version-rolling.mask"));
                // A miner that names no mask can roll whatever the pool allows.
                let mask = mask
                    .and_then(Value::as_str)
                    .map_or(Some(u32::MAX), parse_word);
                let mask = mask.ok_or("version-rolling.mask is not eight hex digits")?;
                asked.version_rolling = Some(VersionMask(mask));
            }
            "subscribe-extranonce" => asked.subscribe_extranonce = true,
            other => asked.unsupported.push(quote(other)),
        }
    }
    Ok(MinerCall::Configure(asked))
}

fn subscribe(params: &Params<'_>) -> MinerCall {
    let user_agent = params.text(0, "user agent").ok();
    MinerCall::Subscribe {
        user_agent: user_agent
            .filter(|text| !text.is_empty())
            .map(|text| quote(&text)),
    }
}

fn authorize(params: &Params<'_>) -> Result<MinerCall, String> {
    let user = params.text(0, "user name")?;
    let password = params.text(1, "password").unwrap_or_default();
    if user.len() > LONGEST_NAME || password.len() > LONGEST_NAME {
        return Err(format!(
            "user name or password longer than {LONGEST_NAME} bytes"
        ));
    }
    Ok(authorize_as(&user, &password))
}

pub(super) fn authorize_as(user: &str, password: &str) -> MinerCall {
    MinerCall::Authorize {
        user: user.to_owned(),
        password: password.to_owned(),
    }
}

fn suggest_difficulty(params: &Params<'_>) -> Result<MinerCall, String> {
    suggested(Some(params.number(0, "difficulty")?))
}

fn number_in(text: &str) -> Option<f64> {
    text.trim_end_matches(')').trim().parse().ok()
}

fn suggested(number: Option<f64>) -> Result<MinerCall, String> {
    let number = number.ok_or("difficulty is no number")?;
    let difficulty = Difficulty::new(number)
        .ok_or_else(|| format!("difficulty is {number:e}, not above 0 or too high"))?;
    Ok(MinerCall::SuggestDifficulty(difficulty))
}

fn suggest_target(params: &Params<'_>) -> Result<MinerCall, String> {
    let text = params.text(0, "target")?;
    let mut hash = [0; 32];
    hex::decode_to_slice(&*text, &mut hash).map_err(|_| "target is not 64 hex digits")?;
    let difficulty = crate::stratum::job::BlockHash(hash).difficulty();
    let difficulty = Difficulty::new(difficulty).ok_or("target is zero")?;
    Ok(MinerCall::SuggestDifficulty(difficulty))
}

#[cfg(test)]
mod tests {
    use crate::stratum::codec::{DecodeError, decode_miner};
    use crate::stratum::message::{FromMiner, MinerCall};

    fn call(line: &str) -> MinerCall {
        match decode_miner(line.as_bytes()) {
            Ok(FromMiner::Request { call, .. }) => call,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_id_is_echoed_unchanged() {
        for id in ["1", "\"xnsub\"", "null", "-7", "1.50", "\"\\u00e4\""] {
            let line = format!(r#"{{"id":{id},"method":"mining.ping","params":[]}}"#);
            match decode_miner(line.as_bytes()) {
                Ok(FromMiner::Request { id: found, .. }) => assert_eq!(found.as_json(), id),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(
            decode_miner(br#"{"id":[1],"method":"x"}"#),
            Err(DecodeError::BadId)
        );
        let long = format!(r#"{{"id":"{}","method":"x"}}"#, "a".repeat(300));
        assert_eq!(decode_miner(long.as_bytes()), Err(DecodeError::BadId));
    }

    #[test]
    fn shares_with_five_or_six_parameters_are_read() {
        let share = |params: &str| {
            call(&format!(
                r#"{{"id":4,"method":"mining.submit","params":{params}}}"#
            ))
        };
        let MinerCall::Submit(five) = share(r#"["w","1f","00000001","64a1b2c3","DEADBEEF"]"#)
        else {
            panic!()
        };
        assert_eq!(five.job.unwrap().to_string(), "1f");
        assert_eq!(
            (five.ntime, five.nonce, five.version_bits),
            (0x64a1_b2c3, 0xdead_beef, None)
        );
        let MinerCall::Submit(six) = share(r#"["w","zz","00","1","2","1fffe000"]"#) else {
            panic!()
        };
        assert_eq!((six.job, six.version_bits), (None, Some(0x1fff_e000)));
        for none in ["null", r#""""#] {
            let line = format!(r#"["w","zz","00","1","2",{none}]"#);
            let MinerCall::Submit(six) = share(&line) else {
                panic!("{line}")
            };
            assert_eq!(six.version_bits, None);
        }
        for name in ["null", "7", "{}", "\"\"", "[\"w\"]", "true"] {
            let line = format!(r#"[{name},"1f","00000001","64a1b2c3","DEADBEEF"]"#);
            let MinerCall::Submit(named) = share(&line) else {
                panic!("{line}")
            };
            assert_eq!(named, five, "{line}");
        }
        for bad in [
            r#"[]"#,
            r#"["w","1","00","1"]"#,
            r#"["w","1","0","1","2"]"#,
            r#"["w","1","00",1,2]"#,
            r#"["w","1","00","123456789","2"]"#,
            r#"["w","1","00","+1","2"]"#,
            r#"{"a":1}"#,
            "7",
        ] {
            assert!(
                matches!(share(bad), MinerCall::UnreadableSubmit { .. }),
                "{bad}"
            );
        }
    }

    #[test]
    fn invalid_input_is_named_and_http_closes_the_connection() {
        for bad in [
            "",
            "[]",
            "{ id: null }",
            "{\"id\":1",
            "\u{1}\u{2}",
            "{\"id\":1}}",
        ] {
            let error = decode_miner(bad.as_bytes()).unwrap_err();
            assert!(
                matches!(error, DecodeError::NotJson(_)) && !error.is_fatal(),
                "{bad}: {error}"
            );
        }
        assert!(decode_miner(b"GET / HTTP/1.0").unwrap_err().is_fatal());
        assert!(decode_miner(b"\xff\xfe{}").is_err());
        assert!(decode_miner(b"QUIT").unwrap_err().is_fatal());
        let deep = format!("{}{}", "{\"params\":", "[".repeat(100_000));
        assert!(decode_miner(deep.as_bytes()).is_err());
    }

    #[test]
    fn names_that_are_not_utf8_are_accepted() {
        let user = |name: &[u8]| {
            let line = [
                &b"{\"id\":1,\"method\":\"mining.authorize\",\"params\":[\"w."[..],
                name,
                b"\",\"x\"]}",
            ];
            match decode_miner(&line.concat()) {
                Ok(FromMiner::Request {
                    call: MinerCall::Authorize { user, .. },
                    ..
                }) => user,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(user("Büro".as_bytes()), "w.Büro");
        assert_eq!(user(b"B\xfcro"), "w.Büro");
        assert_eq!(user(b"caf\xe9"), "w.café");
        assert_eq!(user(b"\x81\xff"), "w.\u{fffd}ÿ");
        // GBK, where the second byte looks like a backslash.
        assert_eq!(user(b"\x81\\\x81\\"), "w.\u{fffd}\u{fffd}");
    }

    #[test]
    fn suggestions_are_read_in_all_forms() {
        let suggested = |params: &str| {
            let line =
                format!(r#"{{"id":1,"method":"mining.suggest_difficulty","params":{params}}}"#);
            match call(&line) {
                MinerCall::SuggestDifficulty(difficulty) => Some(difficulty.get()),
                _ => None,
            }
        };
        assert_eq!(suggested("[1000]"), Some(1000.0));
        assert_eq!(suggested("[\"512.5\"]"), Some(512.5));
        assert_eq!(suggested("[[42]]"), Some(42.0));
        assert_eq!(suggested("[0]"), None);
        assert_eq!(suggested("[]"), None);
        for (method, expected) in [
            ("(1024", Some(1024.0)),
            ("(0.5)", Some(0.5)),
            ("(x", None),
            ("(", None),
        ] {
            let line =
                format!(r#"{{"id":1,"method":"mining.suggest_difficulty{method}","params":[]}}"#);
            let got = match call(&line) {
                MinerCall::SuggestDifficulty(difficulty) => Some(difficulty.get()),
                _ => None,
            };
            assert_eq!(got, expected, "{method}");
        }
    }
}
