//! What the functions behind the routes can use, and what is known about a client.
//!
//! [`gui`](super::gui) decides which path leads to which function.

use std::net::SocketAddr;
use std::sync::Arc;

use rouille::Request;

use crate::config::Config;
use crate::core::event::Source;
use crate::history::History;
use crate::ledger::Ledger;
use crate::notify::journal::Journal;
use crate::observe::latest::LatestSnapshot;
use crate::shell::inbox::Context;
use crate::shell::settings::Settings;
use crate::web::api::SharedAnswer;
use crate::web::api::alerts::Dismissals;
use crate::web::api::config::copies::Copies;
use crate::web::files::Files;
use crate::web::limit::{Pace, Places};
use crate::web::login::Login;
use crate::web::tokens::{self, Tokens};

/// The maximum number of pool tests at a time.
pub const MOST_POOL_TESTS: usize = 2;

/// The maximum number of test messages at a time.
pub const MOST_TEST_MESSAGES: usize = 4;

/// The maximum number of log downloads at a time.
pub const MOST_DOWNLOADS: usize = 1;

/// The maximum number of log searches at a time.
pub const MOST_LOG_SEARCHES: usize = 4;

/// Everything that the functions behind the routes can use.
pub struct Pages {
    /// The newest snapshot.
    pub published: Arc<LatestSnapshot>,
    /// The history of the last minutes, hours and days.
    pub history: Arc<History>,
    /// The ledger of each day's work.
    pub ledger: Arc<Ledger>,
    /// The messages sent to the owner.
    pub journal: Arc<Journal>,
    /// The scheduler's inbox, the configuration in force, the log and the metrics.
    pub context: Context,
    /// The configuration file and its changes.
    pub settings: Arc<Settings>,
    /// The logins.
    pub login: Login,
    /// The programs' tokens.
    pub tokens: Tokens,
    /// Places for pool tests.
    pub pool_tests: Places,
    /// Places for test messages.
    pub test_messages: Places,
    /// Places for downloads of the log.
    pub downloads: Places,
    /// Places for searches of the log.
    pub log_searches: Places,
    /// The configuration at the start, which still applies to settings that need a restart.
    pub started_with: Arc<Config>,
    /// Where miners connect.
    pub miners: SocketAddr,
    /// The number of this run of DPMP.
    pub instance: Arc<str>,
    /// State that only the pages use.
    pub own: PagesState,
}

/// State that only the pages use.
#[derive(Debug, Default)]
pub struct PagesState {
    pub(super) files: Files,
    /// The versions of the configuration that pages have read.
    pub(super) copies: Copies,
    /// When test messages were sent.
    pub(super) test_messages: Pace,
    /// Alerts that were dismissed.
    pub(super) seen: Dismissals,
    /// Answers that all open pages keep requesting.
    pub(super) status: SharedAnswer,
    pub(super) miners: SharedAnswer,
    pub(super) steering: SharedAnswer,
}

/// A request, as a route's function sees it.
pub struct Call<'a> {
    /// The request.
    pub request: &'a Request,
    /// The part for `{…}` in the route's path.
    pub part: &'a str,
}

impl Call<'_> {
    /// The source of a change: a program with a token has a name, and a browser says which page a request comes from.
    pub(super) fn source(&self, pages: &Pages) -> Source {
        let from = self.request.remote_addr().ip();
        let config = pages.context.live.get();
        if let Some(name) = tokens::name_of(self.request, &config.gui.tokens) {
            return Source::Program(name.into(), from);
        }
        let names_page = |header| self.request.header(header).is_some();
        if names_page("Origin") || names_page("Sec-Fetch-Site") {
            Source::Page(from)
        } else {
            Source::Api(from)
        }
    }
}

/// Levels of access. Each includes the previous one's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Also programs that use an unknown Host: the answer contains nothing sensitive.
    Anyone,
    /// Clients that use one of our names, even from a link on another page: for files without data.
    Link,
    /// Clients that use one of our names and are not a page of another site.
    Visitor,
    /// With JSON, from one of our pages and with its token: for changes without a login.
    Guest,
    /// A visitor who is logged in, if there is a password.
    Reader,
    /// A guest who is logged in, if there is a password.
    Owner,
}
