//! Facts end up in the files, and no obstacle stops the program.

use std::fs;

use serde_json::Value;

use super::*;
use crate::config::{self, Config};
use crate::core::fact::ShareOutcome;
use crate::observe::samples::{ADDRESS, samples, share};

const PATIENCE: Duration = Duration::from_secs(20);

/// Now, with another wall-clock time.
fn at(unix_ms: u64) -> Now {
    let at = clock::clock();
    Now { at, unix_ms }
}

fn logging() -> Logging {
    Logging {
        directory: Some("logs".into()),
        ..Config::default().logging
    }
}

/// A log beside a config file in `folder`, without standard output.
fn open(logging: &Logging, folder: &Path) -> (LogHandle, LogGuard) {
    start(logging, &folder.join("config.json"), false).unwrap()
}

/// A message as a library would send it.
fn say(log: &LogHandle, level: Level, text: &str) {
    let mut record = Record::builder();
    record.level(level).target("http");
    log.log(&record.args(format_args!("{text}")).build());
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("logs/dpmp_rCURRENT.log")).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn events(folder: &Path) -> Vec<String> {
    let name = |line: &Value| line["event"].as_str().unwrap().to_owned();
    lines(folder).iter().map(name).collect()
}

#[test]
fn every_fact_reaches_the_file_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let logging = Logging {
        level: config::Level::Debug,
        ..logging()
    };
    let (log, guard) = open(&logging, folder.path());
    for fact in samples() {
        assert!(log.tell(&fact, at(1_795_428_672_345)));
    }
    drop(guard);
    let told: Vec<_> = samples()
        .iter()
        .map(|fact| event::name(fact).to_string())
        .collect();
    assert_eq!(events(folder.path()), told);
    assert!(
        lines(folder.path())
            .iter()
            .all(|line| !line.to_string().contains(ADDRESS))
    );
    // After the end, a line is lost and nothing else happens.
    assert!(!log.tell(&Fact::Stopping, at(0)));
    assert!(!log.flush(Duration::from_millis(10)));
}

#[test]
fn the_filter_can_be_changed_while_dpmp_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut logging = logging();
    let (log, _guard) = open(&logging, folder.path());
    let connected = || {
        samples()
            .into_iter()
            .find(|fact| event::name(fact) == Name::MinerConnected)
    };
    let dialing = samples()
        .into_iter()
        .find(|fact| event::name(fact) == Name::PoolDialing)
        .unwrap();
    let tell = || {
        log.tell(&connected().unwrap(), at(0));
        log.tell(&share(ShareOutcome::Accepted), at(0));
        log.tell(&dialing, at(0));
        assert!(log.flush(PATIENCE));
        let all = events(folder.path());
        all.join(" ")
    };
    assert_eq!(tell(), "miner_connected share_result");
    logging.deny = vec!["share_result".into()];
    log.set_filter(&logging);
    assert!(tell().ends_with("share_result miner_connected"));
    logging.allow = vec![
        "share_result".into(),
        "pool_dialing".into(),
        "old_name".into(),
    ];
    log.set_filter(&logging);
    logging.level = config::Level::Debug;
    log.set_filter(&logging);
    assert!(tell().ends_with("miner_connected pool_dialing"));
    let before = events(folder.path()).len();
    logging.level = config::Level::Off;
    log.set_filter(&logging);
    tell();
    assert_eq!(events(folder.path()).len(), before);
}

#[test]
fn standard_output_has_only_lines_of_its_level_and_above() {
    let logging = Logging {
        stdout: config::Level::Warn,
        ..logging()
    };
    let filter = Filter::new(&logging);
    assert!(filter.prints(Level::Warn) && !filter.prints(Level::Info));
    assert!(filter.lets_pass(Level::Info, Name::Started));
    let off = Logging {
        stdout: config::Level::Off,
        ..logging
    };
    filter.set(&off);
    assert!(!filter.prints(Level::Error));
}

#[test]
fn unknown_event_names_are_reported() {
    let text = r#"{"logging": {"allow": ["share_result", "old_name"], "deny": ["pool_dialling"]}}"#;
    let mut loaded = config::parse(text).unwrap();
    loaded.warnings.clear();
    warn_of_unknown_names(&mut loaded);
    let expected = |name: &str| {
        format!("logging.allow or logging.deny contains \"{name}\", but no event has this name")
    };
    assert_eq!(loaded.warnings, ["old_name", "pool_dialling"].map(expected));
}

#[test]
fn wallets_are_shown_if_the_config_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let logging = Logging {
        show_wallets: true,
        ..logging()
    };
    let (log, guard) = open(&logging, folder.path());
    for fact in samples() {
        log.tell(&fact, at(0));
    }
    drop(guard);
    assert!(
        lines(folder.path())
            .iter()
            .any(|line| line.to_string().contains(ADDRESS))
    );
}

#[test]
fn files_rotate_and_old_ones_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let logging = Logging {
        max_file_mb: 1,
        keep_files: 2,
        ..logging()
    };
    let (log, guard) = open(&logging, folder.path());
    let fact = Fact::ConfigWarning {
        text: "abc ".repeat(125),
    };
    for _ in 0..9000 {
        while !log.tell(&fact, at(0)) {
            assert!(log.flush(PATIENCE));
        }
    }
    drop(guard);
    let mut files: Vec<_> = fs::read_dir(folder.path().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(files[2], "dpmp_rCURRENT.log");
}

#[test]
fn a_full_queue_drops_lines_and_says_how_many() {
    let (sender, written) = bounded(2 * (QUEUE + IMPORTANT));
    let (open, gate) = bounded::<()>(0);
    let (arrived, busy) = bounded(1);
    // It blocks until it is released.
    let write = move |lines: &str, _: &str| {
        let _ = arrived.try_send(());
        let _ = gate.recv();
        let _ = sender.send(lines.to_owned());
    };
    let (log, guard) = start_thread(Arc::new(Shared::new(&logging())), write).unwrap();
    assert!(log.tell(&Fact::Stopping, at(7)));
    busy.recv_timeout(PATIENCE).unwrap();
    let told = QUEUE + 100;
    let lost = (0..told)
        .filter(|_| !log.tell(&Fact::Stopping, at(7)))
        .count();
    assert_eq!(lost, 100);
    // Warnings have places of their own.
    let warning = || Fact::ConfigWarning { text: "a".into() };
    let warned = (0..IMPORTANT).filter(|_| log.tell(&warning(), at(7)));
    assert_eq!(warned.count(), IMPORTANT);
    // Then a library does not wait either.
    say(&log, Level::Error, "no room");
    assert!(!log.flush(Duration::from_millis(20)));
    drop(open);
    drop(guard);
    let written: String = written.try_iter().collect();
    let dropped: Vec<_> = written
        .lines()
        .filter(|line| line.contains("log_dropped"))
        .collect();
    assert_eq!(dropped.len(), 1);
    assert!(
        dropped[0].contains(&format!("\"lines\":{}", lost + 1)),
        "{dropped:?}"
    );
    assert_eq!(written.lines().count(), 1 + told - lost + IMPORTANT + 1);
}

#[test]
fn an_unwritable_folder_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("logs"), "a file").unwrap();
    let (log, guard) = open(&logging(), folder.path());
    assert!(log.tell(&Fact::Stopping, at(0)));
    assert!(log.flush(PATIENCE));
    let problem = log.file_problem().unwrap().text;
    assert!(problem.contains("no log files"), "{problem}");
    drop(guard);
}

#[test]
fn a_full_disk_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    if !Path::new("/dev/full").exists() {
        return;
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("/dev/full", logs.join("dpmp_rCURRENT.log")).unwrap();
    let (log, guard) = open(&logging(), folder.path());
    for _ in 0..10 {
        assert!(log.tell(&Fact::Stopping, at(0)));
    }
    assert!(log.flush(PATIENCE));
    let problem = log.file_problem().unwrap().text;
    assert!(problem.contains("cannot write log lines"), "{problem}");
    drop(guard);
}

#[test]
fn deleted_files_are_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _guard) = open(&logging(), folder.path());
    let tell = || {
        assert!(log.tell(&Fact::Stopping, at(0)));
        assert!(log.flush(PATIENCE));
        events(folder.path()).len()
    };
    assert_eq!([tell(), tell()], [1, 2]);
    fs::remove_file(folder.path().join("logs/dpmp_rCURRENT.log")).unwrap();
    assert_eq!([tell(), tell()], [1, 2]);
    fs::remove_dir_all(folder.path().join("logs")).unwrap();
    assert_eq!([tell(), tell()], [1, 2]);
    // An obstacle is reported, and so is its removal.
    fs::remove_dir_all(folder.path().join("logs")).unwrap();
    fs::write(folder.path().join("logs"), "a file").unwrap();
    assert!(log.tell(&Fact::Stopping, at(0)) && log.flush(PATIENCE));
    assert!(log.file_problem().is_some());
    fs::remove_file(folder.path().join("logs")).unwrap();
    assert_eq!(tell(), 1);
    assert!(log.file_problem().is_none());
}

#[test]
fn log_lines_of_libraries_are_json_too() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _guard) = open(&logging(), folder.path());
    say(&log, Level::Error, "failed to accept \"new\" connection");
    say(&log, Level::Info, "noise");
    assert!(log.flush(PATIENCE));
    let lines = lines(folder.path());
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["event"], "library_message");
    assert_eq!(lines[0]["level"], "error");
    assert_eq!(lines[0]["library"], "http");
    assert_eq!(lines[0]["text"], "failed to accept \"new\" connection");
}
