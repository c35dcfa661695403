//! What a client of the API sends, in JSON.

use std::io::Read;

use rouille::Request;
use serde::de::DeserializeOwned;

use crate::web::error::{ApiError, Code};

/// Reads the body of a request, which the server has kept within its limits.
///
/// # Errors
/// If it is not JSON of this form.
pub(super) fn read<T: DeserializeOwned>(request: &Request) -> Result<T, ApiError> {
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
    use serde::Deserialize;

    use super::*;

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
}
