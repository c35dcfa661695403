//! The API's bodies: the input is one or more changing requests separated by a line `---`. The first line of each has
//! the method and path, the others the body. `ETAG` in a body means the current one.
//!
//! Whatever the requests are, DPMP can start with the resulting configuration file, and the file matches the settings
//! in force.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use dpmp::config::merge::Version;
use dpmp::config::{self, Config};
use dpmp::core::event::Source;
use dpmp::history::History;
use dpmp::observe::Observer;
use dpmp::observe::latest::LatestSnapshot;
use dpmp::observe::log;
use dpmp::observe::metrics::Metrics;
use dpmp::shell::inbox::{self, Context, Input, Live};
use dpmp::shell::names::Names;
use dpmp::shell::settings::Settings;
use dpmp::shell::tls::pool::Tls;
use dpmp::web::error::Code;
use dpmp::web::gui;
use dpmp::web::limit::Places;
use dpmp::web::login::Login;
use dpmp::web::pages::{Pages, PagesState};
use dpmp::web::tokens::Tokens;
use rouille::{Request, Response};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The most requests made from one input.
const MOST_REQUESTS: usize = 8;

/// The file each input starts with.
const FILE: &str = r#"{
  "pools": {
    "A": {"host": "a.test.net", "wallet": "walletA", "password": "opensesame"},
    "B": {"host": "b.test.net", "port": 4444, "wallet": "walletB"}
  },
  "scheduler": {"poolA_weight": 70, "poolB_weight": 30},
  "logging": {"level": "off", "directory": ""},
  "notes": "kept"
}
"#;

type Handler = Box<dyn Fn(&Request) -> Response + Send + Sync>;

/// The pages without a scheduler, except that a new configuration is put into force.
struct Stage {
    handler: Handler,
    path: PathBuf,
    live: Live,
    token: String,
    _folder: tempfile::TempDir,
    _log: log::LogGuard,
}

static STAGE: LazyLock<Mutex<Stage>> = LazyLock::new(|| Mutex::new(Stage::new()));

pub fn run(data: &[u8]) {
    let stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    stage.begin();
    let mut cookie = None;
    for request in String::from_utf8_lossy(data)
        .split("\n---\n")
        .take(MOST_REQUESTS)
    {
        let (head, body) = request.split_once('\n').unwrap_or((request, ""));
        let Some((method @ ("POST" | "PUT"), path)) = head.split_once(' ') else {
            continue;
        };
        if path.chars().any(|c| c.is_whitespace() || c.is_control()) {
            continue;
        }
        let body = body.replace("ETAG", &Version::of(&stage.file()).etag());
        let (status, answer) = stage.ask(method, path, &body, &mut cookie);
        stage.check();
        if path == "/api/v1/config/validate" && status == 200 {
            stage.saved_as_judged(&body, &answer, &mut cookie);
        }
    }
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        let config = Arc::new(first_config());
        let (log, guard) = log::start(&config.logging, &path, false).expect("a log");
        let (inbox, inputs) = inbox::inbox();
        let live = Live::new(Arc::clone(&config));
        let context = Context {
            inbox,
            live: live.clone(),
            observer: Arc::new(Observer {
                log,
                metrics: Arc::new(Metrics::new().expect("metrics")),
                notices: Arc::default(),
            }),
            names: Names::default(),
            tls: Tls::default(),
            jobs: Arc::default(),
        };
        let scheduler = live.clone();
        thread::spawn(move || {
            for input in inputs {
                if let Input::Config { done } = input {
                    scheduler.put_into_force();
                    let _ = done.send(());
                }
            }
        });
        let login = Login::new().expect("random numbers");
        let token = login.token().to_owned();
        let handler = gui::handler(Arc::new(Pages {
            published: Arc::new(LatestSnapshot::default()),
            history: Arc::new(History::default()),
            ledger: Arc::default(),
            settings: Arc::new(Settings::new(path.clone(), context.clone(), Vec::new())),
            context,
            login,
            tokens: Tokens::default(),
            // Pool tests are disabled.
            pool_tests: Places::new(0),
            journal: Arc::default(),
            test_messages: Places::new(0),
            downloads: Places::new(1),
            log_searches: Places::new(1),
            started_with: config,
            miners: SocketAddr::from(([127, 0, 0, 1], 3351)),
            instance: "fuzz".into(),
            own: PagesState::default(),
        }));
        Self {
            handler: Box::new(handler),
            path,
            live,
            token,
            _folder: folder,
            _log: guard,
        }
    }

    /// Resets everything, as if there had been no requests.
    fn begin(&self) {
        fs::write(&self.path, FILE).expect("the configuration file");
        self.live.want(Arc::new(first_config()), Source::File);
        self.live.put_into_force();
    }

    fn file(&self) -> Vec<u8> {
        fs::read(&self.path).expect("the configuration file")
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        body: &str,
        cookie: &mut Option<String>,
    ) -> (u16, Value) {
        let mut headers = vec![
            ("Host".to_owned(), "127.0.0.1:8855".to_owned()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("X-DPMP-Token".to_owned(), self.token.clone()),
        ];
        headers.extend(cookie.clone().map(|cookie| ("Cookie".to_owned(), cookie)));
        let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
        let request = Request::fake_http_from(peer, method, path, headers, body.into());
        let answer = (self.handler)(&request);
        let status = answer.status_code;
        let known = Code::ALL.iter().any(|code| code.status() == status);
        assert!(
            status == 200 || (known && status != 500),
            "{status} for {method} {path} {body}"
        );
        for (name, value) in &answer.headers {
            assert!(!value.contains(['\r', '\n']), "{name}: {value:?}");
            if name == "Set-Cookie" {
                *cookie = value.split(';').next().map(str::to_owned);
            }
        }
        let mut text = String::new();
        let (mut reader, _) = answer.data.into_reader_and_size();
        reader
            .read_to_string(&mut text)
            .expect("an answer is UTF-8");
        assert!(
            !text.contains("opensesame") || body.contains("opensesame"),
            "a secret is told: {text}"
        );
        (
            status,
            serde_json::from_str(&text).expect("an answer is JSON"),
        )
    }

    /// The file can be read and matches the settings in force.
    fn check(&self) {
        let file = String::from_utf8(self.file()).expect("the file is UTF-8");
        let loaded = config::parse(&file)
            .unwrap_or_else(|errors| panic!("a broken file was saved: {errors}"));
        assert_eq!(loaded.config, *self.live.wanted());
    }

    /// The API saves a configuration exactly if it judged it valid.
    fn saved_as_judged(&self, body: &str, judged: &Value, cookie: &mut Option<String>) {
        #[derive(Deserialize)]
        struct Body {
            config: Box<RawValue>,
        }
        let body: Body = serde_json::from_str(body).expect("it was read before");
        let body = format!(
            r#"{{"etag":"{}","config":{}}}"#,
            Version::of(&self.file()).etag(),
            body.config
        );
        let (status, answer) = self.ask("PUT", "/api/v1/config", &body, cookie);
        // 503: a thread stands in for the scheduler, and had no time for too long.
        assert!(
            status == 503 || judged["valid"] == (status == 200),
            "judged {judged}, saved {answer}"
        );
        self.check();
    }
}

fn first_config() -> Config {
    config::parse(FILE).expect("the first file is good").config
}
