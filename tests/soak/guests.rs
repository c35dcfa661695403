//! Clients that misbehave: each connects, does one thing for a while, and leaves.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dpmp::random::Random;
use parking_lot::Mutex;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// The longest time for an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// The longest write before a guest gives up.
const WRITE: Duration = Duration::from_secs(2);

pub(crate) const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":["guest"]}"#;
pub(crate) const AUTHORIZE: &str =
    r#"{"id":2,"method":"mining.authorize","params":["wallet.guest","x"]}"#;

/// What a guest does. An error of the connection just ends the visit.
pub(crate) type Act = fn(&mut Guest) -> std::io::Result<()>;

/// All acts.
pub(crate) const ACTS: [(&str, Act); 10] = [
    ("miner floods with shares", flood),
    ("miner half-closes", half_close),
    ("miner never reads", never_read),
    ("miner resets", reset),
    ("miner is silent", silent),
    ("miner sends a megabyte line", megabyte),
    ("miner sends rubbish", rubbish),
    ("miner sends a byte at a time", byte_by_byte),
    ("miners come and go", come_and_go),
    ("browser is silent", silent_browser),
];

/// A working guest.
pub(crate) struct Guest {
    pub(crate) miners: SocketAddr,
    pub(crate) web: [SocketAddr; 2],
    pub(crate) until: Instant,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) rng: Random,
    /// Faults of the proxy.
    pub(crate) complaints: Arc<Mutex<Vec<String>>>,
}

impl Guest {
    fn goes_on(&self) -> bool {
        Instant::now() < self.until && !self.stop.load(Ordering::SeqCst)
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(self.miners)?;
        stream.set_write_timeout(Some(WRITE))?;
        Ok(stream)
    }

    pub(crate) fn stay(&self) {
        while self.goes_on() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Sends shares as fast as they are answered. Each gets exactly one answer as long as the connection is open.
fn flood(guest: &mut Guest) -> std::io::Result<()> {
    const BURST: u64 = 300;
    let mut stream = guest.connect()?;
    stream.set_read_timeout(Some(ANSWER))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    writeln!(stream, "{SUBSCRIBE}\n{AUTHORIZE}")?;
    for first in (1000..).step_by(usize::try_from(BURST).unwrap_or(1)) {
        if !guest.goes_on() {
            break;
        }
        let line = |id| {
            format!(
                "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"wallet.guest\",\"0\",\"00\",\"00000000\",\"00000000\"]}}\n"
            )
        };
        let burst: String = (first..first + BURST).map(line).collect();
        stream.write_all(burst.as_bytes())?;
        let mut missing: Vec<u64> = (first..first + BURST).collect();
        while !missing.is_empty() {
            let line = match lines.next() {
                Some(Ok(line)) => line,
                Some(Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let count = missing.len();
                    let text = format!("{count} shares of a flood have no answer after {ANSWER:?}");
                    guest.complaints.lock().push(text);
                    return Ok(());
                }
                Some(Err(_)) | None => return Ok(()),
            };
            let message: Value = serde_json::from_str(&line).unwrap_or_default();
            let Some(id) = message["id"].as_u64().filter(|id| *id >= 1000) else {
                continue;
            };
            match missing.iter().position(|open| *open == id) {
                Some(index) => drop(missing.swap_remove(index)),
                None => guest
                    .complaints
                    .lock()
                    .push(format!("a second answer: {line}")),
            }
        }
    }
    Ok(())
}

fn half_close(guest: &mut Guest) -> std::io::Result<()> {
    let mut stream = guest.connect()?;
    writeln!(stream, "{SUBSCRIBE}\n{AUTHORIZE}")?;
    stream.shutdown(Shutdown::Write)?;
    guest.stay();
    Ok(())
}

fn never_read(guest: &mut Guest) -> std::io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(&guest.miners.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(WRITE))?;
    writeln!(stream, "{SUBSCRIBE}\n{AUTHORIZE}")?;
    while guest.goes_on() {
        for _ in 0..100 {
            writeln!(
                stream,
                "{{\"id\":\"{:0100}\",\"method\":\"mining.unheard-of\"}}",
                0
            )?;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn reset(guest: &mut Guest) -> std::io::Result<()> {
    for words in ["", SUBSCRIBE, "{\"id\":1,", SUBSCRIBE] {
        let stream = guest.connect()?;
        (&stream).write_all(words.as_bytes())?;
        std::thread::sleep(Duration::from_millis(guest.rng.below(300)));
        let socket = Socket::from(stream);
        // Without time to linger, closing sends a reset instead of a FIN.
        socket.set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}

fn silent(guest: &mut Guest) -> std::io::Result<()> {
    let streams: Vec<_> = (0..5).map(|_| guest.connect()).collect();
    guest.stay();
    drop(streams);
    Ok(())
}

fn megabyte(guest: &mut Guest) -> std::io::Result<()> {
    let mut stream = guest.connect()?;
    writeln!(stream, "{SUBSCRIBE}")?;
    stream.write_all(&vec![b'x'; 1 << 20])
}

fn rubbish(guest: &mut Guest) -> std::io::Result<()> {
    let hellos: [&[u8]; 5] = [
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":{}}\n[[[[\nnull\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"\r\n\r\n\n",
    ];
    for hello in hellos {
        let mut stream = guest.connect()?;
        stream.write_all(hello)?;
        stream.write_all(&guest.rng.bytes::<512>())?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn byte_by_byte(guest: &mut Guest) -> std::io::Result<()> {
    let mut stream = guest.connect()?;
    for byte in format!("{SUBSCRIBE}\n").bytes().cycle() {
        if !guest.goes_on() {
            break;
        }
        stream.write_all(&[byte])?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn come_and_go(guest: &mut Guest) -> std::io::Result<()> {
    for _ in 0..50 {
        let mut stream = guest.connect()?;
        writeln!(stream, "{SUBSCRIBE}")?;
    }
    Ok(())
}

fn silent_browser(guest: &mut Guest) -> std::io::Result<()> {
    let mut streams = Vec::new();
    for address in guest.web {
        let mut asking = TcpStream::connect(address)?;
        write!(asking, "GET /api/v1/status HTTP/1.1\r\nHost: loc")?;
        streams.push(asking);
        let mut waiting = TcpStream::connect(address)?;
        write!(
            waiting,
            "GET /api/v1/events?wait=25 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )?;
        let _ = waiting.read(&mut [0; 16])?;
        streams.push(waiting);
    }
    guest.stay();
    Ok(())
}
