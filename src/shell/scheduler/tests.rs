//! The scheduler without its thread: rounds at times that the test sets, peers on real sockets, and dials that the test
//! answers.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

use crossbeam_channel::bounded;
use serde_json::json;

use super::*;
use crate::core::event::Source;
use crate::core::event::Stop;
use crate::core::pool::facts::PoolFacts;
use crate::shell::connection::WRITE_PATIENCE;
use crate::shell::socket::Socket;
use crate::stratum::codec::decode_miner;
use crate::system::net::tests::loopback;
use crate::system::room::Room;
use crate::system::thread::{SERVICE_STACK, spawn};
use crate::units::{MinerId, PoolSlot};

/// More nested calls than the scheduler's stack could hold.
const MINERS: u64 = 5000;

/// Longer than anything in these tests takes.
const LONG: Duration = Duration::from_secs(60);

const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":["rig"]}"#;
const AUTHORIZE: &str = r#"{"id":2,"method":"mining.authorize","params":["w.rig","x"]}"#;

struct Rig {
    it: Scheduler,
    now: Now,
    /// What the scheduler was told to dial.
    dials: Receiver<PoolConn>,
    saved: Receiver<Memory>,
}

fn config(weight: u32) -> Arc<Config> {
    let pool = |name| json!({"name": name, "host": "127.0.0.1", "port": 3333, "wallet": "wallet"});
    let config = json!({
        "pools": {"A": pool("A"), "B": pool("B")}, "scheduler": {"poolA_weight": weight},
        "logging": {"directory": "", "deny": ["pool_dialing", "pool_lost", "miner_connected"]},
    });
    Arc::new(crate::config::parse(&config.to_string()).unwrap().config)
}

impl Rig {
    /// A rig whose dials have this result.
    fn new(dial: fn() -> io::Result<()>) -> Self {
        let config = config(50);
        let (context, inbox) = Context::for_tests(Arc::clone(&config));
        let facts: PoolFacts = serde_json::from_value(json!({"e2_size": 8})).unwrap();
        let address = config.pools[PoolSlot::A].as_ref().unwrap().address();
        let (dialled, dials) = bounded(100_000);
        let (store, saved) = bounded(1);
        let parts = Parts {
            config,
            memory: Memory {
                pools: [(address, facts)].into(),
                ..Memory::default()
            },
            inbox,
            context,
            dial: Box::new(move |conn, _, _| {
                dialled.try_send(conn).unwrap();
                dial()
            }),
            flush: Flush::start(WRITE_PATIENCE).unwrap(),
            doors: Vec::new(),
            room: Room::of_this_system(None),
            published: Arc::default(),
            store,
            blocks: bounded(1).0,
            ledger: Arc::default(),
        };
        let mut rig = Self {
            it: Scheduler::new(parts),
            now: now(),
            dials,
            saved,
        };
        rig.it.perform(rig.now);
        rig
    }

    fn round(&mut self, input: Input) {
        self.it.round(Some(input), self.now);
    }

    /// Lets this much time pass, in steps of a second.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now.at += Duration::from_secs(1);
            self.now.unix_ms += 1000;
            // Twice, because overdue deadlines are only judged after another look at the inbox.
            self.it.round(None, self.now);
            self.it.round(None, self.now);
        }
    }

    /// A miner connects; its end of the connection.
    fn miner(&mut self, id: u64, receives: Option<usize>) -> TcpStream {
        let (ours, theirs) = loopback(receives);
        theirs.set_read_timeout(Some(LONG)).unwrap();
        self.round(Input::MinerOpened {
            miner: MinerId(id),
            peer: ([10, 0, 0, 1], 4000).into(),
            link: Link::new(Socket::new(ours)),
        });
        theirs
    }

    fn says(&mut self, id: u64, line: &str) {
        self.round(Input::MinerLine {
            miner: MinerId(id),
            line: decode_miner(line.as_bytes()),
            received: self.now.at,
        });
    }

    /// A connection to a pool is established. Returns the pool's end.
    fn opened(&mut self, conn: PoolConn) -> TcpStream {
        let (ours, theirs) = loopback(None);
        theirs.set_read_timeout(Some(LONG)).unwrap();
        let link = Link::new(Socket::new(ours));
        self.round(Input::PoolOpened { conn, link });
        theirs
    }
}

fn line(stream: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

/// Waits for the end of the connection, and returns what could still be read.
fn ended(mut stream: &TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest
}

#[test]
fn a_message_is_written_in_the_round_that_produced_it() {
    let mut rig = Rig::new(|| Ok(()));
    let miner = rig.miner(1, None);
    rig.says(1, SUBSCRIBE);
    assert!(line(&miner).contains("mining.notify"));
    let conn = rig
        .dials
        .try_iter()
        .last()
        .expect("the pools are looked at");
    let pool = rig.opened(conn);
    assert!(line(&pool).contains("mining."), "the handshake has begun");
}

#[test]
fn a_miner_that_does_not_read_is_cut_off_and_delays_no_other() {
    let mut rig = Rig::new(|| Ok(()));
    let deaf = rig.miner(1, Some(4096));
    let other = rig.miner(2, None);
    let id = LinkId::Miner(MinerId(1));
    let begun = clock();
    let mut pings = 0;
    while rig.it.links.contains_key(&id) {
        rig.says(
            1,
            r#"{"id":"a long request id, so that the answer is long too","method":"mining.ping"}"#,
        );
        pings += 1;
        assert!(pings < 100_000, "it is never cut off");
    }
    rig.says(2, SUBSCRIBE);
    assert!(line(&other).contains("mining.notify"));
    assert!(clock() - begun < LONG, "the scheduler waited");
    // What the system had accepted arrives, then the connection ends.
    assert!(ended(&deaf).len() < pings * 200);
    assert!(
        rig.it.core.peer(MinerId(1)).is_some(),
        "until its reader ends"
    );
    let (miner, reason) = (MinerId(1), CloseReason::NotReading);
    rig.round(Input::MinerClosed { miner, reason });
    assert_eq!(rig.it.core.peer(MinerId(1)), None);
}

#[test]
fn a_dial_that_cannot_start_counts_as_failed() {
    let mut rig = Rig::new(|| Err(io::Error::other("no room for a thread")));
    let first = rig.dials.try_iter().count();
    assert!(first > 0);
    rig.pass(60);
    let later = rig.dials.try_iter().count();
    assert!(later > 2, "{later} attempts in a minute");
    assert!(later < 600, "{later} attempts in a minute");
}

#[test]
fn a_connection_that_is_no_longer_needed_is_closed() {
    let mut rig = Rig::new(|| Ok(()));
    let own = rig.dials.try_iter().count();
    assert!(own > 0, "the pools are looked at");
    rig.miner(1, None);
    rig.says(1, SUBSCRIBE);
    rig.says(1, AUTHORIZE);
    let conns: Vec<_> = rig.dials.try_iter().collect();
    assert!(!conns.is_empty(), "nothing is dialed for the miner");
    let (miner, reason) = (MinerId(1), CloseReason::ByPeer);
    rig.round(Input::MinerClosed { miner, reason });
    for conn in conns {
        let pool = rig.opened(conn);
        assert!(!rig.it.links.contains_key(&LinkId::Pool(conn)), "{conn}");
        ended(&pool);
        let reason = CloseReason::ByUs;
        rig.round(Input::PoolClosed { conn, reason });
    }
    assert!(rig.it.standing.is_empty());
}

#[test]
fn a_configuration_is_in_force_once_the_answer_arrives() {
    let mut rig = Rig::new(|| Ok(()));
    for change in [true, false] {
        if change {
            rig.it.context.live.want(config(70), Source::File);
        }
        let (done, answer) = bounded(1);
        rig.round(Input::Config { done });
        answer.try_recv().unwrap();
        assert_eq!(rig.it.core.config(), &config(70));
        assert_eq!(rig.it.context.live.get(), config(70));
    }
}

#[test]
fn state_is_saved_regularly_and_nothing_waits_for_a_busy_store() {
    let mut rig = Rig::new(|| Ok(()));
    rig.pass(120);
    assert_eq!(rig.saved.len(), 0, "nothing has happened");
    rig.miner(1, None);
    rig.pass(31);
    assert_eq!(rig.saved.len(), 1);
    rig.says(1, SUBSCRIBE);
    rig.pass(31);
    rig.says(1, AUTHORIZE);
    rig.pass(31);
    assert_eq!(rig.saved.try_iter().count(), 1, "the rest did not fit");
    rig.pass(2);
    assert_eq!(rig.saved.len(), 1, "and comes as soon as it does");
    assert_eq!(
        rig.it.published.get().miners.len(),
        1,
        "all is shown meanwhile"
    );
}

#[test]
fn a_stop_or_a_panic_ends_the_loop_and_saves_the_state() {
    let rig = Rig::new(|| Ok(()));
    let inbox = rig.it.context.inbox.clone();
    inbox.send(Input::Stop(Stop::AtOnce)).unwrap();
    assert_eq!(rig.it.run().pools.len(), 1);
    let mut rig = Rig::new(|| Ok(()));
    rig.it.dial = Box::new(|_, _, _| panic!("in the middle of a round"));
    rig.miner(1, None);
    let inbox = rig.it.context.inbox.clone();
    for text in [SUBSCRIBE, AUTHORIZE] {
        let line = decode_miner(text.as_bytes());
        let (miner, received) = (MinerId(1), clock());
        inbox
            .send(Input::MinerLine {
                miner,
                line,
                received,
            })
            .unwrap();
    }
    // If nothing is dialed, it goes on forever.
    assert_eq!(rig.it.run().pools.len(), 1);
}

#[test]
fn thousands_of_dials_may_fail_in_one_round() {
    let run = || {
        let mut rig = Rig::new(|| Err(io::Error::other("no room for a thread")));
        let (start, it) = (rig.now, &mut rig.it);
        let later = |seconds| Now {
            at: start.at + Duration::from_secs(seconds),
            ..start
        };
        it.core.handle_deadline(later(10), &mut it.actions);
        it.perform(later(10));
        for miner in (1..=MINERS).map(MinerId) {
            let peer = ([10, 0, 0, 1], 4000).into();
            let mut events = vec![Event::MinerOpened { miner, peer }];
            for line in [SUBSCRIBE, AUTHORIZE] {
                let message = decode_miner(line.as_bytes()).unwrap();
                events.push(Event::MinerSent { miner, message });
            }
            for event in events {
                it.core.handle(event, later(10), &mut it.actions);
                it.perform(later(10));
            }
        }
        // All pauses are over by now.
        it.core.handle_deadline(later(15), &mut it.actions);
        it.perform(later(15));
        it.core.memory();
    };
    spawn("scheduler", SERVICE_STACK, run)
        .unwrap()
        .join()
        .unwrap();
}
