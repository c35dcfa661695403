//! `pool-test`: tests a pool before it is saved.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::{self, Config, PoolConfig};
use crate::units::PoolSlot;
use crate::visit::{Failure, Finding, Step, visit};
use crate::web::error::{Answer, ApiError};
use crate::web::pages::{Call, Pages};
use crate::web::plain::without_codes;
use crate::web::{body, json};

/// How long a test may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    slot: String,
    host: Value,
    port: Value,
    wallet: Value,
    /// Null or missing, like the two below: the default.
    tls: Option<Value>,
    tls_fingerprint: Option<Value>,
    tls_insecure: Option<Value>,
    /// Null or missing: the saved one.
    user_name: Option<Value>,
    /// Null or missing: the saved one.
    password: Option<Value>,
}

/// `POST /api/v1/pool-test`
pub(in crate::web) fn run(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: Body = body::read(call.request)?;
    let slot = PoolSlot::ALL
        .into_iter()
        .find(|slot| slot.to_string() == body.slot)
        .ok_or_else(|| ApiError::invalid_value("slot", "The slot must be A or B."))?;
    let config = pages.context.live.get();
    let pool = pool_of(slot, body, &config)?;
    let limits = &config.downstream_diff[slot];
    let Some(_place) = pages.pool_tests.take() else {
        let message = "Other tests are still running. Wait a moment.";
        return Err(ApiError::too_many(message, PATIENCE.as_secs()));
    };
    let mut steps = Vec::new();
    let visited = visit(slot, &pool, limits, &pages.context.tls, PATIENCE, |found| {
        add(&mut steps, found);
        Ok(())
    });
    let problem = visited.err().map(|Failure { during, error }| {
        let problem = without_codes(&format!("{error:#}")).into_owned();
        // A refusal is the step's own result.
        if steps.last().is_none_or(|step: &Step| step.ok) {
            add(&mut steps, failed(during, &problem));
        }
        problem
    });
    Ok(json::respond(&json!({
        "ok": problem.is_none(),
        "steps": steps.iter().map(step_json).collect::<Vec<_>>(),
        "problem": problem,
    })))
}

/// The pool as if it were saved, checked by the configuration's rules.
fn pool_of(slot: PoolSlot, body: Body, config: &Config) -> Result<PoolConfig, ApiError> {
    let (no_form, no_password) = (body.user_name.is_none(), body.password.is_none());
    let no_wallet = body
        .wallet
        .as_str()
        .is_some_and(|text| text.trim().is_empty());
    let text = json!({
        // Where DPMP itself listens, because that cannot be a pool.
        "listen": {"host": config.listen.host, "port": config.listen.port},
        "metrics": {"enabled": false},
        "gui": {"enabled": false},
        "pools": {slot.to_string(): {
            "host": body.host,
            "port": body.port,
            "wallet": body.wallet,
            "tls": body.tls,
            "tls_fingerprint": body.tls_fingerprint,
            "tls_insecure": body.tls_insecure,
            "user_name": body.user_name,
            "password": body.password,
        }},
    })
    .to_string();
    let mut loaded = config::parse(&text).map_err(|errors| with_own_field(errors.faults))?;
    let mut pool = loaded.config.pools[slot].take().ok_or_else(|| {
        let field = if no_wallet { "wallet" } else { "host" };
        ApiError::invalid_value(field, "Enter a host and a payout address first.")
    })?;
    if let Some(stored) = &config.pools[slot] {
        if no_form {
            pool.user_name.clone_from(&stored.user_name);
        }
        // A password that is saved for one pool is not sent to another.
        if no_password && stored.address() == pool.address() {
            pool.password.clone_from(&stored.password);
        }
    }
    Ok(pool)
}

/// The first fault, with the request's name for the field.
fn with_own_field(faults: Vec<config::Fault>) -> ApiError {
    let Some(fault) = faults.into_iter().next() else {
        return ApiError::invalid_value("host", "This is not a pool.");
    };
    let field = fault.path.rsplit('.').next().unwrap_or_default().to_owned();
    let message = format!("found {}; allowed: {}", fault.found, fault.allowed);
    ApiError::invalid_value(field, message)
}

fn add(steps: &mut Vec<Step>, found: Finding) {
    match (found, steps.last_mut()) {
        (Finding::Step(step), _) => steps.push(step),
        (Finding::Note(note), Some(last)) => {
            last.text.push_str("; ");
            last.text.push_str(&note);
        }
        (Finding::Note(_), None) => (),
    }
}

fn failed(during: &'static str, problem: &str) -> Finding {
    Finding::Step(Step {
        name: during,
        ok: false,
        took: Duration::ZERO,
        text: problem.to_owned(),
    })
}

/// The title of a step that succeeded or failed.
fn title(step: &Step) -> &'static str {
    let (done, failed) = match step.name {
        "resolve" => ("Address found", "Address not found"),
        "connect" => ("Connected", "No connection"),
        "encrypt" => ("Encrypted", "Not encrypted"),
        "configure" => ("Abilities agreed", "Abilities not agreed"),
        "subscribe" => ("Subscribed", "Not subscribed"),
        "authorize" => ("Wallet accepted", "Wallet rejected"),
        "first job" => ("First job received", "No job came"),
        name => (name, name),
    };
    if step.ok { done } else { failed }
}

fn step_json(step: &Step) -> Value {
    json!({
        "name": step.name,
        "title": title(step),
        "ok": step.ok,
        "ms": (step.took.as_secs_f64() * 10_000.0).round() / 10.0,
        "text": without_codes(&step.text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::error::Code;

    fn body(host: &str, port: u16, wallet: &str) -> Body {
        Body {
            slot: "A".into(),
            host: host.into(),
            port: port.into(),
            wallet: wallet.into(),
            tls: None,
            tls_fingerprint: None,
            tls_insecure: None,
            user_name: None,
            password: None,
        }
    }

    fn refusal(body: Body) -> (Code, Option<String>) {
        let error = pool_of(PoolSlot::A, body, &Config::default()).unwrap_err();
        (error.code, error.field)
    }

    #[test]
    fn values_are_checked_by_the_rules_of_the_configuration() {
        let good = pool_of(
            PoolSlot::B,
            body("stratum+tcp://Pool.Test.net:4444", 4444, " wallet "),
            &Config::default(),
        )
        .unwrap();
        assert_eq!(good.host, "pool.test.net");
        assert_eq!((good.port, good.wallet.as_str()), (4444, "wallet"));
        let invalid = |field: &str| (Code::InvalidValue, Some(field.to_owned()));
        assert_eq!(refusal(body("a b", 3333, "w")), invalid("host"));
        assert_eq!(refusal(body("a.test.net", 0, "w")), invalid("port"));
        assert_eq!(refusal(body("a.test.net", 3333, "w w")), invalid("wallet"));
        assert_eq!(refusal(body("a.test.net", 3333, "")), invalid("wallet"));
        assert_eq!(refusal(body("", 3333, "w")), invalid("host"));
        // Ourselves.
        assert_eq!(refusal(body("127.0.0.1", 3351, "w")), invalid("host"));
    }

    #[test]
    fn the_stored_password_is_used_unless_another_is_given() {
        let text =
            r#"{"pools": {"A": {"host": "a.test.net", "wallet": "w", "password": "stored"}}}"#;
        let config = config::parse(text).unwrap().config;
        let password = |given: Option<&str>| {
            let mut body = body("a.test.net", 3333, "w");
            body.password = given.map(Value::from);
            pool_of(PoolSlot::A, body, &config).unwrap().password
        };
        assert_eq!(password(None).as_deref(), Some("stored"));
        assert_eq!(password(Some("")), None);
        assert_eq!(password(Some("new")).as_deref(), Some("new"));
        let elsewhere = pool_of(PoolSlot::A, body("b.test.net", 3333, "w"), &config).unwrap();
        assert_eq!(elsewhere.password, None, "another pool does not get it");
    }

    #[test]
    fn notes_are_added_to_the_previous_step() {
        let mut steps = Vec::new();
        add(&mut steps, Finding::Note("lost".into()));
        add(&mut steps, failed("connect", "no"));
        add(&mut steps, Finding::Note("hello".into()));
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].text, "no; hello");
    }
}
