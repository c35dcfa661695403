//! The socket and threads of a simulated miner.
#![expect(
    clippy::disallowed_methods,
    reason = "here the simulated miner meets real time"
)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use socket2::{Domain, Socket, Type};

use crate::sim::miner::ledger::Ending;
use crate::sim::miner::model::MinerModel;
use crate::sim::miner::options::MinerOptions;
use crate::sim::miner::output::MinerOutput;
use crate::sim::peer::MinerPeer;
use crate::sim::take_line;
use crate::system::thread::{PARSER_STACK, WRITER_STACK, spawn};

/// How many lines can wait for the working thread; beyond that, the reader waits.
const QUEUE: usize = 256;

/// How long dialing and one write may take.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// The receive buffer of a miner that stops reading, in bytes.
const SMALL_BUFFER: usize = 4096;

/// Input for the working thread.
#[derive(Debug)]
pub(super) enum Input {
    /// A line, and when it was read.
    Line {
        dial: u64,
        line: Vec<u8>,
        at: Instant,
    },
    /// The reader ended.
    Closed {
        dial: u64,
    },
    Inject(String),
    Pause(bool),
    HangUp,
    Stop,
}

/// Starts the threads of a miner: where it takes commands, and its working thread.
pub(super) fn start(mut model: MinerModel) -> io::Result<(Sender<Input>, JoinHandle<()>)> {
    let (inbox, inputs) = bounded(QUEUE);
    let for_readers = inbox.clone();
    let worker = spawn("simminer", PARSER_STACK, move || {
        run(&mut model, &for_readers, &inputs);
    })?;
    Ok((inbox, worker))
}

/// The outcome of a connection.
enum Next {
    Redial(Ending),
    Stop,
}

/// A miner's main loop: one connection after another.
fn run(model: &mut MinerModel, inbox: &Sender<Input>, inputs: &Receiver<Input>) {
    for dial in 0.. {
        if let Ok(stream) = connect(model.options()) {
            let next = match converse(model, inbox, inputs, &stream, dial) {
                Ok(next) => next,
                Err(_) => Next::Redial(Ending::ByServer),
            };
            let _ = stream.shutdown(Shutdown::Both);
            match next {
                Next::Redial(ending) => model.closed(Instant::now(), ending),
                Next::Stop => return model.closed(Instant::now(), Ending::ByMiner),
            }
        }
        if !wait(model, inputs) {
            return;
        }
    }
}

fn connect(options: &MinerOptions) -> io::Result<TcpStream> {
    let address = options.address;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if options.stops_reading {
        // So that the server notices before megabytes have been sent.
        socket.set_recv_buffer_size(SMALL_BUFFER)?;
    }
    socket.connect_timeout(&address.into(), DIAL_TIMEOUT)?;
    Ok(socket.into())
}

/// Waits until it is time to connect again; `false` at the end.
fn wait(model: &mut MinerModel, inputs: &Receiver<Input>) -> bool {
    let until = model
        .options()
        .reconnect
        .map(|pause| Instant::now() + pause);
    loop {
        let input = match until {
            Some(until) => inputs.recv_deadline(until),
            None => inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match input {
            Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Ok(Input::Pause(paused)) => model.pause(paused),
            // Leftovers of the connection that ended.
            Ok(Input::Line { .. } | Input::Closed { .. } | Input::Inject(_) | Input::HangUp) => (),
            Err(RecvTimeoutError::Timeout) => return true,
        }
    }
}

/// One connection.
fn converse(
    model: &mut MinerModel,
    inbox: &Sender<Input>,
    inputs: &Receiver<Input>,
    stream: &TcpStream,
    dial: u64,
) -> io::Result<Next> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let reading = Arc::new(AtomicBool::new(true));
    let reader = {
        let (stream, reading) = (stream.try_clone()?, Arc::clone(&reading));
        let inbox = inbox.clone();
        spawn("simminer-rx", WRITER_STACK, move || {
            read_lines(stream, &inbox, dial, &reading);
        })?
    };
    let mut out = Vec::new();
    model.connected(Instant::now(), &mut out);
    let next = loop {
        if let Some(next) = perform(&mut out, stream, &reading) {
            break next;
        }
        let input = inputs.recv_deadline(model.next_turn());
        match input {
            Ok(Input::Line { dial: of, line, at }) if of == dial => {
                model.line(&line, at, &mut out);
            }
            Ok(Input::Closed { dial: of }) if of == dial => {
                break Next::Redial(Ending::ByServer);
            }
            Ok(Input::Line { .. } | Input::Closed { .. }) => (),
            Ok(Input::Inject(line)) => model.inject(&line, &mut out),
            Ok(Input::Pause(paused)) => model.pause(paused),
            Ok(Input::HangUp) => break Next::Redial(Ending::ByMiner),
            Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => break Next::Stop,
            Err(RecvTimeoutError::Timeout) => (),
        }
        // Read every time: on a busy connection there may be no timeout at all.
        let now = Instant::now();
        if model.next_turn() <= now {
            model.turn(now, &mut out);
        }
    };
    let _ = stream.shutdown(Shutdown::Both);
    let stopped = drain(inputs, &reader);
    let _ = reader.join();
    Ok(if stopped { Next::Stop } else { next })
}

/// Empties the queue until the reader, which may be waiting for room in it, has ended; returns whether the miner was
/// stopped in the meantime.
fn drain(inputs: &Receiver<Input>, reader: &JoinHandle<()>) -> bool {
    let mut stopped = false;
    while !reader.is_finished() {
        if let Ok(Input::Stop) = inputs.recv_timeout(Duration::from_millis(1)) {
            stopped = true;
        }
    }
    stopped
}

/// Carries out the model's actions; returns the outcome of the connection if it has ended.
fn perform(
    out: &mut Vec<MinerOutput>,
    mut stream: &TcpStream,
    reading: &AtomicBool,
) -> Option<Next> {
    for output in out.drain(..) {
        match output {
            MinerOutput::Write(lines) => {
                if stream.write_all(lines.as_bytes()).is_err() {
                    return Some(Next::Redial(Ending::ByServer));
                }
            }
            MinerOutput::HangUp => return Some(Next::Redial(Ending::ByMiner)),
            MinerOutput::CloseSending => {
                let _ = stream.shutdown(Shutdown::Write);
            }
            MinerOutput::StopReading => reading.store(false, Ordering::SeqCst),
        }
    }
    None
}

/// Passes lines to the working thread as long as it accepts them.
fn read_lines(mut stream: TcpStream, inbox: &Sender<Input>, dial: u64, wanted: &AtomicBool) {
    let mut buffer = vec![0; 8192];
    let mut pending: Vec<u8> = Vec::new();
    while let Some(read) = read_some(&mut stream, &mut buffer) {
        let at = Instant::now();
        if !wanted.load(Ordering::SeqCst) {
            // Writing will notice the end.
            return;
        }
        pending.extend(&buffer[..read]);
        while let Some(line) = take_line(&mut pending) {
            if inbox.send(Input::Line { dial, line, at }).is_err() {
                return;
            }
        }
        if pending.len() > LONGEST_LINE {
            break;
        }
    }
    let _ = inbox.send(Input::Closed { dial });
}

/// Reads once; `None` at the end of the connection.
fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return None,
            Ok(read) => return Some(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(_) => return None,
        }
    }
}
