//! Opening an image file: a regular one, as it is, and for nobody else to write to.

use std::{fs::File, io};

use device_model::block::BlockError;
use rustix::{
    fs::{FileType, Mode, OFlags, fstat},
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
        // Of what is no regular file, opening may already be an act.
        let looked_at =
            rustix::fs::open(self.filename, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| self.refused(error.into()))?;
        self.check_kind(&looked_at)?;
        let (file, writable) = self.open_file()?;
        // By now the name may lead elsewhere.
        self.check_kind(&file)?;
        image_lock::lock(&file, self.filename, writable, self.locking)?;
        let length = file.metadata().map_err(|error| self.refused(error))?.len();
        let alignment = match self.direct {
            true => Some(self.alignment(&file, length)?),
            false => None,
        };
        Ok(Opened::new(file, writable, length, alignment, self.flushes, self.unmaps))
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
            rustix::fs::open(self.filename, flags, Mode::empty()).map(File::from)
        };
        let opened = match self.writable {
            true => match open(OFlags::RDWR) {
                Err(Errno::ACCESS | Errno::ROFS | Errno::PERM) if self.or_readable => {
                    open(OFlags::RDONLY).map(|file| (file, false))
                }
                opened => opened.map(|file| (file, true)),
            },
            false => open(OFlags::RDONLY).map(|file| (file, false)),
        };
        opened.map_err(|error| match error {
            Errno::INVAL if self.direct => {
                let text = "filesystem does not support O_DIRECT";
                self.refused(io::Error::new(io::ErrorKind::Unsupported, text))
            }
            error => self.refused(error.into()),
        })
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
