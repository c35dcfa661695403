//! `notify`: where messages about troubles are sent.

pub mod saved;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Hidden;
use crate::trouble::Level;
use crate::units::named;

/// The maximum number of targets.
pub const MOST_TARGETS: usize = 16;

/// Messages: `notify`.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// How long a worker may be gone before it counts as missing; `None`: never. Key: `miner_missing_minutes`.
    pub miner_missing: Option<Duration>,
    /// Where messages are sent, by name.
    pub targets: BTreeMap<String, Target>,
}

named! {
    /// The services that messages can be sent to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum TargetKind {
        /// ntfy.sh, or another ntfy server.
        Ntfy = "ntfy",
        /// A Telegram bot.
        Telegram = "telegram",
        /// A Discord channel's webhook.
        Discord = "discord",
        /// A Gotify server.
        Gotify = "gotify",
        /// Pushover.
        Pushover = "pushover",
        /// Any server that accepts a POST.
        Webhook = "webhook",
        /// A server that raises an alarm when requests stop.
        Heartbeat = "heartbeat",
    }
}

impl TargetKind {
    /// The service's address, if it is the same for everyone.
    pub fn usual_url(self) -> Option<&'static str> {
        match self {
            Self::Telegram => Some("https://api.telegram.org"),
            Self::Pushover => Some("https://api.pushover.net"),
            Self::Ntfy | Self::Discord | Self::Gotify | Self::Webhook | Self::Heartbeat => None,
        }
    }

    /// The keys that it needs in addition to `url`.
    pub fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Telegram => &["token", "chat_id"],
            Self::Pushover => &["token", "user"],
            Self::Gotify => &["token"],
            Self::Ntfy | Self::Discord | Self::Webhook | Self::Heartbeat => &[],
        }
    }
}

/// A target of messages. Everything that would allow others to send there is hidden.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The service.
    pub kind: TargetKind,
    /// Whether anything is sent there.
    pub enabled: bool,
    /// Its address; the part after the host is as secret as a token.
    pub url: Hidden,
    /// The token for the service; empty: none.
    pub token: Hidden,
    /// The service's recipient: `chat_id` or `user`.
    pub to: Hidden,
    /// Further headers of a webhook.
    pub headers: Vec<(String, Hidden)>,
    /// The body of a webhook, with placeholders; empty: ours.
    pub body: Hidden,
    /// The lowest level that is sent.
    pub level: Level,
    /// Troubles that are not sent, by name.
    pub except: Vec<String>,
    /// When only higher levels are sent.
    pub quiet: Option<QuietHours>,
}

impl Target {
    /// The address without its secret part.
    pub fn shown_url(&self) -> String {
        shown_url(&self.url)
    }

    /// As in the configuration file, with its secrets.
    pub fn json(&self) -> Value {
        let Self {
            kind,
            enabled,
            url,
            token,
            to,
            headers,
            body,
            level,
            except,
            quiet,
        } = self;
        let to_key = match kind {
            TargetKind::Telegram => "chat_id",
            TargetKind::Ntfy
            | TargetKind::Discord
            | TargetKind::Gotify
            | TargetKind::Pushover
            | TargetKind::Webhook
            | TargetKind::Heartbeat => "user",
        };
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(**value)));
        let mut json = json!({
            "kind": kind.name(),
            "enabled": enabled,
            "url": **url,
            "level": level.name(),
            "except": except,
            "quiet": quiet.map(|quiet| quiet.json()),
        });
        for (key, secret) in [("token", token), (to_key, to), ("body", body)] {
            if !secret.is_empty() {
                json[key] = json!(**secret);
            }
        }
        if headers.len() > 0 {
            json["headers"] = headers.collect::<Map<_, _>>().into();
        }
        json
    }
}

/// The allowed format of a web address.
pub(super) const WEB_ADDRESS: &str =
    "an address that begins with https:// or http://, without spaces or a user name";

/// Whether a text is a web address: scheme, host, optional port and more.
pub(super) fn is_web_address(text: &str) -> bool {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let Some(host) = host else {
        return false;
    };
    let port = host.rsplit_once(':').map(|(_, port)| port);
    let port = port.filter(|port| !port.contains(']'));
    !host.is_empty()
        && !host.contains('@')
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An address up to its host, and whether there is more.
fn shown_url(url: &str) -> String {
    let (scheme, host, path) = split(url);
    let more = if path.len() > 1 { "/…" } else { "" };
    format!("{scheme}://{host}{more}")
}

/// An address's scheme, host and port in one form.
fn origin(url: &str) -> String {
    let (scheme, host, _) = split(url);
    let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(usual).unwrap_or(&host);
    format!("{scheme}://{host}")
}

/// Scheme, host with port, and what follows. A user name before the host is left out.
fn split(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = host.rsplit('@').next().unwrap_or(host);
    (scheme, host, path)
}

/// A time of the day in which most messages wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// When it begins, in minutes after midnight.
    pub from: u16,
    /// When it ends; at or before the beginning: on the next day.
    pub to: u16,
    /// The lowest level that is sent anyway.
    pub level: Level,
}

impl QuietHours {
    /// Whether this second of the day is within quiet hours.
    pub fn contains(&self, second: i64) -> bool {
        let [from, to] = [self.from, self.to].map(|minutes| i64::from(minutes) * 60);
        if from < to {
            (from..to).contains(&second)
        } else {
            second >= from || second < to
        }
    }

    fn json(&self) -> Value {
        let [from, to] =
            [self.from, self.to].map(|minutes| format!("{:02}:{:02}", minutes / 60, minutes % 60));
        json!({"from": from, "to": to, "level": self.level.name()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_only_up_to_its_host() {
        assert_eq!(
            shown_url("https://discord.com/api/webhooks/1/secret"),
            "https://discord.com/…"
        );
        assert_eq!(shown_url("http://10.0.0.2:8080"), "http://10.0.0.2:8080");
        assert_eq!(
            shown_url("https://a.example?key=secret"),
            "https://a.example/…"
        );
    }

    #[test]
    fn quiet_hours_may_span_midnight() {
        let quiet = |from: u16, to: u16| QuietHours {
            from: from * 60,
            to: to * 60,
            level: Level::Error,
        };
        let hour = 3600;
        assert!(quiet(23, 7).contains(23 * hour) && quiet(23, 7).contains(6 * hour));
        assert!(!quiet(23, 7).contains(7 * hour) && !quiet(23, 7).contains(22 * hour));
        assert!(quiet(1, 2).contains(hour) && !quiet(1, 2).contains(2 * hour));
    }
}
