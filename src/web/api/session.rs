//! `session`, `login`, `logout`, `password`.

use rouille::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config;
use crate::core::fact::Fact;
use crate::system::clock::now;
use crate::web::api::config::present;
use crate::web::error::{Answer, ApiError, Code};
use crate::web::login::{Password, VARIABLE};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json};

/// The key of the hash.
const KEY: &str = "gui.password_hash";

/// `GET /api/v1/session`: what a page needs first.
pub(in crate::web) fn show(pages: &Pages, call: &Call<'_>) -> Answer {
    let password = in_force(pages);
    let logged_in = pages.login.is_logged_in(call.request, password.as_ref());
    let answer = json::respond(&json!({
        "token": pages.login.token(),
        "password_set": password.is_some(),
        "password_given": matches!(password, Some(Password::Given(_))),
        "logged_in": logged_in,
        "version": env!("CARGO_PKG_VERSION"),
    }));
    // A browser that waits at the login does not wait behind programs that flood it.
    let greeting = password
        .filter(|_| !logged_in)
        .and_then(|password| pages.login.greet(call.request, &password));
    Ok(match greeting {
        Some(cookie) => answer.with_additional_header("Set-Cookie", cookie),
        None => answer,
    })
}

/// `POST /api/v1/logout`
pub(in crate::web) fn logout(pages: &Pages, call: &Call<'_>) -> Answer {
    let cookie = pages.login.end_session(call.request);
    Ok(json::respond(&json!({"ok": true})).with_additional_header("Set-Cookie", cookie))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    password: String,
}

/// `POST /api/v1/login`
pub(in crate::web) fn login(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: LoginBody = body::read(call.request)?;
    let answer = json::respond(&json!({"ok": true}));
    let Some(password) = in_force(pages) else {
        // There is nothing to log in to.
        return Ok(answer);
    };
    check(pages, call, &body.password, &password)?;
    let from = call.request.remote_addr().ip();
    tell(pages, &Fact::LoggedIn { from });
    with_session(pages, answer, &password)
}

/// Checks a password when it is the client's turn, and reports a refusal.
fn check(pages: &Pages, call: &Call<'_>, sent: &str, password: &Password) -> Result<(), ApiError> {
    let checked = pages.login.check_password(sent, password, call.request);
    let from = call.request.remote_addr().ip();
    if checked.is_err() {
        tell(pages, &Fact::LoginRefused { from });
    }
    checked
}

pub(super) fn tell(pages: &Pages, fact: &Fact) {
    pages.context.observer.observe(fact, now());
}

fn with_session(pages: &Pages, answer: Response, password: &Password) -> Answer {
    let cookies = pages.login.begin_session(password)?;
    Ok(cookies.into_iter().fold(answer, |answer, cookie| {
        answer.with_additional_header("Set-Cookie", cookie)
    }))
}

/// Makes sure that the request is from the owner, by the password, if there is one.
///
/// # Errors
/// `wrong_password`, also if there is none, or `too_many`.
pub(super) fn confirm(pages: &Pages, call: &Call<'_>, sent: Option<&str>) -> Result<(), ApiError> {
    confirm_as(pages, call, sent, in_force(pages).as_ref())
}

fn confirm_as(
    pages: &Pages,
    call: &Call<'_>,
    sent: Option<&str>,
    password: Option<&Password>,
) -> Result<(), ApiError> {
    let Some(password) = password else {
        return Ok(());
    };
    let missing = || ApiError::new(Code::WrongPassword, "The current password is missing.");
    check(pages, call, sent.ok_or_else(missing)?, password)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    current: Option<String>,
    /// Required, so that a typo in its name does not remove the password.
    new: Value,
}

/// `POST /api/v1/password`
pub(in crate::web) fn change_password(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: PasswordBody = body::read(call.request)?;
    let old = in_force(pages);
    confirm_as(pages, call, body.current.as_deref(), old.as_ref())?;
    let new = match &body.new {
        Value::Null if matches!(old, Some(Password::Given(_))) => {
            return Err(ApiError::invalid_value(
                "new",
                format!(
                    "This password comes from the environment variable {VARIABLE}. Remove it there, \
                     or set another password here."
                ),
            ));
        }
        Value::Null => None,
        Value::String(password) => Some(pages.login.hash(password)?),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(ApiError::invalid_value(
                "new",
                "The password must be a text, or null for none.",
            ));
        }
    };
    pages.settings.change(call.source(pages), |contents| {
        let mut file = present(contents)?;
        // If someone else has set one in the meantime, theirs stays.
        if pages.login.password(&file.config) != old {
            return Err(ApiError::new(
                Code::Conflict,
                "Someone else has just changed the password. Reload the page.",
            ));
        }
        config::set(&mut file.raw, KEY, new.clone().unwrap_or_default().into());
        Ok(file.raw)
    })?;
    let password_set = new.is_some() || pages.login.has_given();
    let answer = json::respond(&json!({"password_set": password_set}));
    match new {
        Some(hash) => with_session(pages, answer, &Password::Hashed(hash)),
        None => {
            let cookie = pages.login.end_session(call.request);
            Ok(answer.with_additional_header("Set-Cookie", cookie))
        }
    }
}

fn in_force(pages: &Pages) -> Option<Password> {
    pages.login.password(&pages.context.live.get())
}
