//! Sends one request to one target, in its service's format, and interprets the answer.
//!
//! It does not follow redirects, so a secret only goes where the owner sends it. The text of an answer is only shown
//! for known services, shortened and without secrets.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use serde_json::{Value, json};
use ureq::tls::TlsConfig;
use ureq::{Agent, Error};

use crate::config::notify::{Target, TargetKind};
use crate::notify::plan::{Event, Message};
use crate::trouble::{self, Level};

/// How long a request may take in all.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How much of an answer is read, in bytes.
const MOST_READ: u64 = 64 * 1024;

/// How many characters of a service's answer are quoted.
const LONGEST_WORDS: usize = 200;

/// The longest pause that a service can request.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The result of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The service accepted it.
    Sent(u16),
    /// Try again, after this time if the service gave one.
    Retry(Problem, Option<Duration>),
    /// It will never accept this.
    Refused(Problem),
}

/// Why a service did not take a message, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status of its answer; `None`: there was none.
    pub status: Option<u16>,
    /// What is wrong, including the status.
    pub text: String,
}

impl Problem {
    /// There was no answer.
    fn without_answer(text: impl Into<String>) -> Self {
        Self {
            status: None,
            text: text.into(),
        }
    }
}

/// Sends requests.
#[derive(Debug)]
pub struct Sender(Agent);

impl Default for Sender {
    fn default() -> Self {
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .proxy(None)
            .user_agent(concat!("dpmp/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self(config.into())
    }
}

/// A request before it is sent.
#[derive(Debug, PartialEq)]
struct Request {
    url: String,
    headers: Vec<(String, String)>,
    content_type: &'static str,
    /// `None`: a GET.
    body: Option<String>,
}

impl Sender {
    /// Sends a message. `link`: the pages' address, or empty.
    pub fn send(&self, target: &Target, message: &Message, link: &str) -> Outcome {
        match request(target, message, link) {
            Some(request) => self.run(target, &request),
            None => Outcome::Refused(Problem::without_answer("the address cannot be used")),
        }
    }

    /// Reports that the program is running.
    pub fn beat(&self, target: &Target) -> Outcome {
        let request = Request {
            url: target.url.to_string(),
            headers: Vec::new(),
            content_type: "",
            body: None,
        };
        self.run(target, &request)
    }

    fn run(&self, target: &Target, request: &Request) -> Outcome {
        let answer = match &request.body {
            Some(body) => {
                let mut post = self.0.post(&request.url).content_type(request.content_type);
                for (name, value) in &request.headers {
                    post = post.header(name, value);
                }
                post.send(body)
            }
            None => self.0.get(&request.url).call(),
        };
        match answer {
            Ok(mut answer) => {
                let status = answer.status().as_u16();
                let retry_after = answer.headers().get("retry-after");
                let retry_after =
                    retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
                let limited = answer.body_mut().with_config().limit(MOST_READ);
                let body = limited.read_to_string().unwrap_or_default();
                judge(target, status, retry_after, &body)
            }
            Err(error) => Outcome::Retry(Problem::without_answer(in_words(&error)), None),
        }
    }
}

/// Builds the request that this service expects.
fn request(target: &Target, message: &Message, link: &str) -> Option<Request> {
    let base = target.url.trim_end_matches('/');
    let title = cut(&message.title, 200);
    let text = cut(&message.text, 1000);
    let full = if link.is_empty() {
        format!("{title}\n{text}")
    } else {
        format!("{title}\n{text}\n{link}")
    };
    let json = "application/json";
    let mut headers = Vec::new();
    let mut content_type = json;
    let (url, body) = match target.kind {
        TargetKind::Ntfy => {
            let (server, topic) = base.rsplit_once('/')?;
            // Not the slashes before the host.
            if server.ends_with('/') || server.ends_with(':') || topic.is_empty() {
                return None;
            }
            if !target.token.is_empty() {
                headers.push((
                    "Authorization".to_owned(),
                    format!("Bearer {}", &*target.token),
                ));
            }
            let mut body = json!({
                "topic": topic,
                "title": title,
                "message": text,
                "priority": if is_alarm(message) { 4 } else { 3 },
                "tags": [tag(message)],
            });
            if !link.is_empty() {
                body["click"] = link.into();
            }
            (server.to_owned(), body.to_string())
        }
        TargetKind::Telegram => (
            format!("{base}/bot{}/sendMessage", &*target.token),
            json!({
                "chat_id": &*target.to,
                "text": full,
                "link_preview_options": {"is_disabled": true},
            })
            .to_string(),
        ),
        TargetKind::Discord => (
            base.to_owned(),
            json!({"content": cut(&full, 2000), "allowed_mentions": {"parse": []}}).to_string(),
        ),
        TargetKind::Gotify => {
            headers.push(("X-Gotify-Key".to_owned(), target.token.to_string()));
            let priority = if is_alarm(message) { 8 } else { 5 };
            (
                format!("{base}/message"),
                json!({"title": title, "message": text, "priority": priority}).to_string(),
            )
        }
        TargetKind::Pushover => {
            content_type = "application/x-www-form-urlencoded";
            let mut fields = vec![
                ("token", &*target.token),
                ("user", &*target.to),
                ("title", &title),
                ("message", &text),
            ];
            if !link.is_empty() {
                fields.push(("url", link));
            }
            (format!("{base}/1/messages.json"), form(&fields))
        }
        TargetKind::Webhook => {
            let own = target.headers.iter();
            headers.extend(own.map(|(name, value)| (name.clone(), value.to_string())));
            (target.url.to_string(), webhook_body(target, message))
        }
        TargetKind::Heartbeat => return None,
    };
    Some(Request {
        url,
        headers,
        content_type,
        body: Some(body),
    })
}

/// Our body, or the owner's with placeholders filled in so that it stays valid JSON.
fn webhook_body(target: &Target, message: &Message) -> String {
    let over = message.event == Event::Over;
    let event = match message.event {
        Event::Began | Event::Over | Event::ComesAndGoes => trouble::name(&message.id),
        Event::Summary => "summary",
        Event::Test => "test",
    };
    let at = i64::try_from(message.at_ms).ok();
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let at = at.map_or(String::new(), |at| at.to_string());
    if target.body.is_empty() {
        return json!({
            "event": event,
            "title": message.title,
            "text": message.text,
            "over": over,
            "at": at,
        })
        .to_string();
    }
    let values = [
        ("event", event),
        ("title", &message.title),
        ("text", &message.text),
        ("over", if over { "true" } else { "false" }),
        ("at", &at),
    ];
    fill_in(&target.body, &values)
}

/// Replaces `{name}` in a single pass, so that inserted values are not searched again.
fn fill_in(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| {
            let found = values.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value, after))
        });
        match value {
            Some((value, after)) => {
                let quoted = Value::from(value).to_string();
                filled.push_str(&quoted[1..quoted.len() - 1]);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn is_alarm(message: &Message) -> bool {
    message.level == Level::Error && message.event != Event::Over
}

fn tag(message: &Message) -> &'static str {
    match (message.event, message.level) {
        (Event::Over, _) => "white_check_mark",
        (Event::Test, _) => "wave",
        (Event::Began | Event::ComesAndGoes | Event::Summary, Level::Error) => "rotating_light",
        (Event::Began | Event::ComesAndGoes | Event::Summary, Level::Warning) => "warning",
        (Event::Began | Event::ComesAndGoes | Event::Summary, Level::Good) => "tada",
        (Event::Began | Event::ComesAndGoes | Event::Summary, Level::Info) => "information_source",
    }
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept = text.chars().take(longest.saturating_sub(1));
    kept.chain(['…']).collect()
}

fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    pairs.join("&")
}

/// What an answer means.
fn judge(target: &Target, status: u16, retry_after: Option<f64>, body: &str) -> Outcome {
    let is_redirect = (300..=399).contains(&status);
    let words = if is_redirect {
        "it redirects. Enter the final address.".to_owned()
    } else {
        words(target, body)
    };
    let colon = if words.is_empty() { "" } else { ": " };
    let problem = Problem {
        status: Some(status),
        text: format!("HTTP {status}{colon}{words}"),
    };
    match status {
        200..=299 => Outcome::Sent(status),
        // Each service gives the pause in its own way; Pushover's means that the month's messages are used up.
        429 if target.kind != TargetKind::Pushover => {
            Outcome::Retry(problem, pause(target.kind, retry_after, body))
        }
        408 | 425 | 500..=599 => Outcome::Retry(problem, None),
        _ => Outcome::Refused(problem),
    }
}

fn pause(kind: TargetKind, retry_after: Option<f64>, body: &str) -> Option<Duration> {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let own = match kind {
        TargetKind::Telegram => answer["parameters"]["retry_after"].as_f64(),
        TargetKind::Discord => answer["retry_after"].as_f64(),
        TargetKind::Ntfy
        | TargetKind::Gotify
        | TargetKind::Pushover
        | TargetKind::Webhook
        | TargetKind::Heartbeat => None,
    };
    let seconds = own.or(retry_after).filter(|seconds| *seconds >= 0.0)?;
    Some(Duration::from_secs_f64(
        seconds.min(LONGEST_PAUSE.as_secs_f64()),
    ))
}

/// A known service's own description of the problem.
fn words(target: &Target, body: &str) -> String {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let text = match target.kind {
        TargetKind::Ntfy => answer["error"].as_str(),
        TargetKind::Telegram => answer["description"].as_str(),
        TargetKind::Discord => answer["message"].as_str(),
        TargetKind::Gotify => answer["errorDescription"].as_str(),
        TargetKind::Pushover => answer["errors"][0].as_str(),
        TargetKind::Webhook | TargetKind::Heartbeat => None,
    };
    let mut text = text.unwrap_or_default().to_owned();
    let after_host = target.url.splitn(4, '/').nth(3).unwrap_or_default();
    let parts = after_host.split(['/', '?', '&', '=']);
    for secret in [&*target.token, &*target.to].into_iter().chain(parts) {
        if secret.len() >= 4 {
            text = text.replace(secret, "…");
        }
    }
    let text: String = text.chars().filter(|char| !char.is_control()).collect();
    cut(&text, LONGEST_WORDS)
}

/// Why there was no answer, without the address.
fn in_words(error: &Error) -> String {
    if let Error::Timeout(_) = error {
        format!("no answer within {} seconds", PATIENCE.as_secs())
    } else if let Error::HostNotFound = error {
        "the host was not found".to_owned()
    } else if let Error::ConnectionFailed = error {
        "the connection failed".to_owned()
    } else if let Error::Io(error) = error {
        let is_tls = error
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>());
        format!("{}{error}", if is_tls { "TLS: " } else { "" })
    } else if let Error::Rustls(error) = error {
        format!("TLS: {error}")
    } else if let Error::Tls(problem) = error {
        format!("TLS: {problem}")
    } else {
        // Other errors may quote the address.
        "the request failed".to_owned()
    }
}

#[cfg(test)]
pub(super) fn sample(kind: TargetKind, url: &str) -> Target {
    use crate::config::Hidden;

    let hidden = |text: &str| Hidden(text.to_owned());
    Target {
        kind,
        enabled: true,
        url: hidden(url),
        token: hidden("tok-secret"),
        to: hidden("12345"),
        headers: Vec::new(),
        body: hidden(""),
        level: Level::Warning,
        except: Vec::new(),
        quiet: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hidden;

    fn message() -> Message {
        Message {
            event: Event::Began,
            id: "pool_down:A".to_owned(),
            level: Level::Error,
            title: "Pool A is \"down\"".to_owned(),
            text: "Reason: a\\b.".to_owned(),
            at_ms: 1_800_000_000_000,
        }
    }

    fn made(kind: TargetKind, url: &str) -> (Request, Value) {
        let request = request(&sample(kind, url), &message(), "http://dpmp").unwrap();
        let body = serde_json::from_str(request.body.as_deref().unwrap()).unwrap_or_default();
        (request, body)
    }

    #[test]
    fn each_service_gets_its_own_format() {
        let (it, body) = made(TargetKind::Ntfy, "https://ntfy.sh/my-topic");
        assert_eq!(
            (it.url.as_str(), &body["topic"]),
            ("https://ntfy.sh", &json!("my-topic"))
        );
        assert_eq!(body["click"], "http://dpmp");
        assert_eq!(it.headers[0].1, "Bearer tok-secret");
        assert!(request(&sample(TargetKind::Ntfy, "https://ntfy.sh"), &message(), "").is_none());
        let (it, body) = made(TargetKind::Telegram, "https://api.telegram.org");
        assert_eq!(it.url, "https://api.telegram.org/bottok-secret/sendMessage");
        assert!(
            body["text"].as_str().unwrap().contains("\"down\"") && body["parse_mode"].is_null()
        );
        let (_, body) = made(TargetKind::Discord, "https://discord.com/api/webhooks/1/x");
        assert_eq!(body["allowed_mentions"], json!({"parse": []}));
        let (it, _) = made(TargetKind::Gotify, "http://gotify/");
        assert_eq!(
            (it.url.as_str(), it.headers[0].0.as_str()),
            ("http://gotify/message", "X-Gotify-Key")
        );
        let (it, _) = made(TargetKind::Pushover, "https://api.pushover.net");
        assert!(
            it.body
                .unwrap()
                .contains("title=Pool%20A%20is%20%22down%22")
        );
        let (_, body) = made(TargetKind::Webhook, "http://x/y");
        assert_eq!(body["event"], "pool_down");
        assert_eq!(body["over"], false);
        assert_eq!(body["at"], "2027-01-15T08:00:00Z");
    }

    #[test]
    fn a_filled_in_template_is_still_valid_json() {
        let mut target = sample(TargetKind::Webhook, "http://x");
        target.body =
            Hidden(r#"{"a": "{title}", "b": {over}, "c": "{text} {other}", "d": {}}"#.to_owned());
        let body = request(&target, &message(), "").unwrap().body.unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["a"], "Pool A is \"down\"");
        assert_eq!(body["b"], false);
        assert_eq!(body["c"], "Reason: a\\b. {other}");
    }

    #[test]
    fn each_services_way_of_asking_for_a_pause_is_understood() {
        let pause = |kind, header, body| match judge(&sample(kind, "http://x/y"), 429, header, body)
        {
            Outcome::Retry(_, pause) => pause.map(|it| it.as_secs_f64()),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            pause(
                TargetKind::Telegram,
                None,
                r#"{"parameters":{"retry_after":7}}"#
            ),
            Some(7.0)
        );
        assert_eq!(
            pause(TargetKind::Discord, Some(9.0), r#"{"retry_after":0.5}"#),
            Some(0.5)
        );
        assert_eq!(pause(TargetKind::Ntfy, Some(9.0), "{}"), Some(9.0));
        assert_eq!(pause(TargetKind::Webhook, Some(1e9), ""), Some(3600.0));
        assert_eq!(pause(TargetKind::Gotify, None, ""), None);
        let used_up = judge(&sample(TargetKind::Pushover, "http://x"), 429, None, "");
        assert!(matches!(used_up, Outcome::Refused(_)));
    }

    #[test]
    fn errors_are_described_without_secrets() {
        let target = sample(TargetKind::Telegram, "http://x");
        let told = judge(
            &target,
            401,
            None,
            r#"{"description":"bad tok-secret for 12345"}"#,
        );
        let refused = |text: &str| {
            Outcome::Refused(Problem {
                status: text[5..8].parse().ok(),
                text: text.to_owned(),
            })
        };
        assert_eq!(told, refused("HTTP 401: bad … for …"));
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(1000));
        let told = judge(&sample(TargetKind::Ntfy, "http://x/y"), 500, None, &long);
        assert!(matches!(told, Outcome::Retry(it, None) if it.text.chars().count() < 220));
        let other = judge(
            &sample(TargetKind::Webhook, "http://x/y"),
            400,
            None,
            r#"{"error":"words"}"#,
        );
        assert_eq!(other, refused("HTTP 400"));
        assert!(matches!(judge(&target, 302, None, ""), Outcome::Refused(_)));
    }
}
