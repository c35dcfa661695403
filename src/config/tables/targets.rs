//! `notify.targets`: each entry with the keys that its kind needs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Entry, Hidden, Reading, Table, display_name, join, quote, time};
use crate::config::kind::choice::Flag;
use crate::config::kind::{Kind as _, list, one_line};
use crate::config::notify::{
    MOST_TARGETS, QuietHours, Target, TargetKind, WEB_ADDRESS, is_web_address,
};
use crate::trouble::{CATALOGUE, Level};

/// The longest address or token, in characters.
const LONGEST: usize = 1024;
/// The longest body of a webhook, in characters.
const LONGEST_BODY: usize = 8192;
/// The maximum number of headers of a webhook.
const MOST_HEADERS: usize = 16;

/// Headers that every request already has.
const OWN_HEADERS: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

/// `notify.targets`
pub(in crate::config) const TARGETS: Table<BTreeMap<String, Target>> = Table {
    allowed: "targets, such as {\"phone\": {\"kind\": \"ntfy\", \"url\": \"https://ntfy.sh/my-topic\"}}",
    is_list: false,
    most: MOST_TARGETS,
    read: targets,
};

const KEYS: [&str; 11] = [
    "kind", "enabled", "url", "token", "chat_id", "user", "headers", "body", "level", "except",
    "quiet",
];

fn targets(reading: &mut Reading<'_>) -> BTreeMap<String, Target> {
    reading.each(|number, name, value, reading| {
        let place = join("", name);
        if !display_name(&json!(name)).is_ok_and(|name| !name.is_empty()) {
            let allowed = "a name on one line of 1 to 64 characters".to_owned();
            reading.note(number, place, quote(&json!(name)), allowed);
            return None;
        }
        let mut entry = reading.entry(number, place, value, &KEYS);
        let kind = entry.need("kind", kind);
        let enabled = entry.get("enabled", |value| Flag(true).read(value));
        let url = match kind.and_then(TargetKind::usual_url) {
            Some(usual) => entry.get("url", url).unwrap_or_else(|| usual.to_owned()),
            None if kind == Some(TargetKind::Ntfy) => {
                entry.need("url", topic_url).unwrap_or_default()
            }
            None => entry.need("url", url).unwrap_or_default(),
        };
        let needs = kind.map(TargetKind::needs).unwrap_or_default();
        let mut secret = |key| {
            if needs.contains(&key) {
                entry.need(key, needed)
            } else {
                entry.get(key, text)
            }
            .unwrap_or_default()
        };
        let token = secret("token");
        let [chat, user] = ["chat_id", "user"].map(secret);
        let headers = entry.get("headers", headers).unwrap_or_default();
        let body = entry.get("body", body).unwrap_or_default();
        let level = entry.get("level", level).unwrap_or(Level::Warning);
        let except = entry.get("except", except).unwrap_or_default();
        let quiet = quiet(&mut entry);
        let right = entry.is_right();
        Some((
            name.to_owned(),
            Target {
                kind: kind.filter(|_| right)?,
                enabled: enabled.unwrap_or(true),
                url: Hidden(url),
                token: Hidden(token),
                to: Hidden(if chat.is_empty() { user } else { chat }),
                headers,
                body: Hidden(body),
                level,
                except,
                quiet,
            },
        ))
    })
}

fn kind(value: &Value) -> Result<TargetKind, String> {
    let found = TargetKind::ALL
        .into_iter()
        .find(|kind| value.as_str() == Some(kind.name()));
    found.ok_or_else(|| {
        TargetKind::ALL
            .map(|kind| format!("\"{}\"", kind.name()))
            .join(" or ")
    })
}

fn url(value: &Value) -> Result<String, String> {
    let text = value.as_str().and_then(|text| one_line(text, LONGEST));
    let text = text.map(str::trim).filter(|text| is_web_address(text));
    text.map(str::to_owned)
        .ok_or_else(|| WEB_ADDRESS.to_owned())
}

/// The address of a topic: DPMP sends to the server and names the topic.
fn topic_url(value: &Value) -> Result<String, String> {
    let url = url(value)?;
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let topic = path.trim_end_matches('/');
    let is_topic = !topic.is_empty() && !topic.contains(['/', '?', '#']);
    is_topic
        .then_some(url)
        .ok_or_else(|| "the address of a topic, such as https://ntfy.sh/my-topic".to_owned())
}

fn text(value: &Value) -> Result<String, String> {
    // A chat's number may be written without quotes.
    let text = match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    text.as_deref()
        .and_then(|text| one_line(text, LONGEST))
        .map(|text| text.trim().to_owned())
        .ok_or_else(|| format!("one line of text, at most {LONGEST} characters"))
}

fn needed(value: &Value) -> Result<String, String> {
    let found = text(value)?;
    let fits = !found.is_empty();
    fits.then_some(found)
        .ok_or_else(|| "what the service gave you".to_owned())
}

fn headers(value: &Value) -> Result<Vec<(String, Hidden)>, String> {
    let allowed = || {
        format!(
            "an object of at most {MOST_HEADERS} headers, such as {{\"X-Key\": \"…\"}}, without those that say where a request goes and how long it is"
        )
    };
    let map = value.as_object().filter(|map| map.len() <= MOST_HEADERS);
    let one = |(name, value): (&String, &Value)| {
        let is_name = !name.is_empty()
            && !OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own))
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let value = value.as_str().filter(|text| {
            text.len() <= LONGEST
                && text
                    .bytes()
                    .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        });
        value
            .filter(|_| is_name)
            .map(|value| (name.clone(), Hidden(value.to_owned())))
    };
    let headers = map.and_then(|map| map.iter().map(one).collect());
    headers.ok_or_else(allowed)
}

fn body(value: &Value) -> Result<String, String> {
    let text = value
        .as_str()
        .filter(|text| text.chars().count() <= LONGEST_BODY);
    text.map(str::to_owned)
        .ok_or_else(|| format!("text of at most {LONGEST_BODY} characters"))
}

fn level(value: &Value) -> Result<Level, String> {
    let levels = [Level::Error, Level::Warning, Level::Info];
    let found = levels
        .into_iter()
        .find(|level| value.as_str() == Some(level.name()));
    found.ok_or_else(|| "\"error\", \"warning\" or \"info\"".to_owned())
}

fn except(value: &Value) -> Result<Vec<String>, String> {
    let names = list(value, 100, |item| {
        item.as_str()
            .and_then(|text| one_line(text, 64))
            .map(str::trim)
            .filter(|name| CATALOGUE.iter().any(|kind| kind.name == *name))
            .map(str::to_owned)
    });
    names.ok_or_else(|| "a list of names from docs/troubles.md, such as [\"no_miner\"]".to_owned())
}

fn quiet(entry: &mut Entry<'_, '_>) -> Option<QuietHours> {
    entry.get("quiet", |value| {
        let allowed = || {
            "an object such as {\"from\": \"23:00\", \"to\": \"07:00\", \"level\": \"error\"}"
                .to_owned()
        };
        let map = value.as_object().ok_or_else(allowed)?;
        if map
            .keys()
            .any(|key| !["from", "to", "level"].contains(&key.as_str()))
        {
            return Err(allowed());
        }
        let at = |key, is_end| {
            map.get(key)
                .and_then(|value| time(value, is_end).ok())
                .ok_or_else(allowed)
        };
        Ok(QuietHours {
            from: at("from", false)?,
            to: at("to", true)?,
            level: map.get("level").map_or(Ok(Level::Error), level)?,
        })
    })
}

/// The targets, one per line, including secrets, for comparing.
pub(in crate::config) fn compared(targets: &BTreeMap<String, Target>) -> String {
    let line = |(name, target): (&String, &Target)| format!("{}: {}", json!(name), target.json());
    super::lines(targets.iter().map(line))
}
