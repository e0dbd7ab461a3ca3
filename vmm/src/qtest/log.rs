//! The log of what a client and the server said to each other, in QEMU's form: direction, seconds
//! since the client came, and the line.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, ftruncate};
use thiserror::Error;

/// A log can't be written.
#[derive(Debug, Error)]
#[error("can't open the log '{}': {source}", file.display())]
pub(super) struct LogError {
    /// Its file.
    file: PathBuf,
    /// What the system says.
    source: io::Error,
}

/// Who said a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The client: received.
    Received,
    /// The server: sent.
    Sent,
    /// Nobody: what happened.
    Internal,
}

/// A log. Until it is started, nothing of its file has changed; and if it never is, a file that was
/// made for it goes with it.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// Whether there was no such file before.
    made: bool,
    /// None until it is started.
    since: Mutex<Option<Instant>>,
}

impl Log {
    /// Opens a file for a log, and makes it if there is none.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        // Without waiting for somebody at the other end of a pipe.
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mode = Mode::from_raw_mode(0o666);
        let opened = match rustix::fs::open(path, flags | OFlags::CREATE | OFlags::EXCL, mode) {
            Ok(file) => Ok((file, true)),
            Err(rustix::io::Errno::EXIST) => {
                rustix::fs::open(path, flags, mode).map(|file| (file, false))
            }
            Err(error) => Err(error),
        };
        let opened = opened.and_then(|(file, made)| {
            // What is written is to be written in whole.
            fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
            Ok(Self { path: path.to_owned(), file: file.into(), made, since: Mutex::default() })
        });
        opened.map_err(|error| LogError { file: path.to_owned(), source: error.into() })
    }

    /// Starts it: what was in the file before goes.
    pub(super) fn start(&self) {
        *self.since.lock() = Some(Instant::now());
        // A pipe or terminal has nothing to lose.
        let _ = ftruncate(&self.file, 0);
    }

    /// Writes a line. One that can't be written is lost.
    pub(super) fn line(&self, direction: Direction, line: &[u8]) {
        let mut since = self.since.lock();
        let Some(start) = *since else { return };
        if direction == Direction::Internal {
            *since = Some(Instant::now());
        }
        let time = match direction {
            Direction::Received => format!("[R +{:.6}] ", start.elapsed().as_secs_f64()),
            Direction::Sent => format!("[S +{:.6}] ", start.elapsed().as_secs_f64()),
            Direction::Internal => format!("[I +{:.6}] ", start.elapsed().as_secs_f64()),
        };
        let whole = [time.as_bytes(), line, b"\n"].concat();
        let _ = (&self.file).write_all(&whole);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.made && self.since.lock().is_none() {
            // It is as it was before.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_a_direction_and_a_time_and_what_was_there_before_goes_at_the_start() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("log");
        fs::write(&path, "before").expect("there is room");
        let log = Log::open(&path).expect("it is there");
        log.line(Direction::Received, b"too early");
        assert_eq!(fs::read(&path).expect("it is there"), b"before");
        log.start();
        log.line(Direction::Internal, b"OPENED");
        log.line(Direction::Received, b"inb 0\xff");
        log.line(Direction::Sent, b"OK");
        drop(log);
        let written = fs::read(&path).expect("it is there");
        let lines: Vec<_> = written.split(|byte| *byte == b'\n').collect();
        let [internal, received, sent, b""] = lines[..] else { panic!("{written:?}") };
        assert!(internal.starts_with(b"[I +0.") && internal.ends_with(b"] OPENED"));
        assert!(received.starts_with(b"[R +0.") && received.ends_with(b"] inb 0\xff"));
        assert!(sent.starts_with(b"[S +0.") && sent.ends_with(b"] OK"));
    }

    #[test]
    fn a_log_that_never_starts_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("log");
        drop(Log::open(&path).expect("it can be made"));
        assert!(!path.exists());
        fs::write(&path, "before").expect("there is room");
        drop(Log::open(&path).expect("it is there"));
        assert_eq!(fs::read(&path).expect("it is there"), b"before");
    }

    #[test]
    fn a_file_that_can_not_be_opened_is_named() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::RWXU, 0).expect("a pipe");
        let error = Log::open(&path).expect_err("nobody reads").to_string();
        let start = format!("can't open the log '{}': ", path.display());
        assert!(error.starts_with(&start), "{error}");
        assert!(Log::open(folder.path()).is_err());
    }
}
