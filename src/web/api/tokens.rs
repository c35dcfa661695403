//! `tokens`: tokens for programs, created and revoked by the owner.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::{self, LONGEST_TOKEN_NAME, MOST_TOKENS, May};
use crate::core::fact::Fact;
use crate::units::is_hidden;
use crate::web::api::config::present;
use crate::web::api::session::{confirm, tell};
use crate::web::error::{Answer, ApiError, Code};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json, tokens};

/// The key of the tokens.
const KEY: &str = "gui.tokens";

/// `GET /api/v1/tokens`: the tokens' names and what they allow.
pub(in crate::web) fn list(pages: &Pages, _: &Call<'_>) -> Answer {
    let config = pages.context.live.get();
    let tokens = config.gui.tokens.iter();
    let tokens: Vec<_> = tokens
        .map(|(name, token)| json!({"name": name, "may": token.may.name()}))
        .collect();
    Ok(json::respond(&json!({ "tokens": tokens })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    may: String,
    password: Option<String>,
}

/// `POST /api/v1/tokens`
pub(in crate::web) fn make(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: NewToken = body::read(call.request)?;
    let name = body.name.trim();
    let length = name.chars().count();
    if !(1..=LONGEST_TOKEN_NAME).contains(&length) || name.chars().any(is_hidden) {
        let message = format!(
            "A name must have 1 to {LONGEST_TOKEN_NAME} characters, on one line and none of them hidden."
        );
        return Err(ApiError::invalid_value("name", message));
    }
    let Some(may) = May::ALL.into_iter().find(|may| may.name() == body.may) else {
        let message = "A token may \"view\" or \"steer\".";
        return Err(ApiError::invalid_value("may", message));
    };
    confirm(pages, call, body.password.as_deref())?;
    let (token, kept) = tokens::make(may).map_err(|error| ApiError::failed(&error))?;
    pages.settings.change(call.source(pages), |contents| {
        let mut file = present(contents)?;
        let tokens = &file.config.gui.tokens;
        if tokens.contains_key(name) {
            return Err(ApiError::new(
                Code::Conflict,
                "There already is a token with this name. Revoke it first, or choose another name.",
            ));
        }
        if tokens.len() >= MOST_TOKENS {
            let message = format!("There already are {MOST_TOKENS} tokens. Revoke one first.");
            return Err(ApiError::invalid_value("name", message));
        }
        let mut table = table(&file.raw);
        let entry = json!({"hash": *kept.hash, "may": may.name()});
        table.insert(name.to_owned(), entry);
        config::set(&mut file.raw, KEY, table.into());
        Ok(file.raw)
    })?;
    let from = call.request.remote_addr().ip();
    let fact = Fact::TokenMade {
        name: name.into(),
        may,
        from,
    };
    tell(pages, &fact);
    let answer = json!({"name": name, "may": may.name(), "token": token});
    Ok(json::respond(&answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    name: String,
    password: Option<String>,
}

/// `DELETE /api/v1/tokens`
pub(in crate::web) fn revoke(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: Revocation = body::read(call.request)?;
    confirm(pages, call, body.password.as_deref())?;
    pages.settings.change(call.source(pages), |contents| {
        let mut file = present(contents)?;
        let mut table = table(&file.raw);
        if table.shift_remove(&body.name).is_none() {
            return Err(ApiError::not_found("There is no token with this name."));
        }
        config::set(&mut file.raw, KEY, table.into());
        Ok(file.raw)
    })?;
    let from = call.request.remote_addr().ip();
    let name = body.name;
    tell(pages, &Fact::TokenRevoked { name, from });
    Ok(json::respond(&json!({"ok": true})))
}

/// The tokens in a valid file.
fn table(raw: &Value) -> Map<String, Value> {
    let found = config::lookup(raw, KEY).and_then(Value::as_object);
    found.cloned().unwrap_or_default()
}
