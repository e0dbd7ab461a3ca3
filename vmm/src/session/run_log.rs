//! What is said while a guest runs: no more than a few times what the guest causes, and nothing for
//! which the main thread would wait for ever.

use std::{
    cell::Cell,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::FileType,
    io::Errno,
    stdio::stderr,
};

use super::report::prefix;

/// How many times in the life of a VM something that its guest causes is told.
const MOST_CAUSED: u64 = 5;

/// How long a line may take to be taken by whoever reads it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes written at a time to a terminal or whatever else there may be: what can be written to at
/// all takes as many without waiting.
const MOST_WRITTEN: usize = 256;
/// Bytes that a pipe takes without waiting, if it takes any (`PIPE_BUF`).
const MOST_PIPED: usize = 4096;

/// How long to wait after the host broke its word that it would take something.
const NAP: Duration = Duration::from_millis(1);

/// The log of a VM that runs.
#[derive(Debug)]
pub(super) struct RunLog<'a> {
    to: BorrowedFd<'a>,
    /// How often the guest has caused a warning.
    caused: Cell<u64>,
    /// Whether somebody took the last line. Nobody waits for a reader a second time who was waited
    /// for in vain.
    taken: Cell<bool>,
}

impl RunLog<'static> {
    /// A log on standard error.
    pub(super) fn new() -> Self {
        Self::to(stderr())
    }
}

impl<'a> RunLog<'a> {
    fn to(to: BorrowedFd<'a>) -> Self {
        Self { to, caused: Cell::new(0), taken: Cell::new(true) }
    }

    /// Writes a line. One that nobody takes in time is lost, in whole or from some point on.
    pub(super) fn line(&self, text: &str) {
        let patience = if self.taken.get() { PATIENCE } else { Duration::ZERO };
        let line = format!("{}: {text}\n", prefix());
        self.taken.set(write_within(self.to, line.as_bytes(), patience));
    }

    /// Writes a warning of something that the guest may do over and over: the first few times.
    pub(super) fn caused_by_guest(&self, warning: &str) {
        let caused = self.caused.get().saturating_add(1);
        self.caused.set(caused);
        if caused <= MOST_CAUSED {
            self.line(&format!("warning: {warning}"));
        }
    }

    /// Tells at the end what was left out.
    pub(super) fn finish(&self) {
        let left_out = self.caused.get().saturating_sub(MOST_CAUSED);
        if left_out > 0 {
            self.line(&format!("warning: {left_out} more warnings that the guest caused"));
        }
    }
}

/// Writes all of `bytes` if they are taken within `patience`. Tells whether they were.
fn write_within(to: impl AsFd, bytes: &[u8], patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let most = match rustix::fs::fstat(&to).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::RegularFile) => bytes.len(),
        Ok(FileType::Fifo) => MOST_PIPED,
        _ => MOST_WRITTEN,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else { return false };
        let mut ready = [PollFd::new(&to, PollFlags::OUT)];
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return false,
        }
        match rustix::io::write(&to, rest.get(..most).unwrap_or(rest)) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // It said that it would take some, so that waiting for it is no use.
            Err(Errno::AGAIN) if !left.is_zero() => std::thread::sleep(NAP.min(left)),
            // The reader is gone, the disk is full: what can't be written is lost.
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read, pipe};

    use super::*;

    fn text(log: impl FnOnce(&RunLog<'_>)) -> String {
        let (mut reader, writer): (PipeReader, PipeWriter) = pipe().unwrap();
        log(&RunLog::to(writer.as_fd()));
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_a_guest_causes_is_told_a_few_times_and_then_counted() {
        let told = text(|log| {
            (0..1000).for_each(|round| log.caused_by_guest(&format!("fault {round}")));
            log.line("the end");
            log.finish();
        });
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines.len(), 7, "{told}");
        assert_eq!(lines[0], "vmm: warning: fault 0");
        assert_eq!(lines[4], "vmm: warning: fault 4");
        assert_eq!(lines[5], "vmm: the end");
        assert_eq!(lines[6], "vmm: warning: 995 more warnings that the guest caused");
    }

    #[test]
    fn what_was_told_in_full_is_not_counted() {
        assert_eq!(text(|log| log.finish()), "");
        let told = text(|log| {
            (0..MOST_CAUSED).for_each(|_| log.caused_by_guest("fault"));
            log.finish();
        });
        assert_eq!(told, "vmm: warning: fault\n".repeat(5));
    }

    #[test]
    fn a_long_line_arrives_whole() {
        let long = "x".repeat(10_000);
        assert_eq!(text(|log| log.line(&long)), format!("vmm: {long}\n"));
    }

    #[test]
    fn a_reader_that_takes_nothing_is_waited_for_once() {
        let (mut reader, writer) = pipe().unwrap();
        let log = RunLog::to(writer.as_fd());
        let start = Instant::now();
        (0..100).for_each(|_| log.line(&"x".repeat(64 << 10)));
        let waited = start.elapsed();
        assert!((PATIENCE..PATIENCE * 5).contains(&waited), "{waited:?}");
        // Once it reads again, it gets lines again.
        let mut taken = vec![0; 64 << 10];
        let length = reader.read(&mut taken).unwrap();
        assert!(length > 0);
        log.line("back");
        drop(writer);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("vmm: back\n"), "{rest}");
    }

    #[test]
    fn a_reader_that_is_gone_is_not_waited_for() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let log = RunLog::to(writer.as_fd());
        let start = Instant::now();
        log.line("nobody hears this");
        assert!(start.elapsed() < PATIENCE);
    }
}
