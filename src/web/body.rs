//! What a client of the API sends, in JSON.

use std::io::Read;

use rouille::Request;
use serde::de::DeserializeOwned;

use crate::web::error::{ApiError, Code};

/// Reads the body of a request, whose size the server has limited.
///
/// # Errors
/// If it is not JSON of this form.
pub(super) fn read<T: DeserializeOwned>(request: &Request) -> Result<T, ApiError> {
    let mut bytes = Vec::new();
    let mut body = request
        .data()
        .ok_or_else(|| ApiError::new(Code::Failed, "The body of the request was already read."))?;
    body.read_to_end(&mut bytes)
        .map_err(|error| ApiError::bad_request(format!("The body cannot be read: {error}")))?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::bad_request(explain(&error, &bytes)))
}

/// What is wrong with a body, in plain words.
fn explain(error: &serde_json::Error, body: &[u8]) -> String {
    if !error.is_data() {
        return format!("The body is not valid JSON: {error}.");
    }
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(text, _)| text);
    let quoted = |text: &str| -> Vec<String> {
        let parts = text.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    if text.starts_with("unknown field ") {
        let mut names = quoted(text);
        let found = names.remove(0);
        return match names.as_slice() {
            [] => format!("There is no field {found} here. No field is allowed."),
            names => format!(
                "There is no field {found} here. Allowed: {}.",
                names.join(", ")
            ),
        };
    }
    if let [field] = quoted(text).as_slice() {
        if text.starts_with("missing field ") {
            return format!("The field {field} is missing.");
        }
        if text.starts_with("duplicate field ") {
            return format!("The field {field} appears twice.");
        }
    }
    let place = match place(body, error.line(), error.column()) {
        place if place.is_empty() => "The body".to_owned(),
        place => place,
    };
    let kinds = ["invalid type: ", "invalid value: ", "invalid length "];
    let wrong = kinds.iter().find_map(|kind| text.strip_prefix(kind));
    match wrong.and_then(|wrong| wrong.split_once(", expected ")) {
        Some((found, expected)) => {
            format!(
                "{place} cannot be {}. Allowed: {}.",
                plain(found),
                plain(expected)
            )
        }
        None => format!("{place} cannot be used: {text}."),
    }
}

/// A value or a type, in plain words.
fn plain(kind: &str) -> &str {
    let (word, rest) = kind.split_once(' ').unwrap_or((kind, ""));
    let is_integer = |kind: &str| {
        let bits = kind.strip_prefix('u');
        bits.is_some_and(|bits| bits == "size" || bits.parse::<u8>().is_ok())
    };
    match kind {
        "map" | "a map" => "an object",
        "sequence" | "a sequence" => "a list",
        "a string" => "a text",
        "a boolean" => "true or false",
        "f64" => "a number",
        _ if word == "struct" => "an object",
        _ if is_integer(kind) => "a whole number",
        _ if word == "string" => rest,
        // For example: integer `5`.
        _ => kind.split('`').nth(1).unwrap_or(kind),
    }
}

/// The path to a place in a JSON text, which is valid up to there.
fn place(body: &[u8], line: usize, column: usize) -> String {
    let text = String::from_utf8_lossy(body);
    let lines = text.split_inclusive('\n');
    let before: String = lines.take(line).collect();
    let cut = before
        .lines()
        .last()
        .map_or(0, str::len)
        .saturating_sub(column);
    let mut keys: Vec<Option<String>> = Vec::new();
    let mut string: Option<String> = None;
    let mut last = String::new();
    let mut escaped = false;
    let end = before
        .trim_end_matches(['\r', '\n'])
        .len()
        .saturating_sub(cut);
    for (at, c) in before.char_indices() {
        if at >= end {
            break;
        }
        if let Some(mut open) = string.take() {
            if c == '"' && !escaped {
                last = open;
            } else {
                escaped = c == '\\' && !escaped;
                open.push(c);
                string = Some(open);
            }
            continue;
        }
        match c {
            '"' => string = Some(String::new()),
            '{' | '[' => keys.push(None),
            '}' | ']' => {
                keys.pop();
            }
            ':' => {
                if let Some(key) = keys.last_mut() {
                    *key = Some(std::mem::take(&mut last));
                }
            }
            _ => (),
        }
    }
    keys.into_iter().flatten().collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Body {
        number: u32,
    }

    fn read_body(text: &str) -> Result<Body, ApiError> {
        read(&Request::fake_http("POST", "/", vec![], text.into()))
    }

    #[test]
    fn errors_are_explained_in_words() {
        let said = |text: &str| read_body(text).unwrap_err().message.into_owned();
        assert_eq!(
            said("{"),
            "The body is not valid JSON: EOF while parsing an object at line 1 column 1."
        );
        assert_eq!(said("5"), "The body cannot be 5. Allowed: an object.");
        assert_eq!(said("{}"), "The field number is missing.");
        assert_eq!(
            said(r#"{"number": 5, "x": 1}"#),
            "There is no field x here. Allowed: number."
        );
        for (value, found) in [
            ("\"5\"", "\"5\""),
            ("null", "null"),
            ("{}", "an object"),
            ("[]", "a list"),
        ] {
            let text = format!("{{\n \"number\": {value}}}");
            assert_eq!(
                said(&text),
                format!("number cannot be {found}. Allowed: a whole number.")
            );
        }
    }

    #[test]
    fn a_location_is_named_by_its_keys() {
        let text = b"{\"a\": {\"x\": 1, \"y:\": [\"{\\\"\"]}, \"b\":\n {\"c\": 2}}";
        assert_eq!(place(text, 1, 13), "a.x");
        assert_eq!(place(text, 1, 24), "a.y:");
        assert_eq!(place(text, 2, 8), "b.c");
        assert_eq!(place(text, 2, 9), "b");
    }

    #[test]
    fn a_body_must_have_the_expected_form() {
        assert_eq!(read_body(r#"{"number": 5}"#), Ok(Body { number: 5 }));
        for wrong in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"number": "5"}"#,
            r#"{"number":5,"x":1}"#,
        ] {
            assert_eq!(
                read_body(wrong).unwrap_err().code,
                Code::BadRequest,
                "{wrong}"
            );
        }
    }
}
