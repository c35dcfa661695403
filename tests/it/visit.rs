//! The test of a pool, as `dpmp check` and the pages run it: each step where a pool can fail has its own sentence, and
//! working steps are not called failures.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dpmp::config;
use dpmp::shell::tls::pool::Tls;
use dpmp::units::PoolSlot;
use dpmp::visit::{Finding, visit};
use serde_json::{Value, json};

use crate::support::serve;

/// How long a test may take here; longer than a pool gets for configure.
const PATIENCE: Duration = Duration::from_secs(9);

const CONFIGURED: &str =
    r#"{"result": {"version-rolling": true, "version-rolling.mask": "1fffe000"}, "error": null}"#;
const SUBSCRIBED: &str = r#"{"result": [[["mining.notify", "1"]], "08000002", 8], "error": null}"#;
const AUTHORIZED: &str = r#"{"result": true, "error": null}"#;
const DIFFICULTY: &str = r#"{"id": null, "method": "mining.set_difficulty", "params": [512]}"#;

fn job() -> Value {
    json!({"id": null, "method": "mining.notify", "params": [
        "1", "00".repeat(32), "01", "02", [], "20000000", "1d00ffff", "65000000", true,
    ]})
}

/// A scripted pool.
#[derive(Clone, Default)]
struct Script {
    /// Answers by the last part of the method: configure, subscribe, authorize. Other methods get no answer.
    answers: Vec<(&'static str, String)>,
    /// What it sends after the answer to authorize.
    then: Vec<String>,
    /// What it sends immediately.
    greeting: &'static str,
    /// How often it sends that, with a pause before each.
    times: usize,
    /// The method after which it hangs up.
    hangs_up_on: &'static str,
}

impl Script {
    fn answering(answers: &[(&'static str, &str)]) -> Self {
        Self {
            answers: answers
                .iter()
                .map(|(method, answer)| (*method, (*answer).to_owned()))
                .collect(),
            ..Self::default()
        }
    }

    fn then(mut self, lines: &[String]) -> Self {
        self.then = lines.to_vec();
        self
    }

    fn play(&self, stream: TcpStream) {
        let mut out = stream.try_clone().unwrap();
        let (greeting, times) = (self.greeting, self.times);
        std::thread::spawn(move || {
            for _ in 0..times {
                if out.write_all(greeting.as_bytes()).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let mut out = stream.try_clone().unwrap();
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let request: Value = serde_json::from_str(&line).unwrap();
            let method = request["method"].as_str().unwrap();
            let method = method.strip_prefix("mining.").unwrap();
            if method == self.hangs_up_on {
                return;
            }
            let Some((_, answer)) = self.answers.iter().find(|(name, _)| *name == method) else {
                continue;
            };
            let mut answer: Value = serde_json::from_str(answer).unwrap();
            answer["id"] = request["id"].clone();
            let mut lines = vec![answer.to_string()];
            if method == "authorize" {
                lines.extend(self.then.iter().cloned());
            }
            if out.write_all((lines.join("\n") + "\n").as_bytes()).is_err() {
                return;
            }
        }
    }

    fn serve(self) -> SocketAddr {
        serve(move |stream| self.play(stream)).address()
    }
}

/// The steps reported while testing a pool at this port, and the error, if any.
fn told(port: u16, settings: Value) -> (Vec<Finding>, Result<(), String>) {
    let mut text = json!({"pools": {"A": {"host": "127.0.0.1", "port": port, "wallet": "w"}}});
    for (key, value) in settings.as_object().into_iter().flatten() {
        text[key] = value.clone();
    }
    let config = config::parse(&text.to_string()).unwrap().config;
    let pool = config.pools[PoolSlot::A].as_ref().unwrap();
    let limits = &config.downstream_diff[PoolSlot::A];
    let mut all = Vec::new();
    let visited = visit(
        PoolSlot::A,
        pool,
        limits,
        &Tls::default(),
        PATIENCE,
        |found| {
            all.push(found);
            Ok(())
        },
    );
    let visited = visited.map_err(|failure| format!("{}: {:#}", failure.during, failure.error));
    (all, visited)
}

/// The result of a test: the text of its last step, or the error.
fn outcome(script: Script) -> Result<String, String> {
    let (all, visited) = told(script.serve().port(), Value::Null);
    visited?;
    Ok(steps(&all).pop().unwrap().1)
}

/// The names and texts of the reported steps.
fn steps(all: &[Finding]) -> Vec<(&'static str, String)> {
    let step = |found: &Finding| match found {
        Finding::Step(step) => Some((step.name, step.text.clone())),
        Finding::Note(_) => None,
    };
    all.iter().filter_map(step).collect()
}

fn notes(all: &[Finding]) -> Vec<&str> {
    let mut notes = Vec::new();
    for found in all {
        if let Finding::Note(text) = found {
            notes.push(text.as_str());
        }
    }
    notes
}

#[test]
fn each_step_where_a_pool_fails_has_its_own_sentence() {
    let handshake = [
        ("configure", CONFIGURED),
        ("subscribe", SUBSCRIBED),
        ("authorize", AUTHORIZED),
    ];
    let refused = r#"{"result": null, "error": [24, "Invalid address", null]}"#;
    let odd = r#"{"result": "yes", "error": null}"#;
    let greeting = |greeting, times| Script {
        greeting,
        times,
        ..Script::default()
    };
    let hanging_up = |method| Script {
        hangs_up_on: method,
        ..Script::answering(&handshake)
    };
    let mut bad_job = job();
    bad_job["params"][1] = json!("short");
    let with = |replaced: &'static str, answer: &str| {
        let mut answers = handshake;
        let place = answers
            .iter()
            .position(|(name, _)| *name == replaced)
            .unwrap();
        answers[place].1 = answer;
        Script::answering(&answers)
    };
    let cases: Vec<(Script, Result<&str, &str>)> = vec![
        (Script::default(), Err("but sent nothing within")),
        (greeting("x", 60), Err("but no complete line")),
        (greeting("hello there\n", 3), Err("None of the 3 lines")),
        (
            Script::answering(&handshake[..1]),
            Err("subscribe: The pool answered configure, but not subscribe"),
        ),
        (
            Script::answering(&handshake[1..2]),
            Err("authorize: The pool answered subscribe, but not authorize"),
        ),
        (
            with("subscribe", refused),
            Err("mining.subscribe refused: Invalid address"),
        ),
        (with("subscribe", odd), Err("names no extranonce: ")),
        (
            with("authorize", refused),
            Err("mining.authorize refused: Invalid address"),
        ),
        (
            Script::answering(&handshake[..2]),
            Err("authorize: The pool answered subscribe, but not authorize"),
        ),
        (
            Script::answering(&handshake),
            Err("first job: The pool accepted the payout address, but sent no job within 9 s"),
        ),
        (
            Script::answering(&handshake).then(&[DIFFICULTY.to_owned()]),
            Err("but sent no job within 9 s"),
        ),
        (
            Script::answering(&handshake).then(&[bad_job.to_string()]),
            Err("sent an unusable job: prevhash is not 64 hex digits"),
        ),
        (
            hanging_up("subscribe"),
            Err("closed the connection before it answered subscribe"),
        ),
        (
            hanging_up("authorize"),
            Err("closed the connection before it answered authorize"),
        ),
        // The steps that work.
        (
            Script::answering(&handshake).then(&[DIFFICULTY.to_owned(), job().to_string()]),
            Ok("difficulty 512,"),
        ),
        (
            Script::answering(&handshake).then(&[job().to_string()]),
            Ok("difficulty 1 (not named),"),
        ),
        (
            Script::answering(&handshake[1..]).then(&[job().to_string()]),
            Ok("difficulty 1 (not named),"),
        ),
    ];
    std::thread::scope(|scope| {
        let visits: Vec<_> = cases
            .into_iter()
            .map(|(script, expected)| (scope.spawn(move || outcome(script)), expected))
            .collect();
        for (visit, expected) in visits {
            let found = visit.join().unwrap();
            match (&found, expected) {
                (Ok(text), Ok(part)) | (Err(text), Err(part)) if text.contains(part) => (),
                _ => panic!("expected {expected:?}, found {found:?}"),
            }
        }
    });
}

const HANDSHAKE: [(&str, &str); 3] = [
    ("configure", CONFIGURED),
    ("subscribe", SUBSCRIBED),
    ("authorize", AUTHORIZED),
];

#[test]
fn steps_are_reported_as_they_finish() {
    let script = Script::answering(&HANDSHAKE).then(&[DIFFICULTY.to_owned(), job().to_string()]);
    let (all, visited) = told(script.serve().port(), Value::Null);
    assert_eq!(visited, Ok(()));
    let [about_block] = &notes(&all)[..] else {
        panic!("{all:?}");
    };
    assert!(about_block.contains("coinbase cannot be read"), "{all:?}");
    let steps = steps(&all);
    let names: Vec<_> = steps.iter().map(|(name, _)| *name).collect();
    let expected = [
        "resolve",
        "connect",
        "configure",
        "subscribe",
        "authorize",
        "first job",
    ];
    assert_eq!(names, expected);
    assert_eq!(steps[0].1, "127.0.0.1");
    assert_eq!(steps[2].1, "version rolling with mask 1fffe000");
    assert_eq!(
        steps[3].1,
        "extranonce1 08000002 (4 bytes), extranonce2 8 bytes"
    );
    // Nothing listens on this port.
    let (all, visited) = told(crate::support::free_port(), Value::Null);
    assert!(
        visited
            .unwrap_err()
            .starts_with("connect: could not connect"),
        "{all:?}"
    );
}

/// compat Q52: a pool that hangs up on configure is asked in another order, but not forever.
#[test]
fn a_pool_that_hangs_up_on_configure_is_asked_again() {
    let script = Script {
        hangs_up_on: "configure",
        ..Script::answering(&HANDSHAKE[1..])
    };
    let (all, visited) = told(script.serve().port(), Value::Null);
    let steps = steps(&all);
    let asked = steps
        .iter()
        .filter(|(name, _)| *name == "configure")
        .count();
    let told = steps
        .iter()
        .any(|(_, text)| text.contains("asking in another order"));
    assert!(told && asked >= 2, "{steps:?}: {visited:?}");
}

#[test]
fn other_messages_from_a_pool_are_shown_too() {
    let with = |lines: &[Value], settings: Value| {
        let mut then: Vec<String> = lines.iter().map(Value::to_string).collect();
        then.extend([DIFFICULTY.to_owned(), job().to_string()]);
        told(
            Script::answering(&HANDSHAKE).then(&then).serve().port(),
            settings,
        )
    };
    let message = json!({"method": "client.show_message", "params": ["hello"]});
    let away = json!({"method": "client.reconnect", "params": ["other.test", 1, 0]});
    let useless = json!({"method": "mining.set_difficulty", "params": ["much"]});
    let (all, visited) = with(&[message, away, useless.clone()], Value::Null);
    assert_eq!(visited, Ok(()));
    let notes_ = notes(&all);
    let parts = [
        "the pool says: hello",
        "asks to reconnect to other.test",
        "unusable line",
        "coinbase cannot be read",
    ];
    let are_told = notes_
        .iter()
        .zip(parts)
        .all(|(note, part)| note.contains(part));
    assert!(notes_.len() == 4 && are_told, "{notes_:?}");
    let (_, visited) = with(&vec![useless; 21], Value::Null);
    assert!(visited.unwrap_err().contains("too many unusable lines"));
    // A minimum above the pool's difficulty is work that nobody pays for.
    let limits = json!({"downstream_diff": {"poolA_min": 2048}});
    let (all, visited) = with(&[], limits);
    assert_eq!(visited, Ok(()));
    assert!(
        notes(&all)
            .concat()
            .contains("WARNING: the pool asks for difficulty 512"),
        "{all:?}"
    );
}

#[test]
fn a_pool_that_leaves_no_room_for_extranonces_is_refused() {
    let subscribed = SUBSCRIBED.replace("8]", "1]");
    let answers = [
        HANDSHAKE[0],
        ("subscribe", subscribed.as_str()),
        HANDSHAKE[2],
    ];
    let found = outcome(Script::answering(&answers));
    assert!(
        found
            .unwrap_err()
            .contains("extranonce2 is too small: its size is 1")
    );
}
