//! `notify`: notification targets without their secrets, messages that were sent, and test messages.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::notify::{Target, saved};
use crate::config::{self, Config};
use crate::notify;
use crate::notify::journal::Record;
use crate::notify::send::{Outcome, PATIENCE};
use crate::system::clock::now;
use crate::web::error::{Answer, ApiError};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json};

/// How many test messages may be sent in a minute.
const MOST_TESTS: usize = 12;
const MINUTE: Duration = Duration::from_secs(60);

/// `GET /api/v1/notify`
pub(in crate::web) fn show(pages: &Pages, _: &Call<'_>) -> Answer {
    let config = pages.context.live.get();
    let history: Vec<_> = pages.journal.records().iter().map(record_json).collect();
    Ok(json::respond(&json!({
        "targets": saved::without_secrets(&targets_json(&config)),
        "history": history,
        "services": services(),
    })))
}

/// Each kind of target: its name, where to find the necessary data, and its fields with examples.
fn services() -> Value {
    json!({
        "ntfy": {
            "name": "ntfy",
            "help": "In the ntfy app, subscribe to a topic nobody can guess. Only protected topics need a token.",
            "fields": {"url": "https://ntfy.sh/my-topic", "token": ""},
        },
        "telegram": {
            "name": "Telegram",
            "help": "@BotFather gives you the token. Write to your bot; \
                     `https://api.telegram.org/bot<token>/getUpdates` then shows the chat ID.",
            "fields": {"token": "", "chat_id": "987654"},
        },
        "discord": {
            "name": "Discord",
            "help": "The channel's settings have it under Integrations, Webhooks.",
            "fields": {"url": "https://discord.com/api/webhooks/…"},
        },
        "gotify": {
            "name": "Gotify",
            "help": "Create an application on your server to get a token.",
            "fields": {"url": "http://192.168.1.5:8080", "token": ""},
        },
        "pushover": {
            "name": "Pushover",
            "help": "pushover.net shows your user key, and a token once you create an application.",
            "fields": {"token": "", "user": ""},
        },
        "webhook": {
            "name": "Webhook",
            "help": "DPMP sends a POST with JSON. Leave the JSON empty for the default.",
            "fields": {"url": "http://…", "body": "{\"message\": \"{title}: {text}\"}"},
        },
        "heartbeat": {
            "name": "Heartbeat",
            "help": "DPMP calls it every minute while something is being mined. The service warns you when that stops.",
            "fields": {"url": "https://hc-ping.com/…"},
        },
    })
}

fn targets_json(config: &Config) -> Value {
    let targets = config.notify.targets.iter();
    targets
        .map(|(name, target)| (name.clone(), target.json()))
        .collect()
}

fn record_json(record: &Record) -> Value {
    json!({
        "at_ms": record.at_ms,
        "target": record.target,
        "id": record.id,
        "title": record.title,
        "result": record.fate.name(),
        "problem": record.problem,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: String,
    /// Null or left out: the saved one.
    target: Option<Value>,
}

/// `POST /api/v1/notify/test`
pub(in crate::web) fn test(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: Body = body::read(call.request)?;
    let config = pages.context.live.get();
    let (name, target) = target_of(body, &config)?;
    let Some(_place) = pages.test_messages.take() else {
        let message = "Other test messages are still on their way. Wait a moment.";
        return Err(ApiError::too_many(message, PATIENCE.as_secs()));
    };
    if let Err(wait) = pages.own.test_messages.take(MOST_TESTS, MINUTE, now().at) {
        let message = "Many test messages were sent in the last minute. Wait a moment.";
        return Err(ApiError::too_many(message, wait.as_secs() + 1));
    }
    let outcome = notify::test(&target, &config.gui.public_url);
    notify::tell(&pages.context.observer, &name, &target, &outcome, true);
    let (ok, status, problem) = match outcome {
        Outcome::Sent(status) => (true, Some(status), None),
        Outcome::Retry(problem, _) | Outcome::Refused(problem) => {
            (false, problem.status, Some(problem.text))
        }
    };
    Ok(json::respond(
        &json!({"ok": ok, "status": status, "problem": problem}),
    ))
}

/// The target as if it were saved, checked by the configuration's rules.
fn target_of(body: Body, config: &Config) -> Result<(String, Target), ApiError> {
    let name = body.name;
    let Some(target) = body.target else {
        let target = config.notify.targets.get(&name).cloned();
        let unknown = || ApiError::not_found("There is no target with this name.");
        return target.map(|target| (name, target)).ok_or_else(unknown);
    };
    let mut targets = json!({ name: target });
    saved::put_back(&mut targets, &targets_json(config)).map_err(ApiError::invalid_config)?;
    let text = json!({"notify": {"targets": targets}}).to_string();
    let loaded = config::parse(&text).map_err(|errors| ApiError::invalid_config(errors.faults))?;
    let mut targets = loaded.config.notify.targets.into_iter();
    targets
        .next()
        .ok_or_else(|| ApiError::invalid_value("target", "This is not a target."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::notify::TargetKind;

    #[test]
    fn each_kind_lists_what_it_needs() {
        let services = services();
        let kinds: Vec<_> = TargetKind::ALL.iter().map(|kind| kind.name()).collect();
        let told: Vec<_> = services.as_object().unwrap().keys().collect();
        assert_eq!(told, kinds);
        for kind in TargetKind::ALL {
            for key in kind.needs() {
                assert!(services[kind.name()]["fields"].get(*key).is_some(), "{key}");
            }
        }
    }
}
