//! The API's answers, in JSON.

use rouille::Response;
use serde::Serialize;

/// An answer in JSON. It must not be cached, because it describes the current state.
pub fn respond(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => Response::from_data("application/json; charset=utf-8", bytes)
            .with_unique_header("Cache-Control", "no-store"),
        // Only a map with keys other than texts cannot be written, and there is none.
        Err(error) => Response::text(format!("{error}\n")).with_status_code(500),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_must_not_be_cached() {
        let response = respond(&json!({"a": 1}));
        assert_eq!(response.status_code, 200);
        assert!(
            response
                .headers
                .iter()
                .any(|(name, value)| name == "Cache-Control" && value == "no-store")
        );
    }
}
