//! A terminal for a monitor: a pair of pseudo-terminals.

use std::{
    fs::File,
    io::Write,
    os::fd::{AsFd, OwnedFd},
    process::Stdio,
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::tcgetattr,
};

use crate::output::Output;

/// A terminal whose keyboard and screen the test has.
#[derive(Debug)]
pub struct Terminal {
    user: File,
    end: OwnedFd,
}

impl Terminal {
    /// A new one in the state that the system gives it.
    #[expect(clippy::new_without_default, reason = "a terminal is made, not filled in")]
    pub fn new() -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
        grantpt(&user).expect("it is ours");
        unlockpt(&user).expect("it is ours");
        let name = ptsname(&user, Vec::new()).expect("it has a name");
        let end = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("it is ours");
        Self { user: user.into(), end }
    }

    /// The program's end of it, once more.
    pub(crate) fn end(&self) -> Stdio {
        self.end.try_clone().expect("there are descriptors").into()
    }

    /// What is on the screen from now on.
    pub(crate) fn output(&self) -> Output {
        Output::of(self.user.try_clone().expect("there are descriptors"))
    }

    /// Presses keys.
    pub fn press(&self, keys: &str) {
        (&self.user).write_all(keys.as_bytes()).expect("a keyboard has room for a few keys");
    }

    /// All settings of the terminal, to be compared.
    pub fn settings(&self) -> String {
        let settings = tcgetattr(self.end.as_fd()).expect("it is a terminal");
        format!("{settings:?}")
    }
}
