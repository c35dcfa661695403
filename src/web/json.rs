//! JSON in and out of the API.

use std::io::Read;

use rouille::{Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::web::error::{ApiError, Code};

/// An answer in JSON. What it says is of the moment, so nobody may keep it.
pub fn respond(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => Response::from_data("application/json; charset=utf-8", bytes)
            .with_unique_header("Cache-Control", "no-store"),
        // Only a map whose keys are no texts could not be written; we have none.
        Err(error) => Response::text(format!("{error}\n")).with_status_code(500),
    }
}

/// Reads the body of a request, which the server has kept within its limits.
///
/// # Errors
/// If it is not JSON of this form.
pub fn read<T: DeserializeOwned>(request: &Request) -> Result<T, ApiError> {
    let mut bytes = Vec::new();
    let mut body = request
        .data()
        .ok_or_else(|| ApiError::new(Code::Failed, "The body of the request was read before."))?;
    body.read_to_end(&mut bytes)
        .map_err(|error| ApiError::bad_request(format!("The body cannot be read: {error}")))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::bad_request(format!("The body is not what is needed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Body {
        number: u32,
    }

    fn read_body(text: &str) -> Result<Body, ApiError> {
        read(&Request::fake_http("POST", "/", vec![], text.into()))
    }

    #[test]
    fn a_body_has_to_have_its_form() {
        assert_eq!(read_body(r#"{"number": 5}"#), Ok(Body { number: 5 }));
        for wrong in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"number": "5"}"#,
            r#"{"number":5,"x":1}"#,
        ] {
            assert_eq!(
                read_body(wrong).unwrap_err().code,
                Code::BadRequest,
                "{wrong}"
            );
        }
    }

    #[test]
    fn nobody_keeps_an_answer() {
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
