//! Raw mode of a terminal, for as long as a value lives.

use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcsetattr,
};

/// A terminal in raw mode. Dropped, it puts the terminal back as it was.
#[derive(Debug)]
pub(super) struct RawTerminal {
    terminal: OwnedFd,
    saved: Termios,
}

impl RawTerminal {
    /// Puts a terminal into raw mode, so that each key reaches the guest and the host echoes
    /// nothing. None if the descriptor is no terminal.
    ///
    /// With `signals`, the keys that send signals (Ctrl-C) keep doing so.
    ///
    /// # Errors
    /// If the host refuses.
    pub(super) fn enter(terminal: impl AsFd, signals: bool) -> rustix::io::Result<Option<Self>> {
        if !isatty(&terminal) {
            return Ok(None);
        }
        let saved = tcgetattr(&terminal)?;
        // Above the descriptors 0 to 2, and not passed on to children.
        let terminal = rustix::io::fcntl_dupfd_cloexec(terminal, 3)?;
        let mut raw = saved.clone();
        raw.make_raw();
        // The guest's output is not all that is written there: messages end their lines with a bare
        // line feed.
        raw.output_modes |= saved.output_modes & OutputModes::OPOST;
        if signals {
            raw.local_modes |= LocalModes::ISIG;
        }
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Some(Self { terminal, saved }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that has gone away needs no restoring.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.saved);
    }
}
