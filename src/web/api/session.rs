//! `session`, `login`, `logout`, `password`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::web::api::config::{present, set};
use crate::web::error::{Answer, ApiError, Code};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json};

/// The key that the hash stands under.
const KEY: &str = "gui.password_hash";

/// `GET /api/v1/session`: what a page needs to begin with.
pub(in crate::web) fn show(pages: &Pages, call: &Call<'_>) -> Answer {
    let hash = hash_in_force(pages);
    Ok(json::respond(&json!({
        "token": pages.login.token(),
        "password_set": hash.is_some(),
        "logged_in": pages.login.is_logged_in(call.request, hash.as_deref()),
        "version": env!("CARGO_PKG_VERSION"),
    })))
}

/// `POST /api/v1/logout`
pub(in crate::web) fn logout(pages: &Pages, call: &Call<'_>) -> Answer {
    let cookie = pages.login.end_session(call.request);
    Ok(json::respond(&json!({"ok": true})).with_additional_header("Set-Cookie", cookie))
}

#[derive(Deserialize)]
struct LoginBody {
    password: String,
}

/// `POST /api/v1/login`
pub(in crate::web) fn login(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: LoginBody = body::read(call.request)?;
    let answer = json::respond(&json!({"ok": true}));
    let Some(hash) = hash_in_force(pages) else {
        // There is nothing to log in to.
        return Ok(answer);
    };
    let from = call.request.remote_addr().ip();
    pages.login.check_password(&body.password, &hash, from)?;
    let cookie = pages.login.begin_session(&hash)?;
    Ok(answer.with_additional_header("Set-Cookie", cookie))
}

#[derive(Deserialize)]
struct PasswordBody {
    current: Option<String>,
    /// Has to be there: a password is not removed because of a slip in its name.
    new: Value,
}

/// `POST /api/v1/password`
pub(in crate::web) fn change_password(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: PasswordBody = body::read(call.request)?;
    let old = hash_in_force(pages);
    if let Some(hash) = &old {
        let current = body.current.ok_or_else(|| {
            ApiError::new(Code::WrongPassword, "The present password is missing.")
        })?;
        let from = call.request.remote_addr().ip();
        pages.login.check_password(&current, hash, from)?;
    }
    let new = match &body.new {
        Value::Null => None,
        Value::String(password) => Some(pages.login.hash(password)?),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(ApiError::invalid_value(
                "new",
                "The password must be a text, or null for none.",
            ));
        }
    };
    pages.settings.change(|contents| {
        let mut file = present(contents)?;
        // Whoever set one meanwhile keeps it.
        if file.config.gui.password_hash != old {
            return Err(ApiError::new(
                Code::Conflict,
                "The password was changed meanwhile.",
            ));
        }
        set(&mut file.raw, KEY, new.clone().unwrap_or_default().into());
        Ok(file.raw)
    })?;
    let answer = json::respond(&json!({"password_set": new.is_some()}));
    Ok(match new {
        Some(hash) => {
            let cookie = pages.login.begin_session(&hash)?;
            answer.with_additional_header("Set-Cookie", cookie)
        }
        None => {
            let cookie = pages.login.end_session(call.request);
            answer.with_additional_header("Set-Cookie", cookie)
        }
    })
}

fn hash_in_force(pages: &Pages) -> Option<String> {
    pages.context.live.get().gui.password_hash.clone()
}
