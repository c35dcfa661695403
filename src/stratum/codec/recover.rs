//! Requests of miners whose line is not valid JSON because the firmware does not escape what its owner typed (compat
//! Q28). The miner gets an answer, and is accepted if its name can be determined.

use super::miner::{LONGEST_NAME, authorize_as};
use crate::stratum::message::{FromMiner, MinerCall, RequestId};

/// The longest number that is accepted as an id, in bytes.
const LONGEST_NUMBER: usize = 20;

/// Methods whose parameters are text from the owner or the firmware.
const METHODS: [&str; 6] = [
    "mining.authorize",
    "mining.subscribe",
    "mining.configure",
    "mining.suggest_difficulty",
    "mining.suggest_target",
    "mining.extranonce.subscribe",
];

/// The request that a line was meant to be; `None` if its id or method cannot be recognized.
pub(super) fn request(line: &str, problem: &str) -> Option<FromMiner> {
    if !line.starts_with('{') {
        return None;
    }
    // What follows the parameters may be part of them.
    let (head, params) = line.split_once("\"params\"").unwrap_or((line, ""));
    let id = RequestId(id(head)?.into());
    let method = value_of(head, "\"method\"")?
        .strip_prefix('"')?
        .split_once('"')?
        .0;
    let problem = format!("not a JSON object: {problem}");
    let call = if method == "mining.submit" {
        MinerCall::UnreadableSubmit { problem }
    } else {
        let method = METHODS.into_iter().find(|known| *known == method)?;
        two_texts(params)
            .filter(|_| method == "mining.authorize")
            .map_or(
                MinerCall::Invalid { method, problem },
                |(user, password)| authorize_as(user, password),
            )
    };
    Some(FromMiner::Request { id, call })
}

/// The id as written: a whole number, or plain text.
fn id(head: &str) -> Option<&str> {
    let value = value_of(head, "\"id\"")?;
    if let Some(rest) = value.strip_prefix('"') {
        let (text, _) = rest.split_once('"')?;
        let plain = text.len() <= LONGEST_NUMBER
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        return plain.then(|| value.get(..text.len() + 2)).flatten();
    }
    let end = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let number = value.get(..end)?;
    let json = number == "0" || !number.starts_with('0');
    let usable = !number.is_empty() && number.len() <= LONGEST_NUMBER && json;
    let ends = value.get(end..)?.trim_start();
    (usable && ends.starts_with([',', '}'])).then_some(number)
}

/// What follows a key.
fn value_of<'a>(head: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = head.split_once(key)?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

/// A list of two strings with anything between their quotes, as long as it is clear where one ends and the other
/// begins.
fn two_texts(params: &str) -> Option<(&str, &str)> {
    let inside = params
        .trim_start()
        .strip_prefix(':')?
        .trim_start()
        .strip_prefix('[')?
        .trim_start()
        .strip_prefix('"')?;
    let inside = inside
        .trim_end()
        .strip_suffix('}')?
        .trim_end()
        .strip_suffix(']')?
        .trim_end()
        .strip_suffix('"')?;
    for between in ["\", \"", "\",\""] {
        let mut parts = inside.split(between);
        if let (Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next()) {
            let usable =
                |text: &str| text.len() <= LONGEST_NAME && !text.chars().any(char::is_control);
            return (!user.is_empty() && usable(user) && usable(password))
                .then_some((user, password));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::stratum::codec::decode_miner;
    use crate::stratum::message::{FromMiner, MinerCall};

    fn read(line: &str) -> Option<(String, MinerCall)> {
        match decode_miner(line.as_bytes()) {
            Ok(FromMiner::Request { id, call }) => Some((id.as_json().to_owned(), call)),
            Ok(FromMiner::NoAnswer) | Err(_) => None,
        }
    }

    #[test]
    fn a_name_with_a_quote_or_a_backslash_is_recovered() {
        for (params, user, password) in [
            (r#"["wallet.ri"g", "x"]"#, r#"wallet.ri"g"#, "x"),
            (r#"["wallet.rig", "p"w"]"#, "wallet.rig", r#"p"w"#),
            (r#"["HOME\rig\user","x"]"#, r"HOME\rig\user", "x"),
            (r#"["w\q", ""]"#, r"w\q", ""),
        ] {
            let line = format!(r#"{{"id": 3, "method": "mining.authorize", "params": {params}}}"#);
            let (id, call) = read(&line).unwrap();
            assert_eq!(id, "3");
            let expected = MinerCall::Authorize {
                user: user.to_owned(),
                password: password.to_owned(),
            };
            assert_eq!(call, expected, "{line}");
        }
    }

    #[test]
    fn an_ambiguous_line_gets_an_error_answer() {
        for params in [
            r#"["a", "b", "c"d"]"#,
            r#"["a"b"]"#,
            r#"["a"b", "c"#,
            "[\"a\"\u{1}\", \"c\"]",
            "",
        ] {
            let line =
                format!(r#"{{"id": "x-1", "method": "mining.authorize", "params": {params}}}"#);
            let (id, call) = read(&line).unwrap();
            assert_eq!(id, r#""x-1""#);
            assert!(
                matches!(
                    call,
                    MinerCall::Invalid {
                        method: "mining.authorize",
                        ..
                    }
                ),
                "{line}: {call:?}"
            );
        }
        let (_, call) = read(r#"{"params": ["w", "1""#)
            .map_or((String::new(), None), |(id, call)| (id, Some(call)));
        assert_eq!(call, None);
        let line =
            r#"{"id": 9, "method": "mining.submit", "params": ["w"x", "1", "00", "1", "2"]}"#;
        assert!(matches!(
            read(line).unwrap().1,
            MinerCall::UnreadableSubmit { .. }
        ));
        for none in [
            r#"{"id": 01, "method": "mining.authorize", "params": ["a"b", "c"]}"#,
            r#"{"id": 1x, "method": "mining.authorize", "params": ["a"b", "c"]}"#,
            r#"{"id": "a\"b", "method": "mining.authorize", "params": ["a"b", "c"]}"#,
            r#"{"id": 1, "method": "mining.autho"#,
            r#"{"id": 1, "method": "something", "params": ["a"b"]}"#,
            r#""id": 1, "method": "mining.authorize", "params": ["a"b", "c"]}"#,
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
