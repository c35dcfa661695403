//! Why a request to the API failed, and how the client learns about it: one format for all errors, `{"error": {"code",
//! "message", "field"}}`.

use std::borrow::Cow;
use std::fmt;

use rouille::{Request, Response};
use serde_json::{Value, json};

use crate::config::Fault;
use crate::shell::settings::SaveError;
use crate::units::named;
use crate::web::plain::without_codes;
use crate::web::{html, json};

/// What a handler of the API returns.
pub type Answer = Result<Response, ApiError>;

named! {
    /// The kind of error. Clients use its name, which never changes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Code {
        /// The request is invalid.
        BadRequest = "bad_request",
        /// A password is set, and this client is not logged in.
        LoginRequired = "login_required",
        /// The password is wrong.
        WrongPassword = "wrong_password",
        /// A program's token is unknown.
        WrongToken = "wrong_token",
        /// The Host of the request is not one of our names; names must be allowed.
        BadHost = "bad_host",
        /// The request comes from another web site.
        BadOrigin = "bad_origin",
        /// The token of `GET /api/v1/session` is missing or old.
        BadToken = "bad_token",
        /// A program's token does not allow this.
        NotPermitted = "not_permitted",
        /// It does not exist.
        NotFound = "not_found",
        /// The method is not allowed.
        MethodNotAllowed = "method_not_allowed",
        /// It has changed since the client read it.
        Conflict = "conflict",
        /// The body is too long.
        TooLarge = "too_large",
        /// The content type is not JSON.
        NotJson = "not_json",
        /// The configuration would be invalid.
        InvalidConfig = "invalid_config",
        /// A single value is not allowed.
        InvalidValue = "invalid_value",
        /// Too often, or too many at a time.
        TooMany = "too_many",
        /// An error in DPMP or the system.
        Failed = "failed",
        /// Not at the moment.
        Unavailable = "unavailable",
    }
}

impl Code {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::LoginRequired | Self::WrongPassword | Self::WrongToken => 401,
            Self::BadHost | Self::BadOrigin | Self::BadToken | Self::NotPermitted => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::NotJson => 415,
            Self::InvalidConfig | Self::InvalidValue => 422,
            Self::TooMany => 429,
            Self::Failed => 500,
            Self::Unavailable => 503,
        }
    }
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The kind of error.
    pub code: Code,
    /// A sentence for people, without secrets.
    pub message: Cow<'static, str>,
    /// The wrong key of the configuration, or field of the request.
    pub field: Option<String>,
    /// All faults, if a configuration was refused.
    pub details: Vec<Fault>,
    /// After how many seconds the client may try again.
    pub retry_after: Option<u64>,
}

impl ApiError {
    /// Creates an error with its message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self {
            code,
            message: match without_codes(&message) {
                Cow::Borrowed(_) => message,
                Cow::Owned(plain) => plain.into(),
            },
            field: None,
            details: Vec::new(),
            retry_after: None,
        }
    }

    /// The request is invalid.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// It does not exist.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// A field's value is not allowed.
    pub fn invalid_value(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(Code::InvalidValue, message)
        }
    }

    /// A configuration was refused, for at least one reason.
    pub fn invalid_config(faults: Vec<Fault>) -> Self {
        let message = match faults.as_slice() {
            [only] => format!("The configuration is not valid: {only}"),
            more => format!("The configuration is not valid, in {} places.", more.len()),
        };
        Self {
            field: faults.first().map(|fault| fault.path.clone()),
            details: faults,
            ..Self::new(Code::InvalidConfig, message)
        }
    }

    /// Not before this many seconds have passed.
    pub fn too_many(message: impl Into<Cow<'static, str>>, retry_after: u64) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(Code::TooMany, message)
        }
    }

    /// It failed in DPMP or the system, with all causes.
    pub fn failed(error: &anyhow::Error) -> Self {
        Self::new(Code::Failed, format!("{error:#}"))
    }

    /// The answer to the client: a page if a browser wants one, otherwise JSON.
    pub fn response_to(&self, request: &Request) -> Response {
        if wants_page(request) {
            self.page()
        } else {
            self.response()
        }
    }

    /// The error as a page.
    fn page(&self) -> Response {
        let message = html::escaped(&self.message);
        let title = if self.code == Code::NotFound {
            "No such page"
        } else {
            "DPMP cannot show this page"
        };
        let body = format!("<h1>{title}</h1>\n<p>{message}</p>\n");
        let page = html::page(title, &body);
        let plain = self.response();
        let Response { headers, .. } = plain;
        let retry = headers
            .into_iter()
            .filter(|(name, _)| name == "Retry-After");
        let mut response = Response::html(page).with_status_code(self.code.status());
        response.headers.extend(retry);
        response.with_unique_header("Cache-Control", "no-store")
    }

    /// The answer to the client.
    pub fn response(&self) -> Response {
        let mut error = json!({
            "code": self.code.name(),
            "message": self.message,
            "field": self.field,
        });
        if !self.details.is_empty() {
            error["details"] = self.details.iter().map(fault_json).collect();
        }
        let response =
            json::respond(&json!({ "error": error })).with_status_code(self.code.status());
        match self.retry_after {
            Some(seconds) => response.with_additional_header("Retry-After", seconds.to_string()),
            None => response,
        }
    }
}

/// Whether it comes from a browser that wants to show a page.
pub fn wants_page(request: &Request) -> bool {
    let accepted = request.header("Accept");
    accepted.is_some_and(|kinds| kinds.contains("text/html"))
}

/// The answer in the same format to an invalid HTTP request.
pub fn refusal(status: u16) -> Response {
    let (code, message) = match status {
        408 => ("too_slow", "The request took too long to arrive."),
        411 => (
            "length_required",
            "A request with a body needs a Content-Length.",
        ),
        413 => ("too_large", "The body is larger than 1 MiB."),
        417 => (
            "bad_request",
            "DPMP only supports the expectation 100-continue.",
        ),
        431 => (
            "head_too_large",
            "The request's headers are too large or too many.",
        ),
        500 => ("failed", "DPMP failed to answer. The log says why."),
        503 => (
            "unavailable",
            "Too many connections are open. Try again in a second.",
        ),
        505 => ("bad_request", "DPMP only supports HTTP/1.0 and HTTP/1.1."),
        _ => ("bad_request", "This is not a valid HTTP request."),
    };
    let error = json!({"code": code, "message": message, "field": null});
    let response = json::respond(&json!({ "error": error })).with_status_code(status);
    if status == 503 {
        return response.with_additional_header("Retry-After", "1");
    }
    response
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for ApiError {}

impl From<SaveError> for ApiError {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Invalid(errors) => Self::invalid_config(errors.faults),
            SaveError::Failed(error) => Self::failed(&error),
            SaveError::NotInForce => Self::new(
                Code::Unavailable,
                "This is saved, but not in force yet: DPMP is stopping, or very busy.",
            ),
        }
    }
}

/// A fault of a configuration in the API's format.
pub fn fault_json(fault: &Fault) -> Value {
    json!({
        "field": fault.path,
        "found": fault.found,
        "allowed": fault.allowed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(response: Response) -> Value {
        let (mut reader, _) = response.data.into_reader_and_size();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn error_names_differ_and_their_statuses_are_errors() {
        let mut names = Code::ALL.map(Code::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(
            Code::ALL
                .iter()
                .all(|code| (400..600).contains(&code.status()))
        );
        assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
    }

    #[test]
    fn an_error_has_the_documented_form() {
        let error = ApiError::invalid_value("A", "The weight must be a number.");
        assert_eq!(error.response().status_code, 422);
        assert_eq!(
            body(error.response()),
            json!({"error": {
                "code": "invalid_value",
                "message": "The weight must be a number.",
                "field": "A",
            }})
        );
        let error = ApiError::too_many("Too many wrong passwords.", 42);
        let headers = error.response().headers;
        assert!(
            headers
                .iter()
                .any(|(name, value)| name == "Retry-After" && value == "42")
        );
    }

    #[test]
    fn an_invalid_request_is_refused_in_the_same_form() {
        for status in [400, 408, 411, 413, 417, 431, 500, 503, 505] {
            let response = refusal(status);
            assert_eq!(response.status_code, status);
            let may_retry = response
                .headers
                .iter()
                .any(|(name, _)| name == "Retry-After");
            assert_eq!(may_retry, status == 503);
            let error = body(response);
            assert!(error["error"]["code"].is_string() && error["error"]["field"].is_null());
        }
    }

    #[test]
    fn a_browser_gets_an_error_page_and_a_program_gets_json() {
        let error = ApiError::new(Code::BadHost, "Not <b>here</b>, \"you\" & me.");
        let asks = |accept: &str| {
            let headers = vec![("Accept".to_owned(), accept.to_owned())];
            let response = error.response_to(&Request::fake_http("GET", "/", headers, Vec::new()));
            let kind = response.headers.iter().find(|it| it.0 == "Content-Type");
            let kind = kind.unwrap().1.to_string();
            let (mut reader, _) = response.data.into_reader_and_size();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
            (response.status_code, kind, text)
        };
        let (status, kind, page) = asks("text/html,application/xhtml+xml,*/*;q=0.8");
        assert_eq!(status, 403);
        assert!(kind.starts_with("text/html"), "{kind}");
        assert!(page.contains("Not &lt;b&gt;here&lt;/b&gt;"), "{page}");
        let (status, kind, _) = asks("*/*");
        assert_eq!(status, 403);
        assert!(kind.starts_with("application/json"), "{kind}");
    }

    #[test]
    fn every_config_fault_is_listed() {
        let fault = |path: &str| Fault {
            path: path.into(),
            found: "5".into(),
            allowed: "a text".into(),
        };
        let error = ApiError::invalid_config(vec![fault("pools.A.wallet"), fault("listen.host")]);
        let body = body(error.response());
        assert_eq!(body["error"]["field"], "pools.A.wallet");
        assert_eq!(
            body["error"]["details"][1],
            json!({"field": "listen.host", "found": "5", "allowed": "a text"})
        );
    }
}
