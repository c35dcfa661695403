//! Programs that use the API: each has a token that the owner created for it, and may do what the token allows.
//!
//! - A token is sent as `Authorization: Bearer dpmp_…`. Another web site can neither have it nor make a browser send
//!   it, so the request needs nothing else. A value that does not begin like one of our tokens is ignored: a reverse
//!   proxy may have added it.
//! - The configuration only holds a token's SHA-256. Passwords need a slow hash because people choose them; a token is
//!   256 random bits, which no one can guess.
//! - The right token never waits. After some wrong ones, further wrong ones are answered later, as with passwords. They
//!   are counted separately, so no login becomes slower.

use std::collections::BTreeMap;

use rouille::Request;
use sha2::{Digest as _, Sha256};

use crate::config::{ApiToken, Hidden, May};
use crate::random::secret;
use crate::web::attempts::{Attempts, Browser, Caller};
use crate::web::error::{ApiError, Code};

/// The prefix of all tokens, so that they are recognized in a file or a log where they should not be.
const PREFIX: &str = "dpmp_";

/// Checks programs' tokens.
#[derive(Default)]
pub struct Tokens {
    wrong: Attempts,
}

/// A new token, which is shown once, and its entry in the configuration.
///
/// # Errors
/// If the system has no random numbers.
pub(super) fn make(may: May) -> anyhow::Result<(String, ApiToken)> {
    let token = format!("{PREFIX}{}", hex::encode(secret::<32>()?));
    let hash = Hidden(hash(&token));
    Ok((token, ApiToken { hash, may }))
}

/// The token that a request carries, if any.
pub(super) fn sent(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("Authorization")?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("Bearer") && token.starts_with(PREFIX)).then_some(token)
}

impl Tokens {
    /// Allows a request with this token, if the token allows what is `needed`; `None`: not for programs.
    ///
    /// # Errors
    /// `wrong_token` after a while, `too_many` if many wrong ones wait already, or `not_permitted`.
    pub(super) fn admit(
        &self,
        request: &Request,
        token: &str,
        known: &BTreeMap<String, ApiToken>,
        needed: Option<May>,
    ) -> Result<(), ApiError> {
        let Some((_, may)) = find(token, known) else {
            return Err(self.refuse(request));
        };
        if needed.is_some_and(|needed| needed <= may) {
            return Ok(());
        }
        let message = match (needed, may) {
            (Some(May::Steer), May::View) => {
                "This token may only read. Create one for steering on the Config page."
            }
            (Some(May::View | May::Steer) | None, May::View | May::Steer) => {
                "Tokens do not allow this. Use the pages instead."
            }
        };
        Err(ApiError::new(Code::NotPermitted, message))
    }

    fn refuse(&self, request: &Request) -> ApiError {
        let caller = Caller {
            from: request.remote_addr().ip(),
            browser: Browser::Unknown,
        };
        match self.wrong.wait(caller) {
            Err(wait) => ApiError::too_many(
                "Too many wrong tokens are being tried. Try again later.",
                wait,
            ),
            Ok(permit) => {
                permit.was_wrong();
                ApiError::new(
                    Code::WrongToken,
                    "This token does not exist. It may have been revoked; create a new one on the Config page.",
                )
            }
        }
    }
}

/// The name of the token in a request.
pub(super) fn name_of<'a>(
    request: &Request,
    known: &'a BTreeMap<String, ApiToken>,
) -> Option<&'a str> {
    find(sent(request)?, known).map(|(name, _)| name)
}

/// The name of a token and what it allows. All hashes are compared, so the time reveals nothing about how much of a
/// token is right.
fn find<'a>(token: &str, known: &'a BTreeMap<String, ApiToken>) -> Option<(&'a str, May)> {
    let sent = hash(token);
    known
        .iter()
        .filter(|(_, token)| *token.hash == *sent)
        .map(|(name, token)| (name.as_str(), token.may))
        .max_by_key(|(_, may)| *may)
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(value: &str) -> Request {
        let headers = vec![("Authorization".to_owned(), value.to_owned())];
        Request::fake_http("GET", "/", headers, Vec::new())
    }

    #[test]
    fn a_token_is_found_wherever_programs_put_it() {
        for (header, token) in [
            ("Bearer dpmp_1", Some("dpmp_1")),
            ("bearer  dpmp_1 ", Some("dpmp_1")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Bearer of_another", None),
            ("Basic dpmp_1", None),
            ("dpmp_1", None),
        ] {
            assert_eq!(sent(&with_header(header)), token, "{header}");
        }
        assert_eq!(
            sent(&Request::fake_http("GET", "/", vec![], Vec::new())),
            None
        );
    }

    #[test]
    fn a_token_allows_only_what_it_was_created_for() {
        let tokens = Tokens::default();
        let (view, of_view) = make(May::View).unwrap();
        let (steer, of_steer) = make(May::Steer).unwrap();
        assert_ne!(view, steer);
        assert!(!of_view.hash.contains(&view[PREFIX.len()..]));
        let known = [("a".to_owned(), of_view), ("b".to_owned(), of_steer)].into();
        let request = with_header("");
        let admit = |token: &str, needed| {
            let admitted = tokens.admit(&request, token, &known, needed);
            admitted.map_err(|error| error.code)
        };
        assert_eq!(admit(&view, Some(May::View)), Ok(()));
        assert_eq!(admit(&steer, Some(May::View)), Ok(()));
        assert_eq!(admit(&steer, Some(May::Steer)), Ok(()));
        assert_eq!(admit(&view, Some(May::Steer)), Err(Code::NotPermitted));
        for token in [&view, &steer] {
            assert_eq!(admit(token, None), Err(Code::NotPermitted));
        }
        for wrong in ["dpmp_", &view[..view.len() - 1], &format!("{view}0")] {
            assert_eq!(admit(wrong, Some(May::View)), Err(Code::WrongToken));
        }
        assert_eq!(tokens.wrong.wrong_lately().unwrap().count, 3);
    }
}
