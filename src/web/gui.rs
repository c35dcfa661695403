//! The pages' port: which method and path leads to which function, and what all answers have in common.
//!
//! Only access is decided here. A function gets what it needs from [`Pages`]: it reads the published snapshot or sends
//! the scheduler a command, and owns no routing state.

use std::sync::Arc;

use rouille::{Request, Response};

use crate::config::May;
use crate::core::fact::Fact;
use crate::core::miner::view::MinerView;
use crate::core::outage::Health;
use crate::notify::plan::Scene;
use crate::system::clock::now;
use crate::units::{Now, PerPool, PoolSlot};
use crate::web::api::alerts::Grounds;
use crate::web::api::{self, Moment};
use crate::web::error::{Answer, ApiError, Code, wants_page};
use crate::web::pages::{Access, Call, Pages};
use crate::web::{body, documents, guard, json, tokens};

/// The time that notices about shares look back, in minutes.
const LATELY: u64 = 10;

impl Pages {
    /// Allows a request, or returns why not.
    fn admit(
        &self,
        request: &Request,
        access: Access,
        program: Option<May>,
    ) -> Result<(), ApiError> {
        let config = self.context.live.get();
        let is_private = matches!(access, Access::Reader | Access::Owner);
        if let Some(token) = tokens::sent(request).filter(|_| is_private) {
            let known = &config.gui.tokens;
            let admitted = self.tokens.admit(request, token, known, program);
            if admitted
                .as_ref()
                .is_err_and(|error| error.code != Code::NotPermitted)
            {
                let from = request.remote_addr().ip();
                let refused = Fact::TokenRefused { from };
                self.context.observer.observe(&refused, now());
            }
            return admitted;
        }
        let password = self.login.password(&config);
        let hosts = &config.gui.allowed_hosts;
        guard::admit(request, access, hosts, &self.login, password.as_ref())
    }

    /// Answers with the current state.
    fn at_this_moment<T>(&self, answer: impl FnOnce(&Moment<'_>) -> T) -> T {
        let (snapshot, config) = (self.published.get(), self.context.live.get());
        answer(&Moment {
            snapshot: &snapshot,
            config: &config,
            now: now(),
        })
    }

    fn grounds<'a>(&self, moment: &'a Moment<'a>) -> Grounds<'a> {
        Grounds {
            moment,
            notices: self.context.observer.troubles(),
            refused_by: self.history.refused_by(LATELY, moment.snapshot, moment.now),
            lately: self.history.window(LATELY, moment.snapshot, moment.now),
            password_set: self.login.password(moment.config).is_some(),
            wrong_passwords: self.login.wrong_lately(),
        }
    }

    /// The input for sending messages.
    pub fn scene(&self, at: Now) -> Scene {
        let (snapshot, config) = (self.published.get(), self.context.live.get());
        let moment = Moment {
            snapshot: &snapshot,
            config: &config,
            now: at,
        };
        let grounds = self.grounds(&moment);
        let (alerts, hidden) = api::alerts::shown_and_hidden(&grounds, &self.own.seen);
        let is_up = |slot: PoolSlot| snapshot.pools[slot].health == Health::Up;
        let works = |miner: &MinerView| miner.pool.is_some_and(is_up);
        Scene {
            now_ms: at.unix_ms,
            uptime_ms: snapshot.uptime_seconds.saturating_mul(1000),
            alerts,
            hidden,
            pool_worked: PerPool::from_fn(is_up),
            miner_seen: !snapshot.miners.is_empty(),
            mining: snapshot.miners.iter().any(works),
        }
    }

    fn status(&self) -> Response {
        self.at_this_moment(|moment| {
            let own = &self.own;
            own.status.answer(moment, own.seen.version(), || {
                let alerts = api::alerts::alerts(&self.grounds(moment), &own.seen);
                api::status::status(moment, &self.history, self.miners, alerts)
            })
        })
    }

    fn all_miners(&self) -> Response {
        self.at_this_moment(|moment| {
            let make = || api::miners::miners(moment, &self.history);
            self.own.miners.answer(moment, 0, make)
        })
    }

    fn one_miner(&self, id: &str) -> Answer {
        self.at_this_moment(|moment| api::miners::one(moment, &self.history, id))
    }

    fn steering(&self) -> Response {
        self.at_this_moment(|moment| {
            let make = || api::steering::steering(moment);
            self.own.steering.answer(moment, 0, make)
        })
    }

    fn preview(&self, request: &Request) -> Answer {
        let body = body::read(request)?;
        self.at_this_moment(|moment| api::steering::preview(body, moment))
    }

    fn table(&self) -> Response {
        self.at_this_moment(|moment| api::miners::csv(moment, &self.history))
    }

    fn widget(&self) -> Response {
        self.at_this_moment(|moment| json::respond(&api::widgets::stats(moment)))
    }

    fn chart(&self, request: &Request) -> Answer {
        let snapshot = self.published.get();
        api::history::history(request, &self.history, &snapshot, now().unix_ms)
    }

    fn records(&self) -> Answer {
        self.at_this_moment(|moment| api::records::records(moment, &self.history))
    }

    fn alert_seen(&self, request: &Request) -> Answer {
        let body = body::read(request)?;
        self.at_this_moment(|moment| {
            let grounds = self.grounds(moment);
            api::alerts::dismiss(body, &grounds, &self.own.seen, &self.context)
        })
    }
}

/// All routes, in the order of the API's documentation (`docs/api.md`).
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/api/v1/session", Access::Visitor, api::session::show),
    Route::new("POST", "/api/v1/login", Access::Guest, api::session::login),
    Route::new("POST", "/api/v1/logout", Access::Guest, api::session::logout),
    Route::new("POST", "/api/v1/password", Access::Owner, api::session::change_password),
    Route::new("GET", "/api/v1/tokens", Access::Reader, api::tokens::list),
    Route::new("POST", "/api/v1/tokens", Access::Owner, api::tokens::make),
    Route::new("DELETE", "/api/v1/tokens", Access::Owner, api::tokens::revoke),
    Route::new("GET", "/api/v1/status", Access::Reader, |pages, _| Ok(pages.status())).or(May::View),
    Route::new("GET", "/api/v1/miners", Access::Reader, |pages, _| Ok(pages.all_miners())).or(May::View),
    Route::new("GET", "/api/v1/miners/{id}", Access::Reader, |pages, call| pages.one_miner(call.part)).or(May::View),
    Route::new("GET", "/api/v1/miners.csv", Access::Reader, |pages, _| Ok(pages.table())).or(May::View),
    Route::new("GET", "/api/v1/history", Access::Reader, |pages, call| pages.chart(call.request)).or(May::View),
    Route::new("GET", "/api/v1/records", Access::Reader, |pages, _| pages.records()).or(May::View),
    Route::new("GET", "/api/v1/blocks", Access::Reader, api::blocks::list).or(May::View),
    Route::new("GET", "/api/v1/blocks/{name}", Access::Reader, api::blocks::download).or(May::View),
    Route::new("GET", "/api/v1/ledger", Access::Reader, api::ledger::show).or(May::View),
    Route::new("GET", "/api/v1/ledger.csv", Access::Reader, api::ledger::csv).or(May::View),
    Route::new("GET", "/api/v1/connect", Access::Reader, api::connect::show),
    Route::new("GET", "/api/v1/config", Access::Reader, api::config::show),
    Route::new("PUT", "/api/v1/config", Access::Owner, api::config::save),
    Route::new("POST", "/api/v1/config/validate", Access::Owner, api::config::validate),
    Route::new("POST", "/api/v1/config/pools", Access::Owner, api::config::pools::edit),
    Route::new("GET", "/api/v1/config/backup", Access::Reader, api::config::backup),
    Route::new("POST", "/api/v1/config/restore", Access::Owner, api::config::restore),
    Route::new("PUT", "/api/v1/weights", Access::Owner, api::weights::set_weights).or(May::Steer),
    Route::new("GET", "/api/v1/steering", Access::Reader, |pages, _| Ok(pages.steering())).or(May::View),
    Route::new("POST", "/api/v1/steering/preview", Access::Owner, |pages, call| pages.preview(call.request)).or(May::View),
    Route::new("PUT", "/api/v1/override", Access::Owner, api::overrides::set).or(May::Steer),
    Route::new("DELETE", "/api/v1/override", Access::Owner, api::overrides::end_early).or(May::Steer),
    Route::new("PUT", "/api/v1/workers", Access::Owner, api::workers::set),
    Route::new("PUT", "/api/v1/prices", Access::Owner, api::prices::set).or(May::Steer),
    Route::new("GET", "/api/v1/pools/{pool}/page", Access::Reader, api::pool_page::go),
    Route::new("POST", "/api/v1/pool-test", Access::Owner, api::pool_test::run),
    Route::new("GET", "/api/v1/notify", Access::Reader, api::notify::show),
    Route::new("POST", "/api/v1/notify/test", Access::Owner, api::notify::test),
    Route::new("GET", "/api/v1/events", Access::Reader, api::events::show),
    Route::new("GET", "/api/v1/logs", Access::Reader, api::logs::show),
    Route::new("GET", "/api/v1/logs/download", Access::Reader, api::logs::download),
    Route::new("POST", "/api/v1/alerts/seen", Access::Owner, |pages, call| pages.alert_seen(call.request)),
    Route::new("GET", "/api/v1/openapi.json", Access::Visitor, |_, _| Ok(openapi())),
    Route::new("GET", "/healthz", Access::Anyone, api::status::healthz),
    Route::new("GET", "/widgets/stats", Access::Anyone, |pages, _| Ok(pages.widget())),
];

/// A method and a path, the required access, and the handler.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// The path; one part may be `{name}`, which matches anything without a slash.
    pub(super) path: &'static str,
    pub(super) access: Access,
    /// What a program's token must allow; `None`: not for programs.
    program: Option<May>,
    answer: Handler,
}

/// A route's handler.
type Handler = fn(&Pages, &Call<'_>) -> Answer;

impl Route {
    const fn new(
        method: &'static str,
        path: &'static str,
        access: Access,
        answer: Handler,
    ) -> Self {
        Self {
            method,
            path,
            access,
            program: None,
            answer,
        }
    }

    /// The same route, also for programs with this permission.
    const fn or(self, may: May) -> Self {
        Self {
            program: Some(may),
            ..self
        }
    }

    /// Whether the path matches. If so, returns the part for `{name}`, or an empty one.
    fn matches<'a>(&self, path: &'a str) -> Option<&'a str> {
        let Some((before, rest)) = self.path.split_once('{') else {
            return (self.path == path).then_some("");
        };
        let after = rest.split_once('}').map_or("", |(_, after)| after);
        let part = path.strip_prefix(before)?.strip_suffix(after)?;
        (!part.is_empty() && !part.contains('/')).then_some(part)
    }
}

/// The handler for [`serve`](crate::http::serve).
pub fn handler(pages: Arc<Pages>) -> impl Fn(&Request) -> Response + Send + Sync + 'static {
    move |request| {
        let answer = answer(&pages, request).unwrap_or_else(|error| error.response_to(request));
        HEADERS.into_iter().fold(answer, |answer, (name, value)| {
            answer.with_unique_header(name, value)
        })
    }
}

/// The description of the API in OpenAPI 3.1.
const OPENAPI: &str = include_str!("openapi.json");

/// Headers of all answers. Nothing is loaded from other hosts, only scripts in our files run, and no one can put our
/// pages into a frame.
const HEADERS: [(&str, &str); 4] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
];

fn answer(pages: &Pages, request: &Request) -> Answer {
    let path = request.url();
    // For HEAD, which is a GET, the server only writes the head.
    let method = match request.method() {
        "HEAD" => "GET",
        other => other,
    };
    let found = || {
        ROUTES
            .iter()
            .filter_map(|route| Some((route, route.matches(&path)?)))
    };
    if let Some((route, part)) = found().find(|(route, _)| route.method == method) {
        pages.admit(request, route.access, route.program)?;
        return (route.answer)(pages, &Call { request, part });
    }
    pages.admit(request, Access::Link, None)?;
    let file = pages
        .own
        .files
        .answer(&path, request)
        .or_else(|| documents::answer(&path));
    let mut allowed: Vec<_> = found().map(|(route, _)| route.method).collect();
    match file {
        Some(file) if method == "GET" => return Ok(file),
        Some(_) => allowed.push("GET"),
        None if allowed.is_empty() => {
            let is_page = method == "GET" && !path.starts_with("/api/") && wants_page(request);
            if let Some(page) = pages.own.files.missing().filter(|_| is_page) {
                return Ok(page);
            }
            return Err(ApiError::not_found("There is nothing at this address."));
        }
        None => (),
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    Ok(not_allowed(&allowed))
}

fn not_allowed(methods: &[&str]) -> Response {
    ApiError::new(
        Code::MethodNotAllowed,
        "This address does not support this method; the Allow header lists the ones that it does.",
    )
    .response()
    .with_additional_header("Allow", methods.join(", "))
}

/// The description of the API for programs.
fn openapi() -> Response {
    Response::from_data("application/json; charset=utf-8", OPENAPI)
        .with_unique_header("Cache-Control", "no-cache")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_path_may_contain_a_wildcard() {
        let route = Route::new("GET", "/miners/{id}", Access::Reader, |_, _| Ok(openapi()));
        assert_eq!(route.matches("/miners/7"), Some("7"));
        for other in ["/miners/", "/miners/7/8", "/miners", "/miners.csv"] {
            assert_eq!(route.matches(other), None, "{other}");
        }
    }

    #[test]
    fn requests_that_change_anything_are_never_open_to_everyone() {
        for route in ROUTES {
            let changes = matches!(route.access, Access::Guest | Access::Owner);
            assert_eq!(changes, route.method != "GET", "{}", route.path);
        }
    }

    #[test]
    fn no_token_gives_access_to_settings_secrets_or_logs() {
        const OWNERS: [&str; 11] = [
            "config",
            "tokens",
            "password",
            "login",
            "logout",
            "logs",
            "events",
            "pools",
            "pool-test",
            "notify",
            "alerts",
        ];
        for route in ROUTES {
            let part = route.path.strip_prefix("/api/v1/").unwrap_or_default();
            let part = part.split('/').next().unwrap_or_default();
            let is_owners = OWNERS.contains(&part);
            assert!(!is_owners || route.program.is_none(), "{}", route.path);
            let changes = matches!(route.method, "PUT" | "DELETE");
            assert!(
                !changes || route.program != Some(May::View),
                "{}",
                route.path
            );
        }
    }

    #[test]
    fn the_api_description_has_every_route_and_no_other() {
        let routes: BTreeSet<_> = ROUTES
            .iter()
            .map(|route| (route.method.to_owned(), route.path.to_owned()))
            .collect();
        assert_eq!(routes.len(), ROUTES.len(), "one stands there twice");

        let page = include_str!("../../docs/api.md");
        let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
        let on_page: BTreeSet<_> = headings
            .filter_map(|heading| heading.split_once(' '))
            .filter(|(_, path)| path.starts_with('/'))
            .map(|(method, path)| (method.to_owned(), path.to_owned()))
            .collect();
        assert_eq!(on_page, routes);

        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let paths = description["paths"].as_object().unwrap();
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn every_reference_in_the_api_description_resolves() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        for rest in OPENAPI.split("\"$ref\":\"#").skip(1) {
            let pointer = rest.split('"').next().unwrap();
            assert!(description.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
