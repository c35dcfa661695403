//! The line reader, compared with a plain split of the whole stream.
//!
//! The first byte of the input selects the limit, and the second the size of the pieces; the rest is the stream.

use std::io::{self, Read};

use dpmp::stratum::line::{LineError, LineReader};

const LIMITS: [usize; 6] = [1, 10, 100, 2047, 2048, 5000];

/// How a stream ends.
#[derive(Debug, PartialEq)]
enum End {
    Closed,
    TooLong(usize),
    Tls,
    TlsAlert,
}

pub fn run(data: &[u8]) {
    let [limit, piece, stream @ ..] = data else {
        return;
    };
    let limit = LIMITS[usize::from(*limit) % LIMITS.len()];
    let mut reader = LineReader::new(
        Pieces {
            rest: stream,
            longest: 1 + usize::from(*piece) * usize::from(*piece),
            interrupt: *piece % 2 == 1,
        },
        limit,
    );
    let mut lines = Vec::new();
    let end = loop {
        match reader.next_line(<[u8]>::to_vec) {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => break End::Closed,
            Err(LineError::TooLong(limit)) => break End::TooLong(limit),
            Err(LineError::Tls) => break End::Tls,
            Err(LineError::TlsAlert) => break End::TlsAlert,
            Err(LineError::Io(error)) => panic!("there was no error: {error}"),
        }
    };
    assert_eq!((lines, end), expected(stream, limit));
}

fn expected(stream: &[u8], limit: usize) -> (Vec<Vec<u8>>, End) {
    let mut lines = Vec::new();
    match stream.first() {
        Some(0x16) => return (lines, End::Tls),
        Some(0x15) => return (lines, End::TlsAlert),
        Some(_) | None => (),
    }
    let mut rest = stream;
    loop {
        let at = rest.iter().position(|byte| *byte == b'\n');
        let length = at.unwrap_or(rest.len());
        if length > limit {
            return (lines, End::TooLong(limit));
        }
        if at.is_none() {
            return (lines, End::Closed);
        }
        lines.push(trimmed(&rest[..length]));
        rest = &rest[length + 1..];
    }
}

/// Without leading and trailing space, byte by byte.
fn trimmed(line: &[u8]) -> Vec<u8> {
    let mut line = line.to_vec();
    while line.last().is_some_and(|byte| *byte <= b' ') {
        line.pop();
    }
    loop {
        if line.first().is_some_and(|byte| *byte <= b' ') {
            line.remove(0);
        } else if line.starts_with("\u{feff}".as_bytes()) {
            line.drain(..3);
        } else {
            return line;
        }
    }
}

/// A stream that arrives in pieces.
struct Pieces<'a> {
    rest: &'a [u8],
    longest: usize,
    /// Whether an interruption comes before each piece.
    interrupt: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty(), "a read without room");
        if self.interrupt {
            self.interrupt = false;
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(self.longest);
        self.rest.read(&mut buffer[..length])
    }
}
