//! Bytes to lines: with a limit, and without losing what follows a line in the same packet.

use std::fmt;
use std::io::{self, Read};

/// The initial size of the buffer, to which it also shrinks after an unusually long line, in bytes.
const USUAL_LINE: usize = 2048;

/// The first byte of a TLS handshake; no JSON begins with it (compat Q60).
const TLS_HANDSHAKE: u8 = 0x16;

/// The first byte of a TLS server's answer to plain text, if it answers.
const TLS_ALERT: u8 = 0x15;

/// Reads lines from a peer, keeping at most one line of the maximum length in memory.
#[derive(Debug)]
pub struct LineReader<R> {
    source: R,
    /// `buffer[start..end]` was read but not returned yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How many bytes from `start` on are known to have no line end.
    scanned: usize,
    /// The longest line that is accepted, in bytes.
    limit: usize,
    /// Whether nothing has been read yet.
    fresh: bool,
}

/// Why there are no more lines.
#[derive(Debug)]
pub enum LineError {
    /// The line is longer than this limit, in bytes.
    TooLong(usize),
    /// The peer uses TLS on a port without it.
    Tls,
    /// The peer expects TLS, but the connection is without.
    TlsAlert,
    /// The socket failed.
    Io(io::Error),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(limit) => write!(f, "a line of more than {limit} bytes"),
            Self::Tls => f.write_str("a TLS handshake on a plain-text port"),
            Self::TlsAlert => f.write_str("a TLS alert: this port only accepts TLS"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl<R: Read> LineReader<R> {
    /// Reads from `source` lines of at most `limit` bytes.
    pub fn new(source: R, limit: usize) -> Self {
        Self {
            source,
            buffer: vec![0; USUAL_LINE.min(limit + 1)],
            start: 0,
            end: 0,
            scanned: 0,
            limit,
            fresh: true,
        }
    }

    /// Calls `take` with the next line, without its line end and surrounding space, and returns the result; `None` at
    /// the end of the stream. (A last line without a line end is dropped, because it may be incomplete.) Space is
    /// everything that peers put around JSON: blanks, the NUL that C programs send after a line, a byte order mark. A
    /// line of only space counts as empty; some peers send such lines to keep a connection alive.
    ///
    /// # Errors
    /// If the line is too long, the peer speaks TLS, or the source fails.
    pub fn next_line<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, LineError> {
        let length = loop {
            let unread = &self.buffer[self.start..self.end];
            let new = unread.get(self.scanned..).unwrap_or_default();
            if let Some(at) = new.iter().position(|byte| *byte == b'\n') {
                break self.scanned + at;
            }
            self.scanned = unread.len();
            if self.scanned > self.limit {
                return Err(LineError::TooLong(self.limit));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        };
        if length > self.limit {
            return Err(LineError::TooLong(self.limit));
        }
        let line = &self.buffer[self.start..self.start + length];
        let taken = take(trim(line));
        self.start += length + 1;
        self.scanned = 0;
        Ok(Some(taken))
    }

    /// Makes room and reads once; returns the number of bytes read.
    fn fill(&mut self) -> Result<usize, LineError> {
        let kept = self.end - self.start;
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, kept);
        }
        if kept < USUAL_LINE && self.buffer.len() > USUAL_LINE {
            self.buffer.truncate(USUAL_LINE.min(self.limit + 1));
            self.buffer.shrink_to_fit();
        }
        if kept == self.buffer.len() {
            self.buffer.resize((kept * 2).min(self.limit + 1), 0);
        }
        let read = loop {
            match self.source.read(&mut self.buffer[kept..]) {
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(LineError::Io(error)),
            }
        };
        if self.fresh && read > 0 {
            self.fresh = false;
            match self.buffer[0] {
                TLS_HANDSHAKE => return Err(LineError::Tls),
                TLS_ALERT => return Err(LineError::TlsAlert),
                _ => (),
            }
        }
        self.end += read;
        Ok(read)
    }
}

/// A line without the space around it.
fn trim(mut line: &[u8]) -> &[u8] {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    loop {
        line = match line {
            [0..=b' ', rest @ ..] | [rest @ .., 0..=b' '] => rest,
            _ => match line.strip_prefix(BYTE_ORDER_MARK) {
                Some(rest) => rest,
                None => return line,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns its text in pieces of a given size.
    struct Pieces(Vec<u8>, usize);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(self.0.len()).min(buffer.len());
            buffer[..size].copy_from_slice(&self.0[..size]);
            self.0.drain(..size);
            Ok(size)
        }
    }

    fn lines(text: &[u8], piece: usize, limit: usize) -> (Vec<String>, Option<String>) {
        let mut reader = LineReader::new(Pieces(text.to_vec(), piece), limit);
        let mut lines = Vec::new();
        loop {
            match reader.next_line(|line| String::from_utf8_lossy(line).into_owned()) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => return (lines, None),
                Err(error) => return (lines, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn lines_arrive_whole_however_the_data_is_cut() {
        let long = "x".repeat(5000);
        let text = format!("one\r\n\n{long}\ntwo\nthree\ncut of");
        for piece in [1, 2, 7, 4096, 100_000] {
            let (found, error) = lines(text.as_bytes(), piece, 16_384);
            assert_eq!(found, ["one", "", &long, "two", "three"]);
            assert_eq!(error, None);
        }
    }

    #[test]
    fn space_around_a_line_is_ignored() {
        let text = b"\xef\xbb\xbf{a}\r\n\0{b}\n\0\n \t\n\r\r\n  {c} \0\r\n";
        let (found, error) = lines(text, 3, 100);
        assert_eq!(found, ["{a}", "{b}", "", "", "", "{c}"]);
        assert_eq!(error, None);
    }

    #[test]
    fn an_endless_line_is_refused_at_the_limit() {
        for piece in [1, 100, 100_000] {
            let (found, error) = lines(&[b'a'; 10_000], piece, 4096);
            assert!(found.is_empty());
            assert_eq!(error.as_deref(), Some("a line of more than 4096 bytes"));
            let exact = [vec![b'a'; 4096], vec![b'\n']].concat();
            assert_eq!(lines(&exact, piece, 4096).0.len(), 1);
        }
    }

    #[test]
    fn a_tls_hello_is_recognized_by_its_first_byte() {
        let (_, error) = lines(&[0x16, 3, 1, 2, 0], 100, 100);
        assert_eq!(
            error.as_deref(),
            Some("a TLS handshake on a plain-text port")
        );
        let (_, error) = lines(&[0x15, 3, 1, 0, 2, 2, 70], 100, 100);
        assert_eq!(
            error.as_deref(),
            Some("a TLS alert: this port only accepts TLS")
        );
    }
}
