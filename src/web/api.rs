//! The API under `/api/v1`, as `docs/api.md` describes it: a file for each group of routes.

pub(super) mod config;
pub(super) mod events;
pub(super) mod logs;
pub(super) mod pool_test;
pub(super) mod session;
pub(super) mod weights;

use rouille::Response;
use serde_json::json;

/// An error as the API tells it. `code` is for programs, `message` a sentence for people.
pub(super) fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"error": {"code": code, "message": message, "field": null}});
    Response::from_data("application/json", body.to_string())
        .with_status_code(status)
        .with_additional_header("Cache-Control", "no-store")
}
