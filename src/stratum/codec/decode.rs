//! What reading from miners and from pools has in common: the JSON-RPC envelope and its parameters.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::stratum::message::RequestId;

/// The longest request id that is echoed, in bytes of JSON.
const LONGEST_ID: usize = 256;

/// How many characters of a peer's text go into messages and logs.
const LONGEST_QUOTE: usize = 80;

/// Why a line is not a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not a JSON object; with the parser's words.
    NotJson(String),
    /// An id that is not a number, string or null, or is too long.
    BadId,
    /// A web browser, a proxy or a scanner speaks HTTP (compat Q26).
    Http,
    /// A load balancer's PROXY header, from an address that may not send one.
    ProxyHeader,
}

impl DecodeError {
    /// Whether reading on is pointless.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Http | Self::ProxyHeader => true,
            Self::NotJson(_) | Self::BadId => false,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(problem) => write!(f, "not a JSON object: {problem}"),
            Self::BadId => {
                f.write_str("the id is neither a number, a string nor null, or is too long")
            }
            Self::Http => f.write_str("an HTTP request"),
            Self::ProxyHeader => f.write_str(
                "a PROXY header, though its address is not in listen.proxy_protocol_from",
            ),
        }
    }
}

/// A line split into its parts; the values are still raw.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    /// Present in an answer.
    #[serde(borrow, default)]
    pub(super) result: Option<&'a RawValue>,
    /// Present in an answer; null or missing if there is no error.
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    /// ckpool's reason for a refusal.
    #[serde(borrow, default, rename = "reject-reason")]
    pub(super) reject_reason: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, DecodeError> {
        let line = text.as_bytes();
        if [
            &b"GET "[..],
            b"POST ",
            b"HEAD ",
            b"PUT ",
            b"OPTIONS ",
            b"CONNECT ",
        ]
        .iter()
        .any(|verb| line.starts_with(verb))
        {
            return Err(DecodeError::Http);
        }
        // Version 1 of the header, and the non-blank part of version 2's signature.
        if line.starts_with(b"PROXY ") || line == b"QUIT" {
            return Err(DecodeError::ProxyHeader);
        }
        // serde would read an array as the fields in their order.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err(DecodeError::NotJson(
                "it does not begin with a brace".into(),
            ));
        }
        serde_json::from_str(text).map_err(|error| DecodeError::NotJson(error.to_string()))
    }

    /// The id as written; `null` if there is none.
    pub(super) fn id(&self) -> Result<RequestId, DecodeError> {
        let Some(id) = self.id else {
            return Ok(RequestId("null".into()));
        };
        let id = id.get();
        if id.len() > LONGEST_ID || id.starts_with(['{', '[', 't', 'f']) {
            return Err(DecodeError::BadId);
        }
        Ok(RequestId(id.into()))
    }

    /// The id as one of our own counters; AntPool and others return the number as a string. As a float, it is read
    /// without its zero fraction.
    pub(super) fn counter(&self) -> Option<u64> {
        let text = self.id?.get().trim_matches('"').trim();
        let whole = text
            .split_once('.')
            .filter(|(_, rest)| rest.bytes().all(|digit| digit == b'0'));
        whole.map_or(text, |(whole, _)| whole).parse().ok()
    }

    /// The method's name; `None` in an answer, even one that repeats the method of its request.
    pub(super) fn method(&self) -> Option<Cow<'a, str>> {
        let answers = self.result.is_some() || self.error.is_some();
        if answers && self.params.is_none() {
            return None;
        }
        serde_json::from_str(self.method?.get()).ok()
    }

    /// The parameters; empty if there are none or they are not a list.
    pub(super) fn params(&self) -> Params<'a> {
        let list = self
            .params
            .and_then(|params| serde_json::from_str(params.get()).ok());
        Params(list.unwrap_or_default())
    }
}

/// A list of parameters as written in the line, with readers that say what is wrong. The parameters of shares and jobs
/// are read without copies.
pub(super) struct Params<'a>(pub(super) Vec<&'a RawValue>);

impl<'a> Params<'a> {
    /// A parameter of any kind.
    pub(super) fn value(&self, index: usize) -> Option<Value> {
        serde_json::from_str(self.0.get(index)?.get()).ok()
    }

    pub(super) fn text(&self, index: usize, name: &str) -> Result<Cow<'a, str>, String> {
        let raw = self
            .0
            .get(index)
            .ok_or_else(|| format!("{name} is missing"))?;
        text_of(raw).ok_or_else(|| format!("{name} is no string"))
    }

    /// At most eight hex digits, as in ntime, nonce, version, nbits and masks.
    pub(super) fn word(&self, index: usize, name: &str) -> Result<u32, String> {
        let text = self.text(index, name)?;
        parse_word(&text)
            .ok_or_else(|| format!("{name} is {:?}, not eight hex digits", quote(&text)))
    }

    pub(super) fn bytes(&self, index: usize, name: &str) -> Result<Vec<u8>, String> {
        hex::decode(&*self.text(index, name)?)
            .map_err(|error| format!("{name} is not hex: {error}"))
    }

    /// A number, even if the peer wrote it as a string or put it into a list (compat Q5, Q22).
    pub(super) fn number(&self, index: usize, name: &str) -> Result<f64, String> {
        let value = self.value(index);
        let value = match &value {
            Some(Value::Array(inner)) => inner.first(),
            other => other.as_ref(),
        };
        as_number(value).ok_or_else(|| format!("{name} is no number"))
    }
}

/// The text of a JSON string; `None` if it is not one.
pub(super) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inside))
    }
}

/// A JSON number, or a string that holds one.
pub(super) fn as_number(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// One to eight hex digits, with or without `0x`.
pub(super) fn parse_word(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// The text of a line. Names and messages that are not UTF-8 must not make a request fail: other bytes are read as
/// Latin-1, which older firmware writes, so that different names stay different.
pub(super) fn readable(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(from_latin1(line)),
    }
}

fn from_latin1(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len() + 16);
    for chunk in line.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| match byte {
            // Control characters, which do not occur in text.
            0..=0x9f => char::REPLACEMENT_CHARACTER,
            letter => char::from(*letter),
        }));
    }
    text
}

/// The same for text in GBK or another two-byte encoding, in which a character's second byte may look like a backslash:
/// each such character is replaced.
pub(super) fn without_double_bytes(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        if byte.is_ascii() {
            text.push(char::from(*byte));
        } else {
            bytes.next();
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

/// A peer's text, cut to fit a log line.
pub(super) fn quote(text: &str) -> String {
    text.chars().take(LONGEST_QUOTE).collect()
}
