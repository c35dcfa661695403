//! The whole proxy: starting it from a configuration file, and stopping it in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use crossbeam_channel::{Sender, TrySendError};

use crate::config::{self, Config};
use crate::core::event::Stop;
use crate::core::fact::Fact;
use crate::core::memory::Memory;
use crate::core::snapshot::Snapshot;
use crate::history;
use crate::http::{Seats, ServerHandle, serve};
use crate::ledger::{self, Ledger};
use crate::notify;
use crate::notify::journal::Journal;
use crate::observe::Observer;
use crate::observe::latest::LatestSnapshot;
use crate::observe::log::{self, LogGuard};
use crate::observe::metrics::Metrics;
use crate::shell::accept::{Door, Reception, listen, load};
use crate::shell::connection::WRITE_PATIENCE;
use crate::shell::dial::dial;
use crate::shell::flush::Flush;
use crate::shell::inbox::{self, Context, Input, Live};
use crate::shell::names::Names;
use crate::shell::panics::Panics;
use crate::shell::running::{self, Claim, Instance};
use crate::shell::scheduler::{Parts, Scheduler};
use crate::shell::settings::Settings;
use crate::shell::tls::miner::Certificate;
use crate::shell::tls::pool::Tls;
use crate::shell::{blocks, store, timetable, watch};
use crate::system::clock::{clock, now};
use crate::system::room::Room;
use crate::system::thread::{Keeper, SERVICE_STACK, spawn};
use crate::timetable::LocalTimetable;
use crate::timetable::clock_check::ClockProblem;
use crate::web;
use crate::web::api::records::chances_per_day;
use crate::web::error::refusal;
use crate::web::limit::Places;
use crate::web::login::Login;
use crate::web::pages::{
    MOST_DOWNLOADS, MOST_LOG_SEARCHES, MOST_POOL_TESTS, MOST_TEST_MESSAGES, Pages, PagesState,
};
use crate::web::tokens::Tokens;
use crate::welcome::{self, Greeting};

/// How long a stop request may wait for the scheduler.
const STOP_REQUEST: Duration = Duration::from_secs(1);

/// Signals within this time after the first one count as one request.
const SAME_REQUEST: Duration = Duration::from_millis(50);

/// The pause before a stop request is repeated.
const STOP_RETRY: Duration = Duration::from_millis(5);

/// A page keeps one or two connections open, and a household behind one address may have many pages open.
const PAGE_SEATS: Seats = Seats {
    connections: 512,
    per_address: 256,
};

/// A running proxy.
pub struct Proxy {
    inbox: Sender<Input>,
    published: Arc<LatestSnapshot>,
    observer: Arc<Observer>,
    miners: SocketAddr,
    metrics: Option<ServerHandle>,
    pages: Option<ServerHandle>,
    scheduler: JoinHandle<Memory>,
    state: PathBuf,
    running: (PathBuf, Arc<str>),
    claim: Claim,
    is_set_up: bool,
    store: JoinHandle<()>,
    blocks: JoinHandle<()>,
    /// The threads that only check something once a second.
    lookers: [(Sender<()>, JoinHandle<()>); 3],
    history: Keeper,
    ledger: Keeper,
    started: Instant,
    log: LogGuard,
}

/// Runs the proxy until it is stopped.
///
/// # Errors
/// If the configuration is unusable, another DPMP uses its folder, or a port is taken.
pub fn run(config: &Path) -> anyhow::Result<ExitCode> {
    let proxy = Proxy::start(config, true)?;
    let panics = proxy.stop_on_panic();
    proxy.stop_on_signal()?;
    welcome::greet(&proxy.greeting(config));
    proxy.wait()?;
    Ok(panics.exit_code().into())
}

impl Proxy {
    /// Starts everything. `log_to_stdout` is off where a person looks at the terminal.
    ///
    /// # Errors
    /// If the configuration is unusable, another DPMP uses its folder, a port is taken, or the system has no room.
    pub fn start(path: &Path, log_to_stdout: bool) -> anyhow::Result<Self> {
        let mut loaded = config::load_or_create(path)?;
        let claim = running::claim(path)?;
        log::warn_of_unknown_names(&mut loaded);
        let config = Arc::new(loaded.config);
        // The usual limit of 1,024 open files is soon reached.
        let files = rlimit::increase_nofile_limit(u64::MAX);
        let room = Room::of_this_system(files.ok());
        let listener = listen(
            SocketAddr::new(config.listen.host, config.listen.port),
            "listen.port",
        )?;
        let metrics = Arc::new(Metrics::new().context("failed to set up the metrics")?);
        let published = Arc::new(LatestSnapshot::default());
        let instance: Arc<str> = running::new_instance()?.into();
        let page = start_metrics_page(&config, &metrics, &published, &instance)?;
        let (log, guard) =
            log::start(&config.logging, path, log_to_stdout).context("failed to start the log")?;
        let observer = Arc::new(Observer {
            log,
            metrics,
            notices: Arc::default(),
        });
        let tell = |fact: &Fact| observer.observe(fact, now());
        for text in loaded.warnings.clone() {
            tell(&Fact::ConfigWarning { text });
        }
        observer.notices.note_start(&loaded.troubles, now().unix_ms);
        warn_of_little_room(&config, &room, tell);
        let state = store::state_path(path);
        let run_before = history::path(path).exists();
        let (memory, problem) = store::load(&state, run_before);
        if let Some(problem) = problem {
            tell(&state_problem(problem));
        }
        store::mark_running(&state, &memory);
        // The timetable reads the clock before the scheduler publishes anything.
        published.set(Snapshot {
            clock: memory.clock,
            ..Snapshot::default()
        });
        let (inbox, inputs) = inbox::inbox();
        let context = Context {
            inbox: inbox.clone(),
            live: Live::new(Arc::clone(&config)),
            observer: Arc::clone(&observer),
            names: Names::default(),
            tls: Tls::default(),
            jobs: Arc::default(),
        };
        let reception = Reception::new(room.clone(), context.clone());
        let certificate = open_certificate(&config, path, tell);
        let tls_door = match certificate {
            None => None,
            Some(certificate) => {
                let listener = listen(
                    SocketAddr::new(config.listen.host, config.listen.tls_port),
                    "listen.tls_port",
                )?;
                Some(Door::open(listener, Some(certificate), reception.clone())?)
            }
        };
        let door = Door::open(listener, None, reception)?;
        let miners = door.address();
        let tls_miners = tls_door.as_ref().map(Door::address);
        let trouble = inbox.clone();
        let report = move |problem| {
            let _ = trouble.send(Input::Report(state_problem(problem)));
        };
        let (history, keeper) =
            history::start(history::path(path), Arc::clone(&published), report.clone())?;
        let (ledger, problems) = Ledger::load(path);
        for problem in problems {
            tell(&state_problem(problem));
        }
        let ledger = Arc::new(ledger);
        let (past, metrics) = (Arc::clone(&history), Arc::clone(&observer.metrics));
        let (live, state_now) = (context.live.clone(), Arc::clone(&published));
        let look = move |ledger: &Ledger, is_last: bool| {
            let config = live.get();
            let timetable = LocalTimetable::new(&config.timetable);
            let (state, now) = (state_now.get(), now());
            // A wrong day would stay in the ledger for ever. At the end it is better than none. A pool's clock may be
            // wrong as well, so a difference from it delays nothing.
            let problem = ClockProblem::find(now.unix_ms, &state);
            if is_last || problem != Some(ClockProblem::BeforeMade) {
                ledger.look(&state, timetable.zone(), now.unix_ms);
            }
            let chances = chances_per_day(&state, &past, now);
            metrics.chances(&chances);
        };
        let book_keeper =
            ledger::start(path.to_owned(), Arc::clone(&ledger), look, report.clone())?;
        let settings = Arc::new(Settings::new(
            path.to_owned(),
            context.clone(),
            loaded.warnings,
        ));
        let journal = Arc::new(Journal::default());
        let pages = Pages {
            history,
            journal: Arc::clone(&journal),
            ledger: Arc::clone(&ledger),
            published: Arc::clone(&published),
            context: context.clone(),
            settings: Arc::clone(&settings),
            login: Login::new()?,
            tokens: Tokens::default(),
            pool_tests: Places::new(MOST_POOL_TESTS),
            test_messages: Places::new(MOST_TEST_MESSAGES),
            downloads: Places::new(MOST_DOWNLOADS),
            log_searches: Places::new(MOST_LOG_SEARCHES),
            started_with: Arc::clone(&config),
            miners,
            instance: Arc::clone(&instance),
            own: PagesState::default(),
        };
        let pages = Arc::new(pages);
        let gui = start_pages(&config, Arc::clone(&pages))?;
        tell(&Fact::Started {
            version: env!("CARGO_PKG_VERSION"),
            listen: miners.to_string(),
            listen_tls: tls_miners.map(|address| address.to_string()),
            metrics: page.as_ref().map(|page| page.addr().to_string()),
            gui: gui.as_ref().map(|page| page.addr().to_string()),
            config: path.display().to_string(),
        });
        let running = running::path(path);
        let places = Instance {
            instance: instance.to_string(),
            listen: miners,
            metrics: page.as_ref().map(ServerHandle::addr),
            gui: gui.as_ref().map(ServerHandle::addr),
        };
        if let Err(error) = running::write(&running, &places) {
            tell(&state_problem(format!("{error:#}")));
        }
        let (memories, store) = store::start(state.clone(), report.clone())
            .context("failed to start the state thread")?;
        let teller = Arc::clone(&observer);
        let tell_found = move |fact: &Fact, at| teller.observe(fact, at);
        let (candidates, blocks) = blocks::start(blocks::folder(path), tell_found, report)
            .context("failed to start the blocks thread")?;
        let watch =
            watch::start(Arc::clone(&settings)).context("failed to start the config thread")?;
        let timetable = timetable::start(&context, Arc::clone(&published))
            .context("failed to start the timetable thread")?;
        let notify = notify::start(notify::Parts {
            file: notify::path(path),
            live: context.live.clone(),
            observer: Arc::clone(&observer),
            journal,
            look: Box::new(move |at| pages.scene(at)),
        })
        .context("failed to start the notify thread")?;
        let is_set_up = config.is_set_up();
        let parts = Parts {
            config,
            memory,
            inbox: inputs,
            context,
            dial: Box::new(dial),
            flush: Flush::start(WRITE_PATIENCE).context("failed to start the flush thread")?,
            doors: [door].into_iter().chain(tls_door).collect(),
            room,
            published: Arc::clone(&published),
            store: memories,
            blocks: candidates,
            ledger,
        };
        let scheduler = spawn("scheduler", SERVICE_STACK, move || {
            Scheduler::new(parts).run()
        })
        .context("failed to start the scheduler")?;
        Ok(Self {
            inbox,
            published,
            observer,
            miners,
            metrics: page,
            pages: gui,
            scheduler,
            state,
            running: (running, instance),
            claim,
            is_set_up,
            store,
            blocks,
            lookers: [watch, timetable, notify],
            history: keeper,
            ledger: book_keeper,
            started: clock(),
            log: guard,
        })
    }

    /// Where miners connect.
    pub fn miners_address(&self) -> SocketAddr {
        self.miners
    }

    /// Where the metrics are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(ServerHandle::addr)
    }

    /// Where the pages are served.
    pub fn pages_address(&self) -> Option<SocketAddr> {
        self.pages.as_ref().map(ServerHandle::addr)
    }

    /// What a person needs to find everything.
    fn greeting(&self, config: &Path) -> Greeting {
        Greeting {
            miners: self.miners,
            pages: self.pages_address(),
            is_set_up: self.is_set_up,
            config: config.display().to_string(),
        }
    }

    /// The last published state.
    pub fn published(&self) -> Arc<LatestSnapshot> {
        Arc::clone(&self.published)
    }

    /// A function that asks the proxy to stop; [`wait`](Self::wait) returns when it has. It returns whether the request
    /// was accepted.
    pub fn stopper(&self) -> impl Fn() -> bool + Send + Sync + 'static + use<> {
        let inbox = self.inbox.clone();
        move || ask_to_stop(&inbox, Stop::Drained)
    }

    /// The first SIGINT or SIGTERM stops it in an orderly way, the second one immediately.
    ///
    /// # Errors
    /// If the handler cannot be set.
    pub fn stop_on_signal(&self) -> anyhow::Result<()> {
        let stop = self.stopper();
        let mut asked: Option<Instant> = None;
        ctrlc::set_handler(move || {
            let now = clock();
            match asked {
                None if stop() => asked = Some(now),
                // A supervisor that signals both the process and its group means one request.
                Some(first) if now.duration_since(first) < SAME_REQUEST => (),
                None | Some(_) => std::process::exit(1),
            }
        })
        .context("failed to set up the handling of signals")
    }

    /// A panic in any thread stops the proxy, so that its state is saved; what the process is to end with then is
    /// said by what is returned.
    pub fn stop_on_panic(&self) -> Panics {
        let inbox = self.inbox.clone();
        Panics::watch(Arc::clone(&self.observer), move || {
            ask_to_stop(&inbox, Stop::AtOnce);
        })
    }

    /// Waits until the proxy has stopped, and saves what must outlive it.
    ///
    /// # Errors
    /// If the scheduler failed or the state cannot be saved.
    pub fn wait(self) -> anyhow::Result<()> {
        let memory = self
            .scheduler
            .join()
            .map_err(|_| anyhow!("the scheduler failed"))?;
        for (stop, thread) in self.lookers {
            drop(stop);
            // It may be waiting for the inbox, which nobody reads any more, so it is not joined.
            drop(thread);
        }
        // The scheduler held the only sender, so the store has ended or is about to.
        let _ = self.store.join();
        let (running, instance) = self.running;
        running::remove(&running, &instance);
        let _ = self.blocks.join();
        let saved = store::save(&self.state, &memory)
            .and(self.history.stop())
            .and(self.ledger.stop());
        // Pages that wait for news must not delay the stop.
        self.observer.log.tail().close();
        for port in [self.pages, self.metrics].into_iter().flatten() {
            port.stop();
        }
        let uptime = self.started.elapsed();
        self.observer.observe(&Fact::Stopped { uptime }, now());
        drop(self.log);
        drop(self.claim);
        saved
    }
}

/// A problem with saved data. It is also written to standard error, because the log may be on the same disk.
fn state_problem(problem: String) -> Fact {
    log::complain(&format!("dpmp: {problem}"));
    Fact::StateProblem { problem }
}

/// Whether the scheduler's inbox accepted the request; it is full only for moments.
fn ask_to_stop(inbox: &Sender<Input>, how: Stop) -> bool {
    let until = clock() + STOP_REQUEST;
    while clock() < until {
        match inbox.try_send(Input::Stop(how)) {
            Err(TrySendError::Full(_)) => std::thread::sleep(STOP_RETRY),
            result => return result.is_ok(),
        }
    }
    false
}

fn start_metrics_page(
    config: &Config,
    metrics: &Arc<Metrics>,
    published: &Arc<LatestSnapshot>,
    instance: &Arc<str>,
) -> anyhow::Result<Option<ServerHandle>> {
    if !config.metrics.enabled {
        return Ok(None);
    }
    let address = SocketAddr::new(config.metrics.host, config.metrics.port);
    let handler = web::metrics::handler(
        Arc::clone(metrics),
        Arc::clone(published),
        Arc::clone(instance),
    );
    serve("metrics", address, Seats::default(), refusal, handler).map(Some)
}

fn start_pages(config: &Config, pages: Arc<Pages>) -> anyhow::Result<Option<ServerHandle>> {
    if !config.gui.enabled {
        return Ok(None);
    }
    let address = SocketAddr::new(config.gui.host, config.gui.port);
    let handler = web::gui::handler(pages);
    serve("gui", address, PAGE_SEATS, refusal, handler).map(Some)
}

/// The certificate for encrypted miners, if there is one. All others are served without it, too.
fn open_certificate(
    config: &Config,
    path: &Path,
    tell: impl Fn(&Fact),
) -> Option<Arc<Certificate>> {
    let (certificate, key) = config.listen.certificate_beside(path)?;
    match Certificate::load(certificate, key) {
        Ok(certificate) => {
            if let Some(text) = certificate.out_of_date() {
                tell(&Fact::ConfigWarning { text });
            }
            Some(Arc::new(certificate))
        }
        Err(error) => {
            let error = format!("listen.tls_port is not open: {error:#}");
            tell(&Fact::AcceptFailed { error });
            None
        }
    }
}

/// Only owners who set more miners than usual are warned immediately; all others when it matters.
fn warn_of_little_room(config: &Config, room: &Room, tell: impl Fn(&Fact)) {
    let most = config.listen.max_miners;
    let load = load(config);
    if most > room.miners(load) && most != Config::default().listen.max_miners {
        let text = format!("listen.max_miners is {most}, but {}", room.explain(load));
        tell(&Fact::ConfigWarning { text });
    }
}
