//! Many sockets on one thread, so that measuring takes little processor time from what is measured.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

/// The token that wakes the thread to read its orders.
const WAKER: Token = Token(usize::MAX);

/// Numbered sockets.
pub(crate) struct Hub {
    poll: Poll,
    events: Events,
    listeners: HashMap<usize, TcpListener>,
    peers: HashMap<usize, Peer>,
    last: usize,
}

struct Peer {
    stream: TcpStream,
    pending: Vec<u8>,
    unwritten: Vec<u8>,
}

/// An event on a socket.
pub(crate) enum Heard {
    /// A listener has a new connection.
    Accepted { listener: usize, peer: usize },
    /// A connection sent a line.
    Line {
        peer: usize,
        line: Vec<u8>,
        at: Instant,
    },
    /// A connection ended.
    Closed { peer: usize },
}

impl Hub {
    /// An empty hub, and a waker that ends [`wait`](Self::wait).
    pub(crate) fn new() -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let hub = Self {
            poll,
            events: Events::with_capacity(1024),
            listeners: HashMap::new(),
            peers: HashMap::new(),
            last: 0,
        };
        Ok((hub, waker))
    }

    /// Listens on a free port of this machine.
    pub(crate) fn listen(&mut self) -> io::Result<(usize, SocketAddr)> {
        let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        let address = listener.local_addr()?;
        self.last += 1;
        let token = Token(self.last);
        let registry = self.poll.registry();
        registry.register(&mut listener, token, Interest::READABLE)?;
        self.listeners.insert(self.last, listener);
        Ok((self.last, address))
    }

    /// Connects.
    pub(crate) fn connect(&mut self, address: SocketAddr) -> io::Result<usize> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        self.add(TcpStream::from_std(stream))
    }

    /// Writes immediately what the socket accepts, and the rest later.
    pub(crate) fn write(&mut self, peer: usize, bytes: &[u8]) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.unwritten.extend_from_slice(bytes);
            peer.flush();
        }
    }

    /// Waits until something happens, up to this long.
    pub(crate) fn wait(&mut self, patience: Duration, heard: &mut Vec<Heard>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        let tokens: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for number in tokens {
            if self.listeners.contains_key(&number) {
                self.accept(number, heard)?;
            } else if let Some(peer) = self.peers.get_mut(&number) {
                peer.flush();
                if !peer.read(number, heard) {
                    self.peers.remove(&number);
                    heard.push(Heard::Closed { peer: number });
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, listener: usize, heard: &mut Vec<Heard>) -> io::Result<()> {
        while let Some(Ok((stream, _))) = self.listeners.get(&listener).map(TcpListener::accept) {
            let peer = self.add(stream)?;
            heard.push(Heard::Accepted { listener, peer });
        }
        Ok(())
    }

    fn add(&mut self, mut stream: TcpStream) -> io::Result<usize> {
        stream.set_nodelay(true)?;
        self.last += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut stream, Token(self.last), interest)?;
        let peer = Peer {
            stream,
            pending: Vec::new(),
            unwritten: Vec::new(),
        };
        self.peers.insert(self.last, peer);
        Ok(self.last)
    }
}

impl Peer {
    /// Reading shows whether a socket has failed.
    fn flush(&mut self) {
        while !self.unwritten.is_empty() {
            match self.stream.write(&self.unwritten) {
                Ok(written) => drop(self.unwritten.drain(..written)),
                Err(_) => return,
            }
        }
    }

    /// Reads the available data; `false` at the end.
    fn read(&mut self, number: usize, heard: &mut Vec<Heard>) -> bool {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => self.pending.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
            let at = Instant::now();
            let mut start = 0;
            while let Some(end) = self.pending[start..].iter().position(|byte| *byte == b'\n') {
                let line = self.pending[start..start + end].to_vec();
                start += end + 1;
                heard.push(Heard::Line {
                    peer: number,
                    line,
                    at,
                });
            }
            self.pending.drain(..start);
        }
    }
}
