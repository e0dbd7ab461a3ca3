//! Opening an image file: a regular one, as it is, and for nobody else to write to.

use std::{
    fs::File,
    io::{self, ErrorKind},
    path::Path,
};

use device_model::{block::BlockError, platform::Platform};
use rustix::{
    fs::{FileType, Mode, OFlags, fcntl_getfl, fstat},
    io::Errno,
};

use super::{
    direct::Alignment,
    image_lock::{self, Locking},
    opened::Opened,
};

/// How a file is to be opened.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) platform: &'a Platform,
    pub(super) filename: &'a str,
    pub(super) writable: bool,
    /// Whether it may be opened for reading if it can't be written to.
    pub(super) or_readable: bool,
    pub(super) locking: Locking,
    pub(super) direct: bool,
    pub(super) flushes: bool,
    pub(super) unmaps: bool,
}

impl Wanted<'_> {
    pub(super) fn open(&self) -> Result<Opened, BlockError> {
        // Of what is no regular file, opening may already be an act. What can't be looked at tells
        // below why.
        let (access, path) = (OFlags::RDONLY, Path::new(self.filename));
        if let Ok(there) = self.platform.descriptors().look_at(path, access) {
            self.check_kind(&there)?;
        }
        let (file, writable) = self.open_file()?;
        // By now the name may lead elsewhere.
        self.check_kind(&file)?;
        let length = file.metadata().map_err(|error| self.refused(error))?.len();
        let alignment = match self.is_direct(&file)? {
            true => Some(self.alignment(&file, length)?),
            false => None,
        };
        let locked = image_lock::lock(&file, self.filename, writable, self.locking)?;
        Ok(Opened::new(file, locked, writable, length, alignment, self.flushes, self.unmaps))
    }

    fn refused(&self, error: io::Error) -> BlockError {
        BlockError::Open { file: self.filename.to_owned(), error }
    }

    fn check_kind(&self, file: impl std::os::fd::AsFd) -> Result<(), BlockError> {
        let status = fstat(file).map_err(|error| self.refused(error.into()))?;
        if FileType::from_raw_mode(status.st_mode).is_file() {
            return Ok(());
        }
        let (driver, expected) = ("file", "a regular file");
        Err(BlockError::Kind { driver, file: self.filename.to_owned(), expected })
    }

    /// The file, and whether it can be written to.
    fn open_file(&self) -> Result<(File, bool), BlockError> {
        let open = |access: OFlags| {
            let mut flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
            flags.set(OFlags::DIRECT, self.direct);
            let opened = self.platform.open_file(Path::new(self.filename), flags, Mode::empty());
            opened.map(|opened| File::from(opened.descriptor))
        };
        let may_not = |error: &io::Error| {
            matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
        };
        let opened = match self.writable {
            true => match open(OFlags::RDWR) {
                Err(error) if self.or_readable && may_not(&error) => {
                    open(OFlags::RDONLY).map(|file| (file, false))
                }
                opened => opened.map(|file| (file, true)),
            },
            false => open(OFlags::RDONLY).map(|file| (file, false)),
        };
        let invalid = Some(Errno::INVAL.raw_os_error());
        opened.map_err(|error| match error.raw_os_error() == invalid && self.direct {
            true => self.unsupported("filesystem does not support O_DIRECT"),
            false => self.refused(error),
        })
    }

    /// Whether it is open past the host's cache. A descriptor that was handed over is as its user
    /// opened it.
    fn is_direct(&self, file: &File) -> Result<bool, BlockError> {
        let flags = fcntl_getfl(file).map_err(|error| self.refused(error.into()))?;
        if flags.contains(OFlags::APPEND) {
            // Every write to it would go to its end, wherever it is meant to go.
            return Err(self.unsupported("its descriptor is open for appending"));
        }
        let direct = flags.contains(OFlags::DIRECT);
        if self.direct && !direct {
            return Err(self.unsupported("its descriptor was opened without O_DIRECT"));
        }
        Ok(direct)
    }

    fn unsupported(&self, problem: &str) -> BlockError {
        self.refused(io::Error::new(ErrorKind::Unsupported, problem))
    }

    fn alignment(&self, file: &File, length: u64) -> Result<Alignment, BlockError> {
        let alignment = Alignment::of(file).map_err(|error| self.refused(error))?;
        let unit = u64::from(alignment.file);
        if !length.is_multiple_of(unit) {
            let text = format!(
                "with cache.direct=on its length has to be a multiple of {unit}, not {length}"
            );
            return Err(self.refused(io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
        Ok(alignment)
    }
}
