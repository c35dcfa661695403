//! The password of the pages, if there is one: how it is hashed and checked, who is logged in, and how often one may
//! try. All of it is in memory but the hash, which stands in the configuration (`gui.password_hash`).
//!
//! A session belongs to the hash under which it began: whichever way the password is changed, by a page or in the
//! file, all sessions of before have ended.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use rouille::Request;
use sha2::{Digest as _, Sha256};

use crate::system::clock::clock;
use crate::web::error::{ApiError, Code};

/// The cookie that holds a session.
const COOKIE: &str = "dpmp_session";

/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many sessions there are at a time; the oldest one makes room.
const MOST_SESSIONS: usize = 100;

/// The time over which wrong passwords are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// How many wrong passwords one address has in it.
const TRIES_OF_ONE: usize = 5;

/// How many wrong passwords all have in it together.
const TRIES_OF_ALL: usize = 20;

/// How long a password may be, in characters.
const SHORTEST: usize = 8;
const LONGEST: usize = 128;

/// Of a hash: memory in KiB, passes, lanes. Half a second on a small board, with memory that it can spare.
const MEMORY: u32 = 8 * 1024;
const PASSES: u32 = 5;
const LANES: u32 = 1;

/// Who is logged in, and what a page needs to change anything.
pub struct Login {
    token: String,
    sessions: Mutex<VecDeque<Session>>,
    attempts: Mutex<Attempts>,
    /// Hashes are made one at a time: each takes some memory.
    hashing: Mutex<()>,
}

/// Somebody who is logged in.
struct Session {
    /// Of the secret in the cookie, which is thus compared without telling anything by the time it takes.
    id: Digest,
    /// Of the password's hash at the login.
    password: Digest,
    ends: Instant,
}

type Digest = [u8; 32];

impl Login {
    /// Nobody is logged in.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self::with_token(&random_hex()?))
    }

    pub(super) fn with_token(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            sessions: Mutex::default(),
            attempts: Mutex::default(),
            hashing: Mutex::default(),
        }
    }

    /// What a page has to send with whatever changes something. It holds until the program ends.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether this client may see and change what is the owner's. `password_hash`: the present one.
    pub fn is_logged_in(&self, request: &Request, password_hash: Option<&str>) -> bool {
        let Some(hash) = password_hash else {
            return true;
        };
        let (password, now) = (digest(hash), clock());
        session_ids(request).any(|id| {
            let sessions = self.sessions.lock();
            sessions.iter().any(|session| {
                session.id == id && session.password == password && session.ends > now
            })
        })
    }

    /// Begins a session; the value of its `Set-Cookie`. `password_hash`: the present one.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn begin_session(&self, password_hash: &str) -> Result<String, ApiError> {
        let secret = random_hex().map_err(|error| ApiError::failed(&error))?;
        let now = clock();
        let session = Session {
            id: digest(&secret),
            password: digest(password_hash),
            ends: now + SESSION,
        };
        let mut sessions = self.sessions.lock();
        sessions.retain(|known| known.ends > now && known.password == session.password);
        if sessions.len() >= MOST_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back(session);
        Ok(cookie(&secret, SESSION))
    }

    /// Ends the client's session; the value of the `Set-Cookie` that removes it.
    pub fn end_session(&self, request: &Request) -> String {
        for id in session_ids(request) {
            self.sessions.lock().retain(|session| session.id != id);
        }
        cookie("", Duration::ZERO)
    }

    /// Checks a password against the present hash.
    ///
    /// # Errors
    /// `wrong_password`, or `too_many` if this address, or all together, were wrong too often.
    pub fn check_password(
        &self,
        password: &str,
        password_hash: &str,
        from: IpAddr,
    ) -> Result<(), ApiError> {
        // Counted before it is checked, so that many at a time are not more than many one after the other.
        let attempt =
            self.attempts.lock().begin(from, clock()).map_err(|wait| {
                ApiError::too_many("Too many wrong passwords. Wait a moment.", wait)
            })?;
        let right = {
            let _one_at_a_time = self.hashing.lock();
            // What is longer than any password need not be hashed.
            password.chars().count() <= LONGEST && is_password(password, password_hash)
        };
        if !right {
            return Err(ApiError::new(
                Code::WrongPassword,
                "This is not the password.",
            ));
        }
        self.attempts.lock().forget(attempt);
        Ok(())
    }

    /// The hash of a new password, in PHC form.
    ///
    /// # Errors
    /// `invalid_value` if it is too short or too long.
    pub fn hash(&self, password: &str) -> Result<String, ApiError> {
        if !(SHORTEST..=LONGEST).contains(&password.chars().count()) {
            return Err(ApiError::invalid_value(
                "new",
                format!("The password must have {SHORTEST} to {LONGEST} characters."),
            ));
        }
        let _one_at_a_time = self.hashing.lock();
        hash(password).map_err(|error| ApiError::failed(&error))
    }
}

/// Whether both are the same, in a time that does not tell where they differ.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    digest(one) == digest(other)
}

/// The wrong passwords of late, the oldest first. They are never more than `TRIES_OF_ALL`.
#[derive(Default)]
struct Attempts {
    recent: VecDeque<(Instant, IpAddr)>,
}

/// An attempt whose outcome is not known yet.
#[derive(Debug, PartialEq)]
struct Attempt(Instant, IpAddr);

impl Attempts {
    /// Counts an attempt as wrong until it is forgotten; or in how many seconds there may be another one.
    fn begin(&mut self, from: IpAddr, now: Instant) -> Result<Attempt, u64> {
        let from = household(from);
        self.recent
            .retain(|(at, _)| now.saturating_duration_since(*at) < WINDOW);
        let of_this = self.recent.iter().filter(|(_, address)| *address == from);
        // Of those that are too many, the oldest has to go by.
        let blocking = if self.recent.len() >= TRIES_OF_ALL {
            self.recent.front()
        } else if of_this.clone().count() >= TRIES_OF_ONE {
            of_this.clone().next()
        } else {
            None
        };
        if let Some((at, _)) = blocking {
            let left = WINDOW.saturating_sub(now.saturating_duration_since(*at));
            return Err(left.as_secs() + 1);
        }
        self.recent.push_back((now, from));
        Ok(Attempt(now, from))
    }

    /// It was right after all.
    fn forget(&mut self, Attempt(at, from): Attempt) {
        if let Some(index) = self.recent.iter().position(|known| *known == (at, from)) {
            self.recent.remove(index);
        }
    }
}

/// Whoever has one IPv6 address has 2^64 of them.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// The digests of the client's session cookies. There may be several, of which one is right, if another program of
/// this machine sets one.
fn session_ids(request: &Request) -> impl Iterator<Item = Digest> {
    rouille::input::cookies(request)
        .filter(|(name, value)| *name == COOKIE && !value.is_empty())
        .map(|(_, value)| digest(value))
        .take(4)
}

/// Not for scripts, and not sent along when another site links or posts to us.
fn cookie(value: &str, lasts: Duration) -> String {
    format!(
        "{COOKIE}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict",
        lasts.as_secs()
    )
}

fn digest(bytes: impl AsRef<[u8]>) -> Digest {
    Sha256::digest(bytes).into()
}

/// A secret of 256 bits.
fn random_hex() -> anyhow::Result<String> {
    Ok(hex::encode(random::<32>()?))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system has no random numbers: {error}"))?;
    Ok(bytes)
}

fn hash(password: &str) -> anyhow::Result<String> {
    let failed =
        |error: argon2::password_hash::Error| anyhow!("failed to hash the password: {error}");
    let params = Params::new(MEMORY, PASSES, LANES, None)
        .map_err(|error| anyhow!("failed to hash the password: {error}"))?;
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(failed)?;
    let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .map_err(failed)?;
    Ok(hashed.to_string())
}

/// Whether a hash is of this password. The comparison takes the same time wherever they differ.
fn is_password(password: &str, hash: &str) -> bool {
    // Memory and passes are those of the hash, which the configuration has kept within limits.
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const PASSWORD: &str = "correct horse";

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn with_cookie(set_cookie: &str) -> Request {
        let pair = set_cookie.split(';').next().unwrap();
        let headers = vec![("Cookie".to_owned(), format!("other=1; {pair}"))];
        Request::fake_http("GET", "/", headers, Vec::new())
    }

    #[test]
    fn a_hash_is_of_its_password_alone_and_the_config_takes_it() {
        let login = Login::new().unwrap();
        let hash = login.hash(PASSWORD).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8192,t=5,p=1$"), "{hash}");
        assert!(is_password(PASSWORD, &hash));
        for wrong in ["", "correct", "correct horse ", "Correct horse"] {
            assert!(!is_password(wrong, &hash));
        }
        assert_ne!(login.hash(PASSWORD).unwrap(), hash, "salted");
        let text = format!("{{\"gui\": {{\"password_hash\": {hash:?}}}}}");
        let loaded = config::parse(&text).unwrap();
        assert_eq!(loaded.config.gui.password_hash.as_deref(), Some(&*hash));
        assert!(!format!("{loaded:?}").contains("argon2"));
    }

    #[test]
    fn passwords_have_a_length() {
        let login = Login::new().unwrap();
        for wrong in ["", "1234567", "äöüäöüä", &"x".repeat(129)] {
            let error = login.hash(wrong).unwrap_err();
            assert_eq!(error.code, Code::InvalidValue);
            assert!(wrong.is_empty() || !error.message.contains(wrong));
        }
        assert!(login.hash("äöüäöüäö").is_ok());
    }

    #[test]
    fn a_session_lasts_until_its_end_or_another_password() {
        let login = Login::new().unwrap();
        let nobody = Request::fake_http("GET", "/", vec![], Vec::new());
        assert!(login.is_logged_in(&nobody, None));
        assert!(!login.is_logged_in(&nobody, Some("hash")));
        let cookie = login.begin_session("hash").unwrap();
        assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"));
        let client = with_cookie(&cookie);
        assert!(login.is_logged_in(&client, Some("hash")));
        assert!(!login.is_logged_in(&client, Some("another hash")));
        assert!(!login.is_logged_in(&with_cookie("dpmp_session=; x"), Some("hash")));
        assert!(!login.is_logged_in(&with_cookie("dpmp_session=00; x"), Some("hash")));
        let removed = login.end_session(&client);
        assert!(removed.starts_with("dpmp_session=; ") && removed.contains("Max-Age=0"));
        assert!(!login.is_logged_in(&client, Some("hash")));
    }

    #[test]
    fn sessions_are_bounded() {
        let login = Login::new().unwrap();
        let first = with_cookie(&login.begin_session("hash").unwrap());
        for _ in 1..MOST_SESSIONS {
            login.begin_session("hash").unwrap();
        }
        assert!(login.is_logged_in(&first, Some("hash")));
        login.begin_session("hash").unwrap();
        assert!(!login.is_logged_in(&first, Some("hash")));
        assert_eq!(login.sessions.lock().len(), MOST_SESSIONS);
        // A new password ends them all.
        login.begin_session("new").unwrap();
        assert_eq!(login.sessions.lock().len(), 1);
    }

    #[test]
    fn an_address_has_five_tries_a_minute() {
        let mut attempts = Attempts::default();
        let start = clock();
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        for second in 0..5 {
            assert!(
                attempts
                    .begin(one, start + Duration::from_secs(second))
                    .is_ok()
            );
        }
        let now = start + Duration::from_secs(10);
        assert_eq!(attempts.begin(one, now), Err(51));
        assert_eq!(attempts.begin(address("::ffff:10.0.0.1"), now), Err(51));
        assert!(attempts.begin(other, now).is_ok());
        // The first one is forgotten, and there is room for one more.
        assert!(attempts.begin(one, start + WINDOW).is_ok());
        assert_eq!(attempts.begin(one, start + WINDOW), Err(2));
    }

    #[test]
    fn all_addresses_have_twenty_together() {
        let mut attempts = Attempts::default();
        let now = clock();
        for last in 0..20 {
            assert!(
                attempts
                    .begin(address(&format!("10.0.1.{last}")), now)
                    .is_ok()
            );
        }
        assert!(attempts.begin(address("10.9.9.9"), now).is_err());
        assert_eq!(attempts.recent.len(), TRIES_OF_ALL);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let mut attempts = Attempts::default();
        let now = clock();
        for last in 0..5 {
            let from = address(&format!("2001:db8::{last}"));
            assert!(attempts.begin(from, now).is_ok());
        }
        assert!(attempts.begin(address("2001:db8::ff"), now).is_err());
        assert!(attempts.begin(address("2001:db8:0:1::1"), now).is_ok());
    }

    #[test]
    fn right_passwords_do_not_count() {
        let login = Login::new().unwrap();
        let hash = login.hash(PASSWORD).unwrap();
        let from = address("10.0.0.1");
        for _ in 0..4 {
            let error = login.check_password("wrong", &hash, from).unwrap_err();
            assert_eq!(error.code, Code::WrongPassword);
        }
        for _ in 0..3 {
            assert_eq!(login.check_password(PASSWORD, &hash, from), Ok(()));
        }
        assert!(
            login
                .check_password(&"x".repeat(1000), &hash, from)
                .is_err()
        );
        let error = login.check_password(PASSWORD, &hash, from).unwrap_err();
        assert_eq!(error.code, Code::TooMany);
        assert!(error.retry_after.is_some_and(|seconds| seconds <= 61));
    }
}
