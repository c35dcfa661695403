//! The password of the pages, if there is one: how it is hashed and checked, and who is logged in.
//! [`attempts`](super::attempts) decides how often someone may try.
//!
//! The configuration has its hash (`gui.password_hash`); without one, the environment may provide a password, as an app
//! store does. A session belongs to the password under which it began: however the password changes, all earlier
//! sessions end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use rouille::Request;
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::random::secret;
use crate::system::clock::clock;
use crate::web::attempts::{Attempts, Browser, Caller, Mark, WrongTries};
use crate::web::error::{ApiError, Code};

/// The cookie that holds a session.
const COOKIE: &str = "dpmp_session";

/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(30 * 24 * 3600);

/// The maximum number of sessions; the oldest one makes room.
const MOST_SESSIONS: usize = 100;

/// The cookie by which a browser is recognized, and how long it lasts: as long as browsers allow.
const BROWSER: &str = "dpmp_browser";
const BROWSER_LASTS: Duration = Duration::from_secs(400 * 24 * 3600);

/// The environment variable that may contain a password.
pub const VARIABLE: &str = "DPMP_PASSWORD";

/// The allowed lengths of a password, in characters.
const SHORTEST: usize = 8;
const LONGEST: usize = 128;

/// The parameters of a hash: memory in KiB, passes, lanes. It takes half a second on a small board, with memory that it
/// can spare.
const MEMORY: u32 = 8 * 1024;
const PASSES: u32 = 5;
const LANES: u32 = 1;

/// Logins, and the token that a page needs to change anything.
pub struct Login {
    token: String,
    /// The password from the environment.
    given: Option<String>,
    sessions: Mutex<VecDeque<Session>>,
    attempts: Attempts,
    /// A secret of this run that signs the cookies of visitors.
    secret: Digest,
}

/// The password in force.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// From the configuration, as a hash in PHC form.
    Hashed(String),
    /// From the environment.
    Given(String),
}

impl Password {
    /// A digest that identifies it.
    fn mark(&self) -> Digest {
        match self {
            Self::Hashed(hash) => digest(hash),
            Self::Given(password) => digest(digest(password)),
        }
    }

    fn is(&self, password: &str) -> bool {
        match self {
            Self::Hashed(hash) => is_password(password, hash),
            Self::Given(given) => same(given.as_bytes(), password.as_bytes()),
        }
    }
}

/// A client that is logged in.
struct Session {
    /// The digest of the cookie's secret. Comparing digests reveals nothing through the time that it takes.
    id: Digest,
    /// The digest of the password at login.
    password: Digest,
    ends: Instant,
}

type Digest = Mark;

impl Login {
    /// Creates a state without logins. The environment may contain a password.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new() -> anyhow::Result<Self> {
        let given = std::env::var(VARIABLE).ok();
        Ok(Self {
            given: given.filter(|password| !password.is_empty()),
            secret: secret()?,
            ..Self::with_token(&random_hex()?)
        })
    }

    pub(super) fn with_token(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            given: None,
            sessions: Mutex::default(),
            attempts: Attempts::default(),
            secret: Digest::default(),
        }
    }

    /// The password in force: the configuration's, otherwise the environment's.
    pub fn password(&self, config: &Config) -> Option<Password> {
        let own = config.gui.password_hash.clone();
        let own = own.map(|hash| Password::Hashed(hash.0));
        own.or_else(|| self.given.clone().map(Password::Given))
    }

    /// Whether there is a password in the environment.
    pub fn has_given(&self) -> bool {
        self.given.is_some()
    }

    /// The wrong passwords of the last hour, if any.
    pub fn wrong_lately(&self) -> Option<WrongTries> {
        self.attempts.wrong_lately()
    }

    /// The token that a page must send with every change. It is valid until DPMP stops.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether this client has the owner's access. `password`: the one in force.
    pub fn is_logged_in(&self, request: &Request, password: Option<&Password>) -> bool {
        password.is_none_or(|password| self.session(request, password).is_some())
    }

    /// The client's session, if it has one under this password.
    fn session(&self, request: &Request, password: &Password) -> Option<Digest> {
        let (password, now) = (password.mark(), clock());
        marks(request, COOKIE).find(|id| {
            let sessions = self.sessions.lock();
            sessions.iter().any(|session| {
                session.id == *id && session.password == password && session.ends > now
            })
        })
    }

    /// Starts a session. Returns the values of its `Set-Cookie`. `password`: the one in force.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn begin_session(&self, password: &Password) -> Result<[String; 2], ApiError> {
        let failed = |error| ApiError::failed(&error);
        let secret = random_hex().map_err(failed)?;
        let now = clock();
        let session = Session {
            id: digest(&secret),
            password: password.mark(),
            ends: now + SESSION,
        };
        let known = signed_cookie(&known_key(password)).map_err(failed)?;
        let mut sessions = self.sessions.lock();
        sessions.retain(|known| known.ends > now && known.password == session.password);
        if sessions.len() >= MOST_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back(session);
        Ok([cookie(COOKIE, &secret, SESSION), known])
    }

    /// The `Set-Cookie` for a browser that opened the pages and has no cookie yet.
    pub fn greet(&self, request: &Request, password: &Password) -> Option<String> {
        match self.browser(request, password) {
            Browser::Known(_) | Browser::Visitor(_) => None,
            Browser::Unknown => signed_cookie(&self.secret).ok(),
        }
    }

    fn browser(&self, request: &Request, password: &Password) -> Browser {
        if let Some(session) = self.session(request, password) {
            return Browser::Known(session);
        }
        let known = known_key(password);
        let mut visitor = Browser::Unknown;
        for (_, value) in rouille::input::cookies(request)
            .filter(|it| it.0 == BROWSER)
            .take(4)
        {
            let signed_by = |key| is_signed(value, key);
            if signed_by(&known) {
                return Browser::Known(digest(value));
            }
            if signed_by(&self.secret) {
                visitor = Browser::Visitor(digest(value));
            }
        }
        visitor
    }

    /// Ends the client's session. Returns the value of the `Set-Cookie` that removes it.
    pub fn end_session(&self, request: &Request) -> String {
        for id in marks(request, COOKIE) {
            self.sessions.lock().retain(|session| session.id != id);
        }
        cookie(COOKIE, "", Duration::ZERO)
    }

    /// Checks a password against the one in force, once this client may try.
    ///
    /// # Errors
    /// `wrong_password`; or `too_many` if too many wait already.
    pub fn check_password(
        &self,
        sent: &str,
        password: &Password,
        request: &Request,
    ) -> Result<(), ApiError> {
        let caller = Caller {
            from: request.remote_addr().ip(),
            browser: self.browser(request, password),
        };
        let permit = self.attempts.wait(caller).map_err(|wait| {
            ApiError::too_many(
                "Too many passwords are being tried. Try again in a moment.",
                wait,
            )
        })?;
        // Text that is longer than any password does not need hashing.
        let fits = match password {
            Password::Hashed(_) => sent.chars().count() <= LONGEST,
            Password::Given(_) => true,
        };
        if fits && password.is(sent) {
            return Ok(());
        }
        permit.was_wrong();
        Err(ApiError::new(Code::WrongPassword, "The password is wrong."))
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
        hash(password).map_err(|error| ApiError::failed(&error))
    }
}

/// Whether both are equal, in a time that does not reveal where they differ.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    digest(one) == digest(other)
}

/// The digests of the client's cookies with this name. There may be several if another program on this machine sets
/// one.
fn marks<'a>(request: &'a Request, name: &'static str) -> impl Iterator<Item = Digest> + 'a {
    rouille::input::cookies(request)
        .filter(move |(found, value)| *found == name && !value.is_empty())
        .map(|(_, value)| digest(value))
        .take(4)
}

/// Not for scripts, and not sent when another site links or posts to us.
fn cookie(name: &str, value: &str, lasts: Duration) -> String {
    format!(
        "{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict",
        lasts.as_secs()
    )
}

/// The key that signs the cookies of browsers that entered this password: the same after a restart, a new one with a
/// new password.
fn known_key(password: &Password) -> Digest {
    let mut text = b"known browser ".to_vec();
    text.extend(password.mark());
    digest(text)
}

/// A unique cookie for a browser: a random number and its signature.
fn signed_cookie(key: &Digest) -> anyhow::Result<String> {
    let id = random_hex()?;
    let value = format!("{id}.{}", hex::encode(signature(&id, key)));
    Ok(cookie(BROWSER, &value, BROWSER_LASTS))
}

fn is_signed(value: &str, key: &Digest) -> bool {
    value.split_once('.').is_some_and(|(id, signed)| {
        same(
            hex::encode(signature(id, key)).as_bytes(),
            signed.as_bytes(),
        )
    })
}

/// The outer digest prevents extending a signed text.
fn signature(id: &str, key: &Digest) -> Digest {
    digest(
        [
            key.as_slice(),
            &digest([key.as_slice(), id.as_bytes()].concat()),
        ]
        .concat(),
    )
}

fn digest(bytes: impl AsRef<[u8]>) -> Digest {
    Sha256::digest(bytes).into()
}

/// A secret of 256 bits.
fn random_hex() -> anyhow::Result<String> {
    Ok(hex::encode(secret::<32>()?))
}

fn hash(password: &str) -> anyhow::Result<String> {
    let failed =
        |error: argon2::password_hash::Error| anyhow!("failed to hash the password: {error}");
    let params = Params::new(MEMORY, PASSES, LANES, None)
        .map_err(|error| anyhow!("failed to hash the password: {error}"))?;
    let salt = SaltString::encode_b64(&secret::<16>()?).map_err(failed)?;
    let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .map_err(failed)?;
    Ok(hashed.to_string())
}

/// Whether a hash belongs to this password. The comparison takes the same time regardless of where they differ.
fn is_password(password: &str, hash: &str) -> bool {
    // Memory and passes come from the hash, which the configuration limits.
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
    use crate::config::Hidden;

    const PASSWORD: &str = "correct horse";

    fn hashed(hash: &str) -> Password {
        Password::Hashed(hash.to_owned())
    }

    fn with_cookie(set_cookie: &str) -> Request {
        let pair = set_cookie.split(';').next().unwrap();
        let headers = vec![("Cookie".to_owned(), format!("other=1; {pair}"))];
        Request::fake_http("GET", "/", headers, Vec::new())
    }

    #[test]
    fn a_hash_fits_only_its_password_and_is_valid_in_the_config() {
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
    fn passwords_have_a_length_limit() {
        let login = Login::new().unwrap();
        for wrong in ["", "1234567", "äöüäöüä", &"x".repeat(129)] {
            let error = login.hash(wrong).unwrap_err();
            assert_eq!(error.code, Code::InvalidValue);
            assert!(wrong.is_empty() || !error.message.contains(wrong));
        }
        assert!(login.hash("äöüäöüäö").is_ok());
    }

    #[test]
    fn a_session_ends_at_its_limit_or_with_a_new_password() {
        let login = Login::new().unwrap();
        let nobody = Request::fake_http("GET", "/", vec![], Vec::new());
        assert!(login.is_logged_in(&nobody, None));
        let (hash, another) = (hashed("hash"), hashed("another hash"));
        assert!(!login.is_logged_in(&nobody, Some(&hash)));
        let [cookie, _] = login.begin_session(&hash).unwrap();
        assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"));
        let client = with_cookie(&cookie);
        assert!(login.is_logged_in(&client, Some(&hash)));
        assert!(!login.is_logged_in(&client, Some(&another)));
        assert!(!login.is_logged_in(&with_cookie("dpmp_session=; x"), Some(&hash)));
        assert!(!login.is_logged_in(&with_cookie("dpmp_session=00; x"), Some(&hash)));
        let removed = login.end_session(&client);
        assert!(removed.starts_with("dpmp_session=; ") && removed.contains("Max-Age=0"));
        assert!(!login.is_logged_in(&client, Some(&hash)));
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let login = Login::new().unwrap();
        let hash = hashed("hash");
        let first = with_cookie(&login.begin_session(&hash).unwrap()[0]);
        for _ in 1..MOST_SESSIONS {
            login.begin_session(&hash).unwrap();
        }
        assert!(login.is_logged_in(&first, Some(&hash)));
        login.begin_session(&hash).unwrap();
        assert!(!login.is_logged_in(&first, Some(&hash)));
        assert_eq!(login.sessions.lock().len(), MOST_SESSIONS);
        // A new password ends them all.
        login.begin_session(&hashed("new")).unwrap();
        assert_eq!(login.sessions.lock().len(), 1);
    }

    #[test]
    fn a_known_browser_has_a_cookie_that_only_the_password_gives() {
        let login = Login::with_token("t");
        let password = hashed("hash");
        let nobody = Request::fake_http("GET", "/", vec![], Vec::new());
        assert_eq!(login.browser(&nobody, &password), Browser::Unknown);
        let greeted = with_cookie(&login.greet(&nobody, &password).unwrap());
        assert!(matches!(
            login.browser(&greeted, &password),
            Browser::Visitor(_)
        ));
        assert_eq!(login.greet(&greeted, &password), None);
        let [session, known] = login.begin_session(&password).unwrap();
        let known = with_cookie(&known);
        assert!(matches!(
            login.browser(&with_cookie(&session), &password),
            Browser::Known(_)
        ));
        assert!(matches!(
            login.browser(&known, &password),
            Browser::Known(_)
        ));
        assert!(!login.is_logged_in(&known, Some(&password)));
        // Recognized even after a restart, but not with another password.
        let restarted = Login::with_token("u");
        assert!(matches!(
            restarted.browser(&known, &password),
            Browser::Known(_)
        ));
        assert_eq!(
            restarted.browser(&known, &hashed("another")),
            Browser::Unknown
        );
        for made_up in [
            "dpmp_browser=a.b",
            "dpmp_browser=",
            "dpmp_browser=.",
            "dpmp_browser=x",
        ] {
            assert_eq!(
                login.browser(&with_cookie(made_up), &password),
                Browser::Unknown
            );
        }
    }

    #[test]
    fn the_config_password_overrides_the_environment() {
        let login = Login {
            given: Some("of the app".into()),
            ..Login::with_token("t")
        };
        let mut config = Config::default();
        let given = login.password(&config).unwrap();
        assert!(given.is("of the app") && !given.is("of the app ") && !given.is(""));
        config.gui.password_hash = Some(Hidden(hash(PASSWORD).unwrap()));
        let own = login.password(&config).unwrap();
        assert!(own.is(PASSWORD) && !own.is("of the app"));
        assert!(
            Login::with_token("t")
                .password(&Config::default())
                .is_none()
        );
    }

    #[test]
    fn the_right_password_works_after_any_number_of_wrong_ones() {
        let login = Login::with_token("t");
        let password = hashed(&hash(PASSWORD).unwrap());
        let nobody = Request::fake_http("POST", "/", vec![], Vec::new());
        let wrong = ["wrong".to_owned(), "x".repeat(1000)];
        for wrong in wrong.iter().cycle().take(8) {
            let error = login.check_password(wrong, &password, &nobody).unwrap_err();
            assert_eq!(error.code, Code::WrongPassword);
        }
        assert_eq!(login.check_password(PASSWORD, &password, &nobody), Ok(()));
        assert_eq!(login.wrong_lately().unwrap().count, 8);
    }
}
