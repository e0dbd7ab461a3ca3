//! Raw mode of a terminal, for as long as a value lives or until the process panics.

use std::{
    os::fd::{AsFd, OwnedFd},
    panic,
    sync::{Arc, Once},
};

use device_model::prelude::Mutex;
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcsetattr,
};

/// A terminal in raw mode. Dropped, it puts the terminal back as it was; so does a panic of any
/// thread, since nothing is dropped where a panic aborts the process.
#[derive(Debug)]
pub(super) struct RawTerminal(Arc<Saved>);

/// A terminal and how it was.
#[derive(Debug)]
struct Saved {
    terminal: OwnedFd,
    modes: Termios,
}

/// What a panic restores: the terminal that was put into raw mode last.
static CURRENT: Mutex<Option<Arc<Saved>>> = Mutex::new(None);

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
        let modes = tcgetattr(&terminal)?;
        // Above the descriptors 0 to 2, and not passed on to children.
        let terminal = rustix::io::fcntl_dupfd_cloexec(terminal, 3)?;
        let mut raw = modes.clone();
        raw.make_raw();
        // The guest's output is not all that is written there: messages end their lines with a bare
        // line feed.
        raw.output_modes |= modes.output_modes & OutputModes::OPOST;
        if signals {
            raw.local_modes |= LocalModes::ISIG;
        }
        let saved = Arc::new(Saved { terminal, modes });
        restore_on_panic();
        *CURRENT.lock() = Some(Arc::clone(&saved));
        // From here on, so that a change that fails half-way is undone.
        let entered = Self(saved);
        tcsetattr(&entered.0.terminal, OptionalActions::Now, &raw)?;
        Ok(Some(entered))
    }
}

impl Saved {
    fn restore(&self) {
        // A terminal that has gone away needs no restoring.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.modes);
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        CURRENT.lock().take_if(|current| Arc::ptr_eq(current, &self.0));
        self.0.restore();
    }
}

/// Lets each panic restore the terminal before it tells of itself, then do what it did before.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // Whoever has it locked is the thread that panics, or about to restore it anyway.
            if let Some(saved) = CURRENT.try_lock().as_ref().and_then(|current| current.as_ref()) {
                saved.restore();
            }
            previous(panic);
        }));
    });
}
