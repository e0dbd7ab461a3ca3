//! `rng-random`: random numbers from a device or file.

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use device_model::{
    descriptors::Descriptors,
    prelude::*,
    qom_core::BoxedError,
    rng_backend::{EntropySource, RngBackend},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, major, minor},
    io::{Errno, ReadWriteFlags, preadv2},
};

use super::source::{Generator, Source};

/// Numbers of the kernel's generators: `/dev/random` and `/dev/urandom`, and `/dev/hwrng`
/// (Linux, Documentation/admin-guide/devices.txt).
const OF_THE_KERNEL: [(u32, u32); 3] = [(1, 8), (1, 9), (10, 183)];

/// Random numbers from a device of the host's or a file
///
/// A device or pipe that has none at the moment holds only those up who asked for them. A filename
/// `/dev/fdset/N` stands for a descriptor of that set.
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

/// Judges by what the file is, whatever it is called: by the one that is open, once one is.
fn is_not_the_kernels(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let filename: String = configuration.get("filename")?;
    let living = configuration.object().and_then(Obj::cast::<RngRandom>);
    let opened = living.and_then(|living| living.opened.lock().clone());
    let status = match opened {
        Some(opened) => fstat(&opened.file).map_err(io::Error::from),
        None => Descriptors::known_to(configuration)
            .look_at(Path::new(&filename), OFlags::RDONLY)
            .and_then(|file| Ok(fstat(file)?)),
    };
    let status = status.map_err(|error| refused(&filename, &error))?;
    let is_device = FileType::from_raw_mode(status.st_mode).is_char_device();
    let number = (major(status.st_rdev), minor(status.st_rdev));
    Ok(!(is_device && OF_THE_KERNEL.contains(&number)))
}

fn refused(filename: &str, error: &io::Error) -> PlanError {
    PlanError::refused("filename", format!("can't open '{filename}': {error}"))
}

/// A file to read from.
#[derive(Debug)]
struct Opened {
    file: OwnedFd,
    /// Whether it is a plain file, which has an end.
    ends: bool,
    /// Whether a read may wait: it is a user's descriptor, and as its user opened it.
    may_wait: bool,
}

impl Opened {
    fn new(descriptors: &Descriptors, filename: &str) -> io::Result<Self> {
        // Whatever it is, neither the opening nor a read waits.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = descriptors.open(Path::new(filename), flags, Mode::empty())?.descriptor;
        let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
        if kind.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let (ends, waits) = (kind.is_file(), !fcntl_getfl(&file)?.contains(OFlags::NONBLOCK));
        Ok(Self { file, ends, may_wait: waits && !ends })
    }
}

impl Generator for Opened {
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        if !self.may_wait {
            return Ok(rustix::io::read(&self.file, bytes)?);
        }
        // At its own place, as a read would be.
        let (buffers, place) = (&mut [io::IoSliceMut::new(bytes)], u64::MAX);
        match preadv2(&self.file, buffers, place, ReadWriteFlags::NOWAIT) {
            // It can't be asked not to wait, only whether it would.
            Err(Errno::OPNOTSUPP) => {
                let ready = &mut [PollFd::new(&self.file, PollFlags::IN)];
                match poll(ready, Some(&Timespec::default()))? {
                    0 => Err(ErrorKind::WouldBlock.into()),
                    _ => Ok(rustix::io::read(&self.file, bytes)?),
                }
            }
            read => Ok(read?),
        }
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
    fn complete(&self, _object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let opened = Opened::new(platform.descriptors(), &self.filename)
            .map_err(|error| refused(&self.filename, &error))?;
        *self.opened.lock() = Some(Arc::new(opened));
        Ok(())
    }

    fn undo(&self) {
        *self.opened.lock() = None;
    }
}
