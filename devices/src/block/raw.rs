//! `raw`: a disk whose bytes stand in a file as they are, or a part of the file.

use std::io;

use device_model::{
    block::{
        Access, BlockChild, BlockError, FormatProbe, Limits, OpenContext, Operation, Pending,
        Submission, announce_file,
    },
    prelude::*,
};
use thiserror::Error;

/// What the length of a part of a file is a multiple of, in bytes: a sector, as QEMU has it.
const SECTOR: u64 = 512;

/// Bytes of a file as they are, or a part of them
#[qom_type(secure, parent = FormatNode, children = announce_file, class_data = PROBE)]
#[derive(Debug)]
pub struct BlockdevRaw {
    /// Where it begins in the file
    #[property]
    offset: Size,
    /// Its length; to the end of the file if absent
    #[property]
    size: Option<Size>,
    file: Realized<BlockChild>,
}

static PROBE: FormatProbe = FormatProbe(|_| 1);

/// What can't be a part of a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum PartError {
    #[error("Offset ({offset}) cannot be greater than size of the containing file ({there})")]
    Offset { offset: u64, there: u64 },
    #[error(
        "The sum of offset ({offset}) and size ({size}) has to be smaller or equal to the actual \
         size of the containing file ({there})"
    )]
    Size { offset: u64, size: u64, there: u64 },
    #[error("Specified size ({size}) is not multiple of {SECTOR}")]
    Unaligned { size: u64 },
    #[error("Cannot resize fixed-size raw disks")]
    Fixed,
    #[error("Offset ({offset}) and size ({size}) exceed what a file can hold")]
    TooLarge { offset: u64, size: u64 },
}

impl From<PartError> for BlockError {
    fn from(error: PartError) -> Self {
        Self::configuration(error)
    }
}

impl BlockdevRaw {
    /// Whether the part lies within the file.
    fn check(&self, there: u64) -> Result<(), PartError> {
        let offset = self.offset.0;
        if offset > there {
            return Err(PartError::Offset { offset, there });
        }
        let Some(Size(size)) = self.size else { return Ok(()) };
        if !size.is_multiple_of(SECTOR) {
            return Err(PartError::Unaligned { size });
        }
        if size > there - offset {
            return Err(PartError::Size { offset, size, there });
        }
        Ok(())
    }
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl FormatNode for BlockdevRaw {}

impl BlockNode for BlockdevRaw {
    fn open(&self, cx: &OpenContext<'_>) -> Result<(), BlockError> {
        let file = cx.child("file", Access::AsParent)?;
        self.check(file.length())?;
        self.file.set(file);
        Ok(())
    }

    fn close(&self) {
        self.file.clear();
    }

    fn length(&self) -> u64 {
        let rest = self.file.with(|file| file.length().saturating_sub(self.offset.0));
        let rest = rest.unwrap_or_default();
        self.size.map_or(rest, |size| size.0.min(rest))
    }

    fn is_writable(&self) -> bool {
        self.file.with(BlockChild::is_writable).unwrap_or_default()
    }

    fn limits(&self) -> Limits {
        self.file.with(BlockChild::limits).unwrap_or_default()
    }

    fn filename(&self) -> String {
        self.file.with(|file| file.node().filename()).unwrap_or_default()
    }

    fn allocated(&self) -> Option<u64> {
        self.file.with(|file| file.node().allocated()).flatten()
    }

    fn perform(&self, operation: &Operation<'_>) -> io::Result<()> {
        let beyond = || io::Error::from(io::ErrorKind::InvalidInput);
        let moved = operation.moved(self.offset.0).ok_or_else(beyond)?;
        self.file.with(|file| file.perform(&moved)).unwrap_or_else(|| Err(closed()))
    }

    fn submit(&self, request: Pending) -> Submission {
        match self.file.get() {
            Some(file) => file.submit(request, self.offset.0),
            None => Submission::Done(request, Err(closed())),
        }
    }

    fn resize(&self, length: u64) -> Result<(), BlockError> {
        if self.size.is_some() {
            return Err(PartError::Fixed.into());
        }
        let offset = self.offset.0;
        let end = offset.checked_add(length).ok_or(PartError::TooLarge { offset, size: length })?;
        match self.file.get() {
            Some(file) => file.resize(end),
            None => Err(BlockError::Host { action: "resize", error: closed() }),
        }
    }
}
