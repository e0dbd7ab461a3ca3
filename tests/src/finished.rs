//! What came of a monitor that has ended.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

use crate::programs::PALISADE;

/// How a process ended and what it wrote. Its checks end the test, telling all of it.
#[derive(Debug)]
pub struct Finished {
    pub(crate) command: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Finished {
    /// What it wrote to standard output.
    pub fn bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// What it wrote to standard output, as text.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// What it wrote to standard error.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// The lines that it wrote to standard error.
    pub fn lines(&self) -> Vec<&str> {
        self.stderr.lines().collect()
    }

    /// Whether it wrote what a Rust program says that panics: "thread 'main' panicked at". A guest's
    /// kernel may panic too, which is no flaw of the program.
    fn panicked(&self) -> bool {
        let says_so = |line: &str| {
            let thread = line.split_once("thread '").map(|(_, thread)| thread);
            thread.is_some_and(|thread| thread.contains("panicked at"))
        };
        self.stderr.lines().any(says_so)
    }

    /// Checks that it ended with this status, and did not panic on the way.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "exit status\n{self}");
        assert!(!self.panicked(), "a panic\n{self}");
        self
    }

    /// Checks that this signal ended it.
    #[track_caller]
    pub fn killed_by(self, signal: i32) -> Self {
        assert_eq!(self.status.signal(), Some(signal), "signal\n{self}");
        assert!(!self.panicked(), "a panic\n{self}");
        self
    }

    /// Checks what standard output has.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout().contains(text), "expected {text:?} on standard output\n{self}");
        self
    }

    /// Checks all of standard output.
    #[track_caller]
    pub fn says_only(self, text: &str) -> Self {
        assert_eq!(self.stdout(), text, "standard output\n{self}");
        self
    }

    /// Checks what standard error has.
    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} on standard error\n{self}");
        self
    }

    /// Checks all lines of standard error.
    #[track_caller]
    pub fn complains_only(self, lines: &[&str]) -> Self {
        assert_eq!(self.lines(), lines, "standard error\n{self}");
        self
    }

    /// What the monitor calls itself: by the name of its file.
    fn program(&self) -> &str {
        match self.command.split_whitespace().next().unwrap_or_default() {
            // It limits the monitor and then becomes it.
            "sh" => PALISADE,
            name => name,
        }
    }

    /// Checks that the start was refused with this one line, after the program's name, and that
    /// nothing ran.
    #[track_caller]
    pub fn refuses_to_start(self, line: &str) -> Self {
        let this = self.code(1).says_only("");
        let line = format!("{}: {line}", this.program());
        this.complains_only(&[&line])
    }

    /// Checks that the start was refused with one line that has all of `parts`, the first of them
    /// right after the program's name, and that nothing ran.
    #[track_caller]
    pub fn refuses_to_start_with(self, parts: &[&str]) -> Self {
        let this = self.code(1).says_only("");
        let lines = this.lines();
        assert_eq!(lines.len(), 1, "expected one line\n{this}");
        let start = format!("{}: {}", this.program(), parts.first().copied().unwrap_or_default());
        assert!(lines[0].starts_with(&start), "expected {start:?} first\n{this}");
        for part in parts {
            assert!(lines[0].contains(part), "expected {part:?}\n{this}");
        }
        this
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (self.stdout(), &self.stderr);
        write!(f, "of: {}\n{}\nstdout:\n{stdout}\nstderr:\n{stderr}", self.command, self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stderr: &str) -> Finished {
        Finished {
            command: String::new(),
            status: ExitStatus::from_raw(0),
            stdout: Vec::new(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn a_panic_of_the_program_is_told_from_one_of_the_guest() {
        assert!(said("thread 'main' panicked at src/main.rs:1:1:\noh\n").panicked());
        assert!(said("x\nthread 'vcpu0' (7) panicked at a.rs:1:1:\n").panicked());
        assert!(!said("palisade: warning: the guest's kernel has panicked\n").panicked());
        assert!(!said("palisade: the guest panicked at once\n").panicked());
    }
}
