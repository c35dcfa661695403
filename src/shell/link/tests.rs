//! Connections over real sockets with the smallest buffers, and peers that read in unusual ways.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::RecvTimeoutError::Timeout;
use std::sync::mpsc::{Receiver, sync_channel};

use rustls::StreamOwned;
use socket2::SockRef;

use super::*;
use crate::observe::metrics::{Metrics, Side};
use crate::shell::connection::{LineSource, open_link, read_lines};
use crate::shell::socket::{HEARD, OUTBOX, PIECE};
use crate::shell::tls;
use crate::system::clock::clock;
use crate::system::net::tests::loopback;
use crate::system::thread::{PARSER_STACK, spawn};

/// Longer than anything in these tests takes.
const LONG: Duration = Duration::from_secs(60);

/// How often writing passes on and back.
const ROUNDS: usize = 50;

/// The two ends of a connection whose buffers are as small as the system allows.
fn tight() -> (TcpStream, TcpStream) {
    let (ours, theirs) = loopback(Some(4096));
    theirs.set_read_timeout(Some(LONG)).unwrap();
    (ours, theirs)
}

fn squeeze(socket: &Socket) {
    SockRef::from(&socket.stream)
        .set_send_buffer_size(1)
        .unwrap();
}

/// A connection, and its peer's end.
fn plain() -> (Arc<Socket>, Link, TcpStream) {
    let (ours, theirs) = tight();
    let socket = Socket::new(ours);
    squeeze(&socket);
    let link = open_link("m1", &socket).unwrap();
    (socket, link, theirs)
}

/// A line that shows if it is damaged or out of order.
fn line(number: usize) -> String {
    format!("{number} {}", "x".repeat(number * 7919 % 3000))
}

fn waits(socket: &Socket) -> usize {
    socket.outbox.lock().bytes.len()
}

/// Sends numbered lines until more is waiting than one write takes. Returns the number of the next line.
fn pile_up(socket: &Socket, link: &Link, flush: &Flush, next: usize) -> usize {
    pile_up_to(PIECE, socket, link, flush, next)
}

fn pile_up_to(least: usize, socket: &Socket, link: &Link, flush: &Flush, mut next: usize) -> usize {
    while waits(socket) <= least {
        assert!(!socket.has_ended());
        link.send(format!("{}\n", line(next)).as_bytes(), flush)
            .unwrap();
        next += 1;
    }
    next
}

/// Checks lines, each once it may be read.
fn check(stream: impl Read, may_read: &Receiver<usize>) {
    let mut lines = BufReader::new(stream).lines();
    let mut next = 0;
    for until in may_read {
        while next < until {
            assert_eq!(lines.next().unwrap().unwrap(), line(next));
            next += 1;
        }
    }
    assert!(lines.next().is_none(), "the end");
}

/// Writing passes on to the other thread and back, again and again: while the peer does not read, and while it does.
fn pass_on_and_back(socket: &Socket, link: Link, peer: impl Read + Send + 'static) {
    let flush = Flush::start(LONG).unwrap();
    let (permit, may_read) = sync_channel(ROUNDS * 2);
    let peer = spawn("peer", PARSER_STACK, move || check(peer, &may_read)).unwrap();
    let mut next = 0;
    for _ in 0..ROUNDS {
        next = pile_up(socket, &link, &flush, next);
        permit.send(next).unwrap();
        while waits(socket) > 0 {
            link.send(format!("{}\n", line(next)).as_bytes(), &flush)
                .unwrap();
            next += 1;
            permit.send(next).unwrap();
            if waits(socket) > OUTBOX / 2 {
                socket.wait_until_left(0);
            }
        }
    }
    next = pile_up(socket, &link, &flush, next);
    permit.send(next).unwrap();
    // Waiting data is written, then the connection ends.
    drop((permit, link));
    peer.join().unwrap();
}

#[test]
fn lines_stay_whole_and_in_order_when_the_writer_changes() {
    let (socket, link, peer) = plain();
    pass_on_and_back(&socket, link, peer);
}

#[test]
fn encrypted_lines_stay_whole_and_in_order() {
    let (ours, theirs) = tight();
    let mut tls = tls::tests::server();
    let peer = spawn("peer", PARSER_STACK, move || {
        while tls.is_handshaking() {
            tls.complete_io(&mut &theirs).unwrap();
        }
        StreamOwned::new(tls, theirs)
    });
    let session = tls::tests::begin(&ours).unwrap();
    let socket = Socket::encrypted(ours, session);
    squeeze(&socket);
    let link = open_link("m1", &socket).unwrap();
    pass_on_and_back(&socket, link, peer.unwrap().join().unwrap());
}

#[test]
fn peers_that_do_not_read_cost_others_nothing() {
    let flush = Flush::start(LONG).unwrap();
    let (never, byte_by_byte, stops, good) = (plain(), plain(), plain(), plain());
    let mut next = 0;
    for (socket, link, _) in [&never, &byte_by_byte, &stops, &good] {
        next = pile_up(socket, link, &flush, 0);
    }
    let (_, _, mut peer) = byte_by_byte;
    let (stop, stopped) = sync_channel::<()>(0);
    let reading = spawn("peer", PARSER_STACK, move || {
        let pause = Duration::from_millis(10);
        while stopped
            .recv_timeout(pause)
            .is_err_and(|error| error == Timeout)
        {
            peer.read_exact(&mut [0]).unwrap();
        }
    });
    // In the middle of a line.
    (&stops.2).read_exact(&mut [0; 5000]).unwrap();
    // The peer that reads gets everything.
    let (socket, link, peer) = good;
    let (permit, may_read) = sync_channel(10);
    let checking = spawn("peer", PARSER_STACK, move || check(peer, &may_read));
    for _ in 0..10 {
        permit.send(next).unwrap();
        socket.wait_until_left(0);
        next = pile_up(&socket, &link, &flush, next);
    }
    permit.send(next).unwrap();
    drop((permit, link));
    checking.unwrap().join().unwrap();
    drop(stop);
    reading.unwrap().join().unwrap();
    // The data that waits for the others is limited.
    for (socket, link, _) in [&never, &stops] {
        let mut sent = 0;
        while link.send(&[b'x'; 5000], &flush).is_ok() {
            sent += 5000;
            assert!(sent <= OUTBOX);
        }
        assert!(waits(socket) > OUTBOX - 5000);
    }
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn a_peer_that_reads_nothing_is_cut_off_and_its_reader_ends() {
    let flush = Flush::start(Duration::from_millis(100)).unwrap();
    let (socket, link, _peer) = plain();
    pile_up(&socket, &link, &flush, 0);
    socket.wait_until_left(0);
    assert_eq!(socket.reason(CloseReason::ByUs), CloseReason::NotReading);
    assert_eq!(
        (&socket.stream).read(&mut [0]).unwrap(),
        0,
        "it no longer reads"
    );
    // No more data is kept for it.
    let waiting = waits(&socket);
    assert_eq!(link.send(b"more\n", &flush), Ok(()));
    assert_eq!(waits(&socket), waiting);
}

#[test]
fn a_message_of_any_length_is_accepted_by_an_empty_queue() {
    let flush = Flush::start(LONG).unwrap();
    let (socket, link, mut peer) = plain();
    let long = vec![b'x'; OUTBOX * 4];
    assert_eq!(link.send(&long, &flush), Ok(()));
    assert_eq!(link.send(b"more\n", &flush), Err(OutboxFull));
    peer.read_exact(&mut vec![0; long.len()]).unwrap();
    socket.wait_until_left(0);
    assert_eq!(
        socket.outbox.lock().bytes.capacity(),
        0,
        "the memory is given back"
    );
    assert_eq!(link.send(b"more\n", &flush), Ok(()));
    peer.read_exact(&mut [0; 5]).unwrap();
}

#[test]
fn queued_messages_are_written_before_closing_within_a_time_limit() {
    let flush = Flush::start(LONG).unwrap();
    let mut linger = Linger::default();
    let start = clock();
    // One reads everything and keeps its side open, one reads nothing, and one is gone.
    let (reads, does_not, gone) = (plain(), plain(), plain());
    let owed = pile_up(&reads.0, &reads.1, &flush, 0);
    pile_up(&does_not.0, &does_not.1, &flush, 0);
    for (link, later) in [(reads.1, 0), (does_not.1, 1), (gone.1, 2)] {
        linger.close(link, start + Duration::from_millis(later));
    }
    drop(gone.0);
    let (permit, may_read) = sync_channel(1);
    permit.send(owed).unwrap();
    drop(permit);
    check(&reads.2, &may_read);
    linger.cut_off(start + LINGER - Duration::from_millis(1));
    (&reads.2).write_all(b"still read\n").unwrap();
    (&reads.0.stream).read_exact(&mut [0; 11]).unwrap();
    linger.cut_off(start + LINGER);
    assert_eq!((&reads.0.stream).read(&mut [0]).unwrap(), 0);
    assert!(waits(&does_not.0) > 0);
    assert_eq!(
        linger.next_deadline(),
        Some(start + LINGER + Duration::from_millis(1))
    );
    linger.cut_off(start + LINGER * 2);
    assert_eq!(linger.next_deadline(), None);
    assert_eq!((&does_not.0.stream).read(&mut [0]).unwrap(), 0);
    assert_eq!(does_not.0.reason(CloseReason::ByPeer), CloseReason::ByUs);
}

#[test]
fn an_abort_discards_queued_messages() {
    let flush = Flush::start(LONG).unwrap();
    let (socket, link, mut peer) = plain();
    let mut sent = Vec::new();
    while waits(&socket) <= PIECE {
        sent.extend_from_slice(&[b'x'; 5000]);
        link.send(&[b'x'; 5000], &flush).unwrap();
    }
    link.abort(CloseReason::ByUs);
    let mut read = Vec::new();
    let _ = peer.read_to_end(&mut read);
    assert!(read.len() < sent.len());
}

/// The line is there all the time; it is processed once the answers before it were read.
#[test]
fn a_miner_that_does_not_read_its_answers_is_not_read_either() {
    let flush = Flush::start(LONG).unwrap();
    let (socket, link, mut peer) = plain();
    let sent = pile_up_to(HEARD, &socket, &link, &flush, 0);
    peer.write_all(b"a line\n").unwrap();
    let (tell, heard) = sync_channel(1);
    let (of_reader, metrics) = (Arc::clone(&socket), Metrics::new().unwrap());
    spawn("m1", PARSER_STACK, move || {
        let reading = LineSource {
            socket: &of_reader,
            longest_line: 100,
            lines_per_second: 0,
            metrics: &metrics,
            side: Side::Downstream,
        };
        tell.send(0).unwrap();
        read_lines(&reading, |_| tell.send(waits(&of_reader)).is_ok());
    })
    .unwrap();
    assert_eq!(heard.recv().unwrap(), 0, "it has begun");
    let mut lines = BufReader::new(peer).lines();
    (0..sent).for_each(|number| assert_eq!(lines.next().unwrap().unwrap(), line(number)));
    assert!(heard.recv_timeout(LONG).unwrap() <= HEARD);
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn messages_sent_before_a_cut_off_are_still_handled() {
    let flush = Flush::start(Duration::from_millis(100)).unwrap();
    let (socket, link, mut peer) = plain();
    pile_up_to(HEARD, &socket, &link, &flush, 0);
    peer.write_all(b"a share\nanother\n").unwrap();
    let metrics = Metrics::new().unwrap();
    let reading = LineSource {
        socket: &socket,
        longest_line: 100,
        lines_per_second: 0,
        metrics: &metrics,
        side: Side::Downstream,
    };
    let mut heard = Vec::new();
    let reason = read_lines(&reading, |line| {
        heard.push(String::from_utf8_lossy(line).into_owned());
        true
    });
    assert_eq!(reason, CloseReason::NotReading);
    assert_eq!(heard, ["a share", "another"]);
}
