//! Standard output, which must not hold up the log files: its reader may stop reading, such as a terminal after Ctrl-S
//! or a container's log driver.

use std::io;
use std::time::{Duration, Instant};

/// How long a write waits for the reader, unless that did not keep up the last time.
const PATIENCE: Duration = Duration::from_secs(1);

/// In bytes. A pipe that has room at all takes this much without waiting.
const PIECE: usize = 4096;

/// How often lost lines are reported.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// An output whose reader may be slow.
pub(super) trait Output {
    /// Waits until it takes bytes; returns whether it does.
    fn wait_for_room(&self, patience: Duration) -> io::Result<bool>;
    /// Writes some of the bytes, and returns how many.
    fn write_some(&self, bytes: &[u8]) -> io::Result<usize>;
}

#[cfg(unix)]
impl<T: std::os::fd::AsFd> Output for T {
    fn wait_for_room(&self, patience: Duration) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut waiting = [PollFd::new(self, PollFlags::OUT)];
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        let ready = rustix::io::retry_on_intr(|| poll(&mut waiting, Some(&patience)))?;
        Ok(ready > 0)
    }

    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| {
            rustix::io::write(self, bytes)
        })?)
    }
}

#[cfg(not(unix))]
impl Output for io::Stdout {
    fn wait_for_room(&self, _: Duration) -> io::Result<bool> {
        Ok(true)
    }

    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        use io::Write;
        let mut out = self.lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(bytes.len())
    }
}

/// Writes lines as long as the reader keeps up, and counts the others.
#[derive(Debug)]
pub(super) struct Printer<Out> {
    out: Out,
    /// Whether the reader did not keep up the last time.
    is_stuck: bool,
    /// Whether the last line is incomplete.
    is_torn: bool,
    lost: u64,
    report_at: Option<Instant>,
}

impl<Out: Output> Printer<Out> {
    pub(super) fn new(out: Out) -> Self {
        Self {
            out,
            is_stuck: false,
            is_torn: false,
            lost: 0,
            report_at: None,
        }
    }

    /// Writes complete lines.
    ///
    /// # Errors
    /// If the output is closed or broken.
    pub(super) fn print(&mut self, lines: &str) -> io::Result<()> {
        let begin: &[u8] = if self.is_torn { b"\n" } else { b"" };
        for mut left in [begin, lines.as_bytes()] {
            while !left.is_empty() {
                let written = self.write_piece(left)?;
                if written == 0 {
                    let lost = lines.bytes().filter(|byte| *byte == b'\n').count();
                    self.lost += u64::try_from(lost).unwrap_or(u64::MAX);
                    return Ok(());
                }
                self.is_torn = left.get(written - 1) != Some(&b'\n');
                left = left.get(written..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Writes the beginning of these bytes; returns how many, 0 if the reader does not keep up.
    fn write_piece(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let patience = if self.is_stuck {
            Duration::ZERO
        } else {
            PATIENCE
        };
        self.is_stuck = !self.out.wait_for_room(patience)?;
        if self.is_stuck {
            return Ok(0);
        }
        match self.out.write_some(&bytes[..bytes.len().min(PIECE)]) {
            // Another program may have made the terminal non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    /// How many lines were lost since the last report, at most, if a report is due.
    pub(super) fn lost(&mut self, now: Instant) -> u64 {
        if self.lost == 0 || self.report_at.is_some_and(|at| now < at) {
            return 0;
        }
        self.report_at = now.checked_add(REPORT_EVERY);
        std::mem::take(&mut self.lost)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::system::clock::clock;

    #[test]
    fn lines_for_a_reader_that_stopped_are_counted_and_later_ones_are_whole() {
        let (out, mut reader) = UnixStream::pair().unwrap();
        out.set_nonblocking(true).unwrap();
        let mut printer = Printer::new(out);
        let now = clock();
        let batch = format!("{}\n{}\n", "a".repeat(9000), "b".repeat(9000));
        let mut batches = 0;
        while printer.lost(now) == 0 {
            printer.print(&batch).unwrap();
            batches += 1;
            assert!(batches < 1000);
        }
        printer.print(&batch).unwrap();
        assert_eq!(printer.lost(now), 0, "not again so soon");
        assert_eq!(printer.lost(now + REPORT_EVERY), 2);
        // Its reader is back.
        reader.set_nonblocking(true).unwrap();
        let mut text = Vec::new();
        let _ = reader.read_to_end(&mut text);
        printer.print("c\n").unwrap();
        let _ = reader.read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.last(), Some(&"c"));
        assert!(text.ends_with('\n') && lines.len() > 2);
        drop(reader);
        assert!(printer.print("d\n").is_err());
    }
}
