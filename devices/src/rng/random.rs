//! `rng-random`: random numbers from a device or file.

use std::{
    fs,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    sync::Arc,
};

use device_model::{
    prelude::*,
    qom_core::BoxedError,
    rng_backend::{EntropySource, RngBackend},
};
use rustix::fs::{OFlags, major, minor};

use super::source::{Generator, Source};

/// Numbers of the kernel's generators: `/dev/random` and `/dev/urandom`, and `/dev/hwrng`
/// (Linux, Documentation/admin-guide/devices.txt).
const OF_THE_KERNEL: [(u32, u32); 3] = [(1, 8), (1, 9), (10, 183)];

/// Random numbers from a device of the host's or a file
///
/// A device or pipe that has none at the moment holds only those up who asked for them.
#[qom_type(secure, parent = RngBackend, interfaces(UserCreatable))]
#[derive(Debug)]
pub struct RngRandom {
    /// Device or file that they are read from
    #[property(
        default = "/dev/urandom",
        insecure_when(
            is_not_the_kernels,
            reason = "only the kernel's generators are known to be unpredictable, and the guest \
                      is shown what is in any other file"
        )
    )]
    filename: String,
    opened: Mutex<Option<Arc<Opened>>>,
}

/// Judges by what the file is, whatever it is called.
fn is_not_the_kernels(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let filename: String = configuration.get("filename")?;
    let status = fs::metadata(&filename).map_err(|error| {
        PlanError::refused("filename", format!("can't open '{filename}': {error}"))
    })?;
    let number = (major(status.rdev()), minor(status.rdev()));
    Ok(!(status.file_type().is_char_device() && OF_THE_KERNEL.contains(&number)))
}

/// A file to read from.
#[derive(Debug)]
struct Opened {
    file: fs::File,
    /// Whether it is a plain file, which has an end.
    ends: bool,
}

impl Opened {
    fn new(filename: &str) -> io::Result<Self> {
        // Whatever it is, neither the opening nor a read waits.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(filename)?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        Ok(Self { file, ends: kind.is_file() })
    }
}

impl Generator for Opened {
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.file, bytes)?)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn ends(&self) -> bool {
        self.ends
    }
}

impl RngBackend for RngRandom {
    fn open(&self, events: &Arc<EventLoop>) -> io::Result<Box<dyn EntropySource>> {
        let opened = self.opened.lock().clone().ok_or(ErrorKind::NotConnected)?;
        Ok(Box::new(Source::new(opened, events)?))
    }
}

impl UserCreatable for RngRandom {
    fn complete(&self, _object: &Obj, _platform: &Platform) -> Result<(), BoxedError> {
        let opened = Opened::new(&self.filename).map_err(|error| {
            PlanError::refused("filename", format!("can't open '{}': {error}", self.filename))
        })?;
        *self.opened.lock() = Some(Arc::new(opened));
        Ok(())
    }

    fn undo(&self) {
        *self.opened.lock() = None;
    }
}
