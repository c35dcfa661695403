//! What the tests share: waiting, ports, the config, HTTP. `proxy` runs the proxy as a process, `client` is a miner
//! that does exactly what a test says, and `http` is a browser.

pub(crate) mod client;
pub(crate) mod http;
pub(crate) mod proxy;
pub(crate) mod tls;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use dpmp::sim::miner::SimMiner;
use dpmp::sim::miner::options::{Handshake, Ids, MinerOptions, Pace};
use dpmp::sim::pool::SimPool;
use dpmp::sim::pool::options::PoolOptions;
use dpmp::system::net::Port;

/// How long a test waits for something that takes a moment on an idle machine. Tests have to pass on busy machines,
/// too, and only a failing test waits this long.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The same for things that one of the proxy's own time limits, 30 s or more, would cause in the end.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(20);

/// Waits for a condition. If it does not hold within `patience`, fails with what the test was waiting for.
#[track_caller]
pub(crate) fn wait_until(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A free port of this machine. It is outside the range the system uses for outgoing connections, so nobody else gets
/// it first.
pub(crate) fn free_port() -> u16 {
    // Test processes that run at the same time divide the ports among them: the one holding a block's first port may
    // use the rest.
    static BLOCK: OnceLock<(TcpListener, u16)> = OnceLock::new();
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // More than all tests together take, because a pool that is down for a while comes back on its port.
    const SIZE: u16 = 2000;
    let (_, first) = BLOCK.get_or_init(|| {
        let blocks = (12_000..32_000).step_by(usize::from(SIZE));
        let mut held =
            blocks.filter_map(|first| Some((TcpListener::bind(local(first)).ok()?, first)));
        held.next().expect("a block of ports")
    });
    loop {
        let port = first + 1 + NEXT.fetch_add(1, Ordering::Relaxed) % (SIZE - 1);
        if TcpListener::bind(local(port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A port where each connection has its own thread, until the port is stopped.
pub(crate) fn serve(handle: impl Fn(TcpStream) + Clone + Send + 'static) -> Port {
    let port = Port::open(local(0)).unwrap();
    let accepting = port.clone();
    std::thread::spawn(move || {
        while let Some(accepted) = accepting.accept() {
            let (handle, (stream, _)) = (handle.clone(), accepted.unwrap());
            std::thread::spawn(move || handle(stream));
        }
    });
    port
}

/// A simulated pool whose jobs carry `tag`, with several new jobs a second.
pub(crate) fn pool(tag: &str, change: impl FnOnce(&mut PoolOptions)) -> SimPool {
    let mut options = PoolOptions {
        port: free_port(),
        tag: tag.into(),
        seed: tag.bytes().map(u64::from).sum(),
        job_interval: Some(Duration::from_millis(400)),
        ..PoolOptions::default()
    };
    change(&mut options);
    SimPool::start(options).unwrap()
}

/// How miners start a conversation and number their requests.
pub(crate) const STYLES: [(Handshake, Ids); 5] = [
    (Handshake::Cpuminer, Ids::SubmitsAreFour),
    (Handshake::Cgminer, Ids::Counted),
    (Handshake::Axeos, Ids::Counted),
    (Handshake::SubscribeFirst, Ids::Text),
    (Handshake::ConfigureLast, Ids::Counted),
];

/// A simulated miner, patient and well-behaved unless changed.
pub(crate) fn miner(address: SocketAddr, change: impl FnOnce(&mut MinerOptions)) -> SimMiner {
    let mut options = MinerOptions {
        address,
        pace: Pace::Shares(20.0),
        ..MinerOptions::default()
    };
    change(&mut options);
    SimMiner::start(options).unwrap()
}

/// The tag of the pool that a miner is working for.
pub(crate) fn tag(miner: &SimMiner) -> Option<String> {
    miner.ledger().last_job()?.tag
}

/// Stops the miners' work and waits until all their shares are answered.
#[track_caller]
pub(crate) fn settle(miners: &[SimMiner]) {
    for miner in miners {
        miner.pause(true);
    }
    // A pause takes effect within one round of the miner's thread.
    let mut before = None;
    wait_until(SOON, "the answers to all shares", || {
        let count = |miner: &SimMiner| {
            let unanswered = miner.ledger().unanswered(Instant::now(), Duration::ZERO);
            (miner.ledger().submitted(), unanswered)
        };
        let counts: Vec<_> = miners.iter().map(count).collect();
        let steady = before.as_ref() == Some(&counts);
        let answered = counts.iter().all(|(_, unanswered)| *unanswered == 0);
        before = Some(counts);
        std::thread::sleep(Duration::from_millis(50));
        steady && answered
    });
}

/// An HTTP GET: the status and the body. `None` if nobody answers.
pub(crate) fn http_get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, SOON).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
