//! A file that is open: what can be done with it.

use std::{
    fs::File,
    io::{self, ErrorKind},
    sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
};

use device_model::block::{Limits, Operation};
use image_io::{Waiting, read_at, write_at};
use parking_lot::RwLock;
use rustix::{
    fs::{FallocateFlags, FsWord, fallocate, fdatasync, fstatfs, ftruncate},
    io::Errno,
};
use vm_memory::VolatileSlice;

use super::{
    direct::{self, Alignment},
    image_lock::Locked,
};

/// A file that is open.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    locked: Option<Locked>,
    writable: bool,
    length: AtomicU64,
    /// What transfers past the host's cache are multiples of; none if they go through it.
    alignment: Option<Alignment>,
    flushes: bool,
    unmaps: bool,
    /// Held by those who write a part of what they have read, alone; shared by all other writers.
    pub(super) parts: RwLock<()>,
    /// Why a flush failed, if one did: an error number.
    flush_failed: AtomicI32,
    /// Whether the file's bytes are in memory and nowhere else, so that nothing waits for a disk.
    in_memory: bool,
    /// Whether the file system can tell if a read, and a write, would wait.
    tells: [AtomicBool; 2],
}

/// The number of the file system in memory (`TMPFS_MAGIC`, `linux/magic.h`), which can't tell that it
/// never waits.
const TMPFS: FsWord = 0x0102_1994;
/// How many zeroes are written at once where the file system has no quicker way, in bytes.
const ZEROES: usize = 64 << 10;

impl Opened {
    pub(super) fn new(
        file: File,
        locked: Option<Locked>,
        writable: bool,
        length: u64,
        alignment: Option<Alignment>,
        flushes: bool,
        unmaps: bool,
    ) -> Self {
        // A file system that does not say is one that may wait.
        let in_memory = fstatfs(&file).is_ok_and(|system| system.f_type == TMPFS);
        Self {
            file,
            locked,
            in_memory,
            writable,
            length: AtomicU64::new(length),
            alignment,
            flushes,
            unmaps,
            parts: RwLock::default(),
            flush_failed: AtomicI32::new(0),
            tells: [AtomicBool::new(true), AtomicBool::new(true)],
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    pub(super) const fn is_writable(&self) -> bool {
        self.writable
    }

    pub(super) fn limits(&self) -> Limits {
        let alignment = self.alignment.map_or(1, |alignment| alignment.file);
        Limits { alignment, ..Limits::default() }
    }

    pub(super) fn allocated(&self) -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        // In units of 512 bytes, whatever the file system's own (stat(3type)).
        self.file.metadata().ok().map(|status| status.blocks().saturating_mul(512))
    }

    pub(super) fn resize(&self, length: u64) -> io::Result<()> {
        if !self.writable {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let unit = self.alignment.map_or(1, |alignment| u64::from(alignment.file));
        if !length.is_multiple_of(unit) {
            let text = format!("the length has to be a multiple of {unit}, not {length}");
            return Err(io::Error::new(ErrorKind::InvalidInput, text));
        }
        ftruncate(&self.file, length)?;
        self.length.store(length, Ordering::Release);
        Ok(())
    }

    pub(super) fn perform(&self, operation: &Operation<'_>) -> io::Result<()> {
        match *operation {
            Operation::Read { offset, into } => match self.alignment {
                Some(alignment) => direct::read(self, alignment, into, offset),
                None => self.read(into, offset),
            },
            Operation::Write { offset, from } => match self.alignment {
                Some(alignment) => direct::write(self, alignment, from, offset),
                None => self.write(from, offset),
            },
            Operation::Flush => self.flush(),
            Operation::Discard { offset, length } => {
                if length == 0 || !self.unmaps {
                    return Ok(());
                }
                // It is no more than advice.
                self.punch(offset, length).or_else(supported)
            }
            Operation::WriteZeroes { offset, length, unmap } => {
                self.write_zeroes(offset, length, unmap)
            }
        }
    }

    /// Reads all that the buffers hold.
    pub(super) fn read(&self, into: &[VolatileSlice<'_>], offset: u64) -> io::Result<()> {
        all(into, offset, |into, offset| {
            match read_at(&self.file, into, offset, Waiting::Allowed)? {
                // It has become shorter than it was.
                0 => Err(ErrorKind::UnexpectedEof.into()),
                count => Ok(count),
            }
        })
    }

    /// Writes all that the buffers hold.
    pub(super) fn write(&self, from: &[VolatileSlice<'_>], offset: u64) -> io::Result<()> {
        all(from, offset, |from, offset| {
            match write_at(&self.file, from, offset, Waiting::Allowed)? {
                0 => Err(ErrorKind::WriteZero.into()),
                count => Ok(count),
            }
        })
    }

    /// Whether [`Opened::try_now`] is worth trying.
    pub(super) fn may_try(&self, writes: bool) -> bool {
        self.alignment.is_none() && self.tells[usize::from(writes)].load(Ordering::Relaxed)
    }

    /// Reads or writes if that needs no waiting. False if it does; then what was done of it may be
    /// done again.
    pub(super) fn try_now(&self, operation: &Operation<'_>) -> io::Result<bool> {
        let waiting = if self.in_memory { Waiting::Allowed } else { Waiting::Refused };
        let (moved, writes) = match *operation {
            Operation::Read { offset, into } => (read_at(&self.file, into, offset, waiting), false),
            Operation::Write { offset, from } => {
                (write_at(&self.file, from, offset, waiting), true)
            }
            _ => return Ok(false),
        };
        match moved {
            Ok(moved) => Ok(u64::try_from(moved).ok() == Some(operation.range().1)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.tells[usize::from(writes)].store(false, Ordering::Relaxed);
                Ok(false)
            }
            // Whoever may wait will see whether it is still wrong.
            Err(_) => Ok(false),
        }
    }

    /// Makes what was written outlast a failure of the host.
    fn flush(&self) -> io::Result<()> {
        if !self.flushes {
            return Ok(());
        }
        let failed = self.flush_failed.load(Ordering::Acquire);
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        fdatasync(&self.file).map_err(|error| {
            // What could not be written is no longer known to the kernel as unwritten, so that
            // another flush would succeed and have lost it (fsync(2)): none succeeds any more.
            if self.alignment.is_none() {
                self.flush_failed.store(error.raw_os_error(), Ordering::Release);
            }
            error.into()
        })
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        let _shared = self.parts.read();
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.file, flags, offset, length)?)
    }

    fn write_zeroes(&self, offset: u64, length: u64, unmap: bool) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let quick = if unmap && self.unmaps {
            self.punch(offset, length)
        } else {
            let _shared = self.parts.read();
            let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
            fallocate(&self.file, flags, offset, length).map_err(io::Error::from)
        };
        match quick {
            Err(error) if is_unsupported(&error) => {}
            done => return done,
        }
        let mut zeroes = vec![0; ZEROES];
        let zeroes = VolatileSlice::from(&mut zeroes[..]);
        let (mut offset, mut left) = (offset, length);
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(ZEROES).min(ZEROES);
            let part = zeroes.subslice(0, count).map_err(io::Error::other)?;
            self.perform(&Operation::Write { offset, from: &[part] })?;
            let count = u64::try_from(count).unwrap_or(left);
            offset = offset.saturating_add(count);
            left -= count;
        }
        Ok(())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(locked) = self.locked {
            locked.release(&self.file);
        }
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    [Errno::OPNOTSUPP, Errno::NOSYS]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Nothing, of an error that says that the file system has no such thing.
fn supported(error: io::Error) -> io::Result<()> {
    if is_unsupported(&error) { Ok(()) } else { Err(error) }
}

/// Repeats a transfer that may move a part of what it is given until all is moved.
fn all(
    buffers: &[VolatileSlice<'_>],
    offset: u64,
    mut once: impl FnMut(&[VolatileSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    let left: usize = buffers.iter().map(VolatileSlice::len).sum();
    if left == 0 {
        return Ok(());
    }
    let mut moved = once(buffers, offset)?;
    if moved >= left {
        return Ok(());
    }
    let mut rest: Vec<_> = buffers.iter().rev().copied().collect();
    let (mut left, mut offset) = (left, offset);
    loop {
        left = left.saturating_sub(moved);
        if left == 0 {
            return Ok(());
        }
        offset = offset.saturating_add(u64::try_from(moved).unwrap_or(u64::MAX));
        while let Some(next) = rest.pop() {
            if moved < next.len() {
                rest.push(next.offset(moved).map_err(io::Error::other)?);
                break;
            }
            moved -= next.len();
        }
        let in_order: Vec<_> = rest.iter().rev().take(image_io::MOST_BUFFERS).copied().collect();
        moved = once(&in_order, offset)?;
    }
}
