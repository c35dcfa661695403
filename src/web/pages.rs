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

/// How many tests of pools run at a time.
pub const MOST_POOL_TESTS: usize = 2;

/// How many test messages are sent at a time.
pub const MOST_TEST_MESSAGES: usize = 4;

/// How many archives of the log are made at a time.
pub const MOST_DOWNLOADS: usize = 1;

/// How many searches of the log run at a time.
pub const MOST_LOG_SEARCHES: usize = 4;

/// Everything that the functions behind the routes may use.
pub struct Pages {
    /// The newest picture of the state.
    pub published: Arc<LatestSnapshot>,
    /// What was done in the last minutes, hours and days.
    pub history: Arc<History>,
    /// What was done on each day.
    pub ledger: Arc<Ledger>,
    /// What was sent to the owner.
    pub journal: Arc<Journal>,
    /// The scheduler's inbox, the configuration in force, the log and the figures.
    pub context: Context,
    /// The configuration file, and how it is changed.
    pub settings: Arc<Settings>,
    /// Who is logged in.
    pub login: Login,
    /// Programs that sign in.
    pub tokens: Tokens,
    /// Tests of pools that may run.
    pub pool_tests: Places,
    /// Test messages that may be under way.
    pub test_messages: Places,
    /// Downloads of the log that may run.
    pub downloads: Places,
    /// Searches of the log that may run.
    pub log_searches: Places,
    /// The configuration of the start: what needs a restart is still as it says.
    pub started_with: Arc<Config>,
    /// Where miners are served.
    pub miners: SocketAddr,
    /// By what this run of the program is known.
    pub instance: Arc<str>,
    /// What belongs to these pages alone.
    pub own: PagesState,
}

/// What the pages keep for themselves.
#[derive(Debug, Default)]
pub struct PagesState {
    pub(super) files: Files,
    /// What pages have read of the configuration.
    pub(super) copies: Copies,
    /// When test messages were sent.
    pub(super) test_messages: Pace,
    /// Alerts that were dismissed.
    pub(super) seen: Dismissals,
    /// Answers that all open pages ask for again and again.
    pub(super) status: SharedAnswer,
    pub(super) miners: SharedAnswer,
    pub(super) steering: SharedAnswer,
}

/// What a route's function gets to know of the request.
pub struct Call<'a> {
    /// The request.
    pub request: &'a Request,
    /// What stood in the place of `{…}` in the route's path.
    pub part: &'a str,
}

impl Call<'_> {
    /// Who is behind a change: a program with a token has a name, and a browser says which page a request comes from.
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

/// Who may ask, each with what is asked of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Programs, too, that call us by a name that we do not know: nothing is told that could hurt.
    Anyone,
    /// Whoever calls us by one of our names, also by a link on another page: it gets files that hold no data.
    Link,
    /// Whoever calls us by one of our names and is not a page of another site.
    Visitor,
    /// With JSON, from a page of ours and with its token: something changes, but nobody has to be logged in.
    Guest,
    /// A visitor who is logged in, if there is a password.
    Reader,
    /// A guest who is logged in, if there is a password.
    Owner,
}
