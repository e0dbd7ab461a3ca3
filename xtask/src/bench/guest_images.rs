//! The guests that are run, as files.

use std::path::PathBuf;

use anyhow::{Context, Result};
use guests::{ExitLoop, GuestError};
use tempfile::TempDir;

/// The serial port's line status: a register that reads as idle in every program.
const PORT: u16 = guests::COM1 + 5;

/// Files of guests, which go when this does.
pub(crate) struct GuestImages {
    _folder: TempDir,
    /// Writes a byte and ends.
    pub(crate) hello: PathBuf,
    /// Writes a byte and runs on for ever.
    pub(crate) spin: PathBuf,
    /// Loops without an exit.
    pub(crate) nothing: PathBuf,
    /// Loops with a read from a port.
    pub(crate) port: PathBuf,
    /// Loops with a read from the I/O APIC.
    pub(crate) memory: PathBuf,
}

impl GuestImages {
    /// Writes all of them, those with loops for so many rounds.
    pub(crate) fn write(rounds: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str, image: Result<Vec<u8>, GuestError>| -> Result<PathBuf> {
            let path = folder.path().join(name);
            std::fs::write(&path, image?)
                .with_context(|| format!("can't write {}", path.display()))?;
            Ok(path)
        };
        let exit_loop = |each| guests::exit_loop(each, rounds);
        Ok(Self {
            hello: file("hello", guests::hello("H"))?,
            spin: file("spin", guests::print_and_spin("H"))?,
            nothing: file("nothing", exit_loop(ExitLoop::Nothing))?,
            port: file("port", exit_loop(ExitLoop::Port(PORT)))?,
            memory: file("memory", exit_loop(ExitLoop::Memory(vmm::boot::layout::IOAPIC)))?,
            _folder: folder,
        })
    }
}
