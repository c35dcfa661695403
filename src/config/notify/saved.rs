//! The notification targets as clients see them, and how their secrets are restored when a client saves them.
//!
//! A saved secret is only used with the kind, scheme, host and port that it was saved with. Otherwise anyone who can
//! change an address could have the secret sent to their own host.

use serde_json::{Map, Value, json};

use super::{TargetKind, origin, shown_url};
use crate::config::Fault;
use crate::config::raw::join;

/// The path of the targets in the configuration.
pub const PATH: &str = "notify.targets";

/// What replaces a secret.
pub const SAVED: &str = "…";

/// The secrets in addition to the address and the headers.
const SECRETS: [&str; 4] = ["token", "chat_id", "user", "body"];

/// The targets of a configuration file with secrets replaced by [`SAVED`], even if they are not valid.
pub fn without_secrets(targets: &Value) -> Value {
    let shown = |(name, target): (&String, &Value)| {
        let keys = target.as_object()?.iter();
        let keys = keys.filter_map(|(key, value)| Some((key.clone(), shown(key, value)?)));
        Some((name.clone(), Value::Object(keys.collect())))
    };
    let targets = targets.as_object().into_iter().flatten();
    Value::Object(targets.filter_map(shown).collect())
}

fn shown(key: &str, value: &Value) -> Option<Value> {
    let hidden = |value: &Value| match value.as_str() {
        Some("") => json!(""),
        Some(_) | None => json!(SAVED),
    };
    match key {
        "kind" | "enabled" | "level" | "except" | "quiet" => Some(value.clone()),
        "url" => value.as_str().map(|url| shown_url(url).into()),
        "headers" => {
            let headers = value.as_object()?.iter();
            Some(
                headers
                    .map(|(name, value)| (name.clone(), hidden(value)))
                    .collect(),
            )
        }
        key => SECRETS.contains(&key).then(|| hidden(value)),
    }
}

/// Replaces each [`SAVED`] with the saved secret, and a shortened address with the saved one.
///
/// # Errors
/// Every secret that is not saved, or not for this kind and host.
pub fn put_back(new: &mut Value, old: &Value) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    for (name, target) in new.as_object_mut().into_iter().flatten() {
        let Some(target) = target.as_object_mut() else {
            continue;
        };
        let saved = old.get(name).and_then(Value::as_object);
        let (here, there) = (place(target), saved.and_then(place));
        let usable = saved.filter(|_| here.is_some() && here == there);
        let mut fill = |path: String, value: &mut Value, saved: Option<&Value>| {
            let is_left_out = value.as_str().is_some_and(|text| {
                let text = text.trim();
                text == SAVED || path.ends_with(".url") && text.ends_with("/…")
            });
            match saved {
                Some(saved) if is_left_out => *value = saved.clone(),
                None if is_left_out => faults.push(again(path, there.as_ref())),
                Some(_) | None => (),
            }
        };
        let path = join(PATH, name);
        for key in ["url"].into_iter().chain(SECRETS) {
            if let Some(value) = target.get_mut(key) {
                fill(
                    join(&path, key),
                    value,
                    usable.and_then(|saved| saved.get(key)),
                );
            }
        }
        let path = join(&path, "headers");
        let headers = target.get_mut("headers").and_then(Value::as_object_mut);
        for (header, value) in headers.into_iter().flatten() {
            let saved = usable.and_then(|saved| saved.get("headers")?.get(header));
            fill(join(&path, header), value, saved);
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

/// What a secret belongs to: the kind of service, and its scheme, host and port.
type Place = (TargetKind, String);

fn place(target: &Map<String, Value>) -> Option<Place> {
    let name = target.get("kind")?.as_str()?;
    let kind = TargetKind::ALL.into_iter().find(|it| it.name() == name)?;
    let url = target.get("url").filter(|url| !url.is_null());
    let url = url.map_or(kind.usual_url(), Value::as_str)?;
    Some((kind, origin(url.trim())))
}

fn again(path: String, there: Option<&Place>) -> Fault {
    let allowed = match there {
        Some((kind, origin)) => format!(
            "the whole text again: the saved one is only used for {} at {origin}",
            kind.name()
        ),
        None => "the whole text, because none is saved".to_owned(),
    };
    Fault {
        path,
        found: "the saved one (not shown)".to_owned(),
        allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Value {
        json!({
            "phone": {"kind": "ntfy", "url": "https://ntfy.sh/my-topic", "token": "tk_secret", "level": "info"},
            "bot": {"kind": "telegram", "token": "1:secret", "chat_id": 77},
            "hook": {"kind": "webhook", "url": "http://10.0.0.2:8080/hook?key=secret", "body": "{}",
                "headers": {"X-Key": "secret"}, "quiet": {"from": "23:00", "to": "07:00"}},
            "plain": {"kind": "gotify", "url": "http://gotify:80", "token": ""},
        })
    }

    fn changed(change: impl FnOnce(&mut Value)) -> Result<Value, Vec<String>> {
        let mut new = without_secrets(&saved());
        change(&mut new);
        let paths = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.path).collect();
        put_back(&mut new, &saved()).map_err(paths).map(|()| new)
    }

    #[test]
    fn the_shown_form_has_no_secrets_and_can_be_saved_as_is() {
        let shown = without_secrets(&saved());
        assert_eq!(shown["phone"]["url"], "https://ntfy.sh/…");
        assert_eq!(shown["hook"]["headers"], json!({"X-Key": "…"}));
        assert_eq!(shown["plain"]["token"], "");
        let text = shown.to_string();
        for secret in ["secret", "topic", "77", "{}\""] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(changed(|_| ()), Ok(saved()));
        let odd = json!({"x": {"url": "https://me:secret@h/secret", "other": "secret", "token": 5}, "y": 1});
        let odd = without_secrets(&odd);
        assert_eq!(odd, json!({"x": {"url": "https://h/…", "token": "…"}}));
    }

    #[test]
    fn single_settings_and_secrets_can_be_changed() {
        let new = changed(|new| {
            new["phone"]["level"] = json!("error");
            new["phone"]["url"] = json!("https://NTFY.sh:443/other");
            new["bot"]["chat_id"] = json!("78");
            new["hook"]["headers"] = json!({"X-Key": "…", "X-New": "new"});
            new["hook"]["body"] = json!("");
        });
        let new = new.unwrap();
        assert_eq!(new["phone"]["token"], "tk_secret");
        assert_eq!(new["phone"]["url"], "https://NTFY.sh:443/other");
        assert_eq!(
            new["bot"],
            json!({"kind": "telegram", "token": "1:secret", "chat_id": "78"})
        );
        assert_eq!(
            new["hook"]["headers"],
            json!({"X-Key": "secret", "X-New": "new"})
        );
        assert_eq!(new["hook"]["body"], "");
    }

    #[test]
    fn a_saved_secret_is_not_sent_to_another_host() {
        let refused = |target: &str, key: &str, value: Value, paths: &[&str]| {
            let done = changed(|new| new[target][key] = value.clone());
            let paths: Vec<_> = paths
                .iter()
                .map(|it| format!("notify.targets.{it}"))
                .collect();
            assert_eq!(done, Err(paths), "{value}");
        };
        for url in [
            "https://evil.example/x",
            "http://ntfy.sh/my-topic",
            "https://ntfy.sh:8443/my-topic",
            "https://ntfy.sh.evil.example/",
            "https://ntfy.sh@evil.example/",
        ] {
            refused("phone", "url", json!(url), &["phone.token"]);
        }
        let both = ["phone.url", "phone.token"];
        refused("phone", "url", json!("https://evil.example/…"), &both);
        refused("phone", "kind", json!("gotify"), &both);
        refused("phone", "kind", json!("other"), &both);
        let own = json!("http://evil.example");
        refused("bot", "url", own, &["bot.token", "bot.chat_id"]);
        let hook = ["hook.body", "hook.headers.X-Key"];
        refused("hook", "url", json!("http://10.0.0.2:8081/hook"), &hook);
        // Nothing is saved under another name.
        let renamed = changed(|new| new["new"] = new["bot"].clone());
        assert_eq!(
            renamed,
            Err(vec![
                "notify.targets.new.token".into(),
                "notify.targets.new.chat_id".into()
            ])
        );
        let other = changed(|new| new["plain"]["headers"] = json!({"X-Key": "…"}));
        assert_eq!(
            other,
            Err(vec!["notify.targets.plain.headers.X-Key".into()])
        );
        let mut new =
            json!({"phone": {"kind": "ntfy", "url": "https://evil.example/x", "token": "…"}});
        let fault = put_back(&mut new, &saved())
            .unwrap_err()
            .remove(0)
            .to_string();
        assert!(
            fault.contains("ntfy at https://ntfy.sh") && !fault.contains("secret"),
            "{fault}"
        );
    }
}
