//! Accepting from the outside: connections over the loopback, and what the scheduler learns about them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use crossbeam_channel::Receiver;
use serde_json::{Value, json};

use super::*;
use crate::stratum::message::FromMiner;

/// Longer than anything in these tests takes.
const LONG: Duration = Duration::from_secs(60);

const PING: &[u8] = b"{\"id\":1,\"method\":\"mining.ping\"}\n";

/// A port with these settings of `listen`, and the scheduler's inbox.
fn door(settings: Value) -> (Door, Receiver<Input>) {
    let config = json!({"listen": settings}).to_string();
    let config = Arc::new(crate::config::parse(&config).unwrap().config);
    let (shared, inputs) = Shared::for_tests(config);
    let reception = Reception::new(Room::of_this_system(None), shared);
    let port = listen(([127, 0, 0, 1], 0).into(), "listen.port").unwrap();
    (Door::open(port, None, reception).unwrap(), inputs)
}

fn connect(door: &Door) -> TcpStream {
    let stream = TcpStream::connect(door.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

fn next(inputs: &Receiver<Input>) -> Input {
    inputs.recv_timeout(LONG).unwrap()
}

/// The next input is a new miner.
fn opened(inputs: &Receiver<Input>) -> (MinerId, SocketAddr, crate::shell::link::Link) {
    match next(inputs) {
        Input::MinerOpened { miner, peer, link } => (miner, peer, link),
        other => panic!("{other:?}"),
    }
}

/// The next input is a miner's end.
fn closed(inputs: &Receiver<Input>) -> (MinerId, CloseReason) {
    match next(inputs) {
        Input::MinerClosed { miner, reason } => (miner, reason),
        other => panic!("{other:?}"),
    }
}

/// Whether the connection was closed without an answer.
fn is_refused(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        // A reset is also an end.
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Whether the miner is announced before its connection is closed.
fn is_let_in(stream: &TcpStream, inputs: &Receiver<Input>) -> bool {
    stream.set_nonblocking(true).unwrap();
    while inputs.is_empty() && !is_refused(stream) {
        std::thread::yield_now();
    }
    inputs
        .try_iter()
        .any(|input| matches!(input, Input::MinerOpened { .. }))
}

#[test]
fn a_miner_is_announced_first_and_its_end_last() {
    let (door, inputs) = door(json!({}));
    let mut stream = connect(&door);
    stream.write_all(PING).unwrap();
    let (miner, peer, _link) = opened(&inputs);
    assert_eq!((miner, peer), (MinerId(1), stream.local_addr().unwrap()));
    let line = next(&inputs);
    let is_ping = matches!(
        &line,
        Input::MinerLine {
            line: Ok(FromMiner::Request { .. }),
            ..
        }
    );
    assert!(is_ping, "{line:?}");
    stream.write_all(b"rubbish\n").unwrap();
    let line = next(&inputs);
    assert!(
        matches!(&line, Input::MinerLine { line: Err(_), .. }),
        "{line:?}"
    );
    drop(stream);
    assert_eq!(closed(&inputs), (miner, CloseReason::ByPeer));
    // No two have the same number.
    let _stream = connect(&door);
    assert_eq!(opened(&inputs).0, MinerId(2));
}

#[test]
fn an_endless_line_closes_the_connection_and_is_logged() {
    let (door, inputs) = door(json!({}));
    let mut stream = connect(&door);
    let (miner, _, _link) = opened(&inputs);
    // It is disconnected in the meantime.
    let _ = stream.write_all(&vec![b'x'; 1024 * 1024]);
    let told = next(&inputs);
    let is_told = matches!(
        &told,
        Input::Report(Fact::LimitReached {
            limit: Limit::LineLength,
            ..
        })
    );
    assert!(is_told, "{told:?}");
    let (who, reason) = closed(&inputs);
    assert_eq!(who, miner);
    assert!(matches!(reason, CloseReason::Misbehaved(_)), "{reason:?}");
}

#[test]
fn a_seat_is_freed_when_its_miner_leaves() {
    for limit in ["max_miners", "max_miners_per_address"] {
        let (door, inputs) = door(json!({limit: 1}));
        let first = connect(&door);
        let (miner, _, _link) = opened(&inputs);
        assert!(is_refused(&connect(&door)), "{limit}");
        drop(first);
        assert_eq!(closed(&inputs).0, miner);
        // The seat is free a moment after the end was announced.
        while !is_let_in(&connect(&door), &inputs) {}
    }
}

#[test]
fn the_balancer_names_the_miners_address() {
    let (door, inputs) = door(json!({"proxy_protocol_from": ["127.0.0.1"]}));
    let mut stream = connect(&door);
    stream
        .write_all(b"PROXY TCP4 10.1.2.3 10.0.0.1 5000 3351\r\n")
        .unwrap();
    stream.write_all(PING).unwrap();
    let (_, peer, _link) = opened(&inputs);
    assert_eq!(peer, ([10, 1, 2, 3], 5000).into());
    assert!(matches!(
        next(&inputs),
        Input::MinerLine { line: Ok(_), .. }
    ));
    // A connection that only checks whether the port is open, and one without a header, are not miners.
    drop(connect(&door));
    let mut stream = connect(&door);
    stream.write_all(PING).unwrap();
    assert!(is_refused(&stream));
    assert!(
        inputs.try_recv().is_err(),
        "the scheduler does not hear of them"
    );
}

#[test]
fn a_closed_listener_lets_no_miner_in_and_disconnects_none() {
    let (door, inputs) = door(json!({}));
    let address = door.address();
    let mut stream = connect(&door);
    let _kept = opened(&inputs);
    door.stop();
    let begun = clock();
    while TcpStream::connect(address).is_ok_and(|stream| !is_refused(&stream)) {
        assert!(clock() - begun < LONG, "it is still open");
    }
    stream.write_all(PING).unwrap();
    assert!(matches!(next(&inputs), Input::MinerLine { .. }));
}
