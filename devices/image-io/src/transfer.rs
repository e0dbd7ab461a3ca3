//! Reading and writing at a position, with buffers that others change meanwhile
//! (`preadv2(2)`, `pwritev2(2)`).
#![allow(unsafe_code, reason = "safe interfaces take references to bytes, which a guest's are not")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use vm_memory::{VolatileSlice, volatile_memory::PtrGuardMut};

/// How many buffers the kernel takes at once (`IOV_MAX`, `limits.h` of Linux); a transfer with more
/// is made in parts.
pub const MOST_BUFFERS: usize = 1024;

/// Whether a transfer may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Until it is done.
    Allowed,
    /// It moves what it can without waiting for the disk (`RWF_NOWAIT`), which may be nothing: then
    /// it fails with [`io::ErrorKind::WouldBlock`], or with [`io::ErrorKind::Unsupported`] where the
    /// file system can't tell.
    Refused,
}

impl Waiting {
    const fn flags(self) -> libc::c_int {
        match self {
            Self::Allowed => 0,
            Self::Refused => libc::RWF_NOWAIT,
        }
    }
}

/// Reads once into buffers, one after the other, from `offset` on: the number of bytes, 0 at the
/// end of the file.
///
/// # Errors
/// As `preadv2(2)`.
pub fn read_at(
    file: impl AsFd,
    into: &[VolatileSlice<'_>],
    offset: u64,
    waiting: Waiting,
) -> io::Result<usize> {
    transfer(file.as_fd(), into, offset, waiting, libc::preadv2)
}

/// Writes once from buffers, one after the other, at `offset`: the number of bytes.
///
/// # Errors
/// As `pwritev2(2)`.
pub fn write_at(
    file: impl AsFd,
    from: &[VolatileSlice<'_>],
    offset: u64,
    waiting: Waiting,
) -> io::Result<usize> {
    transfer(file.as_fd(), from, offset, waiting, libc::pwritev2)
}

/// `preadv2` or `pwritev2`.
type Call = unsafe extern "C" fn(
    libc::c_int,
    *const libc::iovec,
    libc::c_int,
    libc::off_t,
    libc::c_int,
) -> libc::ssize_t;

fn transfer(
    file: BorrowedFd<'_>,
    buffers: &[VolatileSlice<'_>],
    offset: u64,
    waiting: Waiting,
    call: Call,
) -> io::Result<usize> {
    let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let buffers = &buffers[..buffers.len().min(MOST_BUFFERS)];
    // Held until the call returns: they keep the memory mapped.
    let guards: Vec<PtrGuardMut> = buffers.iter().map(VolatileSlice::ptr_guard_mut).collect();
    let vectors: Vec<libc::iovec> = guards
        .iter()
        .map(|guard| libc::iovec { iov_base: guard.as_ptr().cast(), iov_len: guard.len() })
        .collect();
    let count = libc::c_int::try_from(vectors.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        // SAFETY: the descriptor is open for as long as it is borrowed. Each vector is the memory of
        // a volatile slice, which stays mapped and may be read and written for as long as that
        // lives, by anybody at any time: nothing here holds a reference into it. The vectors live
        // until the call returns, and `count` is their number.
        let moved =
            unsafe { call(file.as_raw_fd(), vectors.as_ptr(), count, offset, waiting.flags()) };
        if let Ok(moved) = usize::try_from(moved) {
            return Ok(moved);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn buffers_are_filled_one_after_the_other_from_a_position() {
        let mut file = tempfile::tempfile().expect("there is room");
        file.write_all(b"0123456789").expect("there is room");
        let (mut one, mut two) = ([0; 3], [0; 4]);
        let into = [VolatileSlice::from(&mut one[..]), VolatileSlice::from(&mut two[..])];
        assert_eq!(read_at(&file, &into, 2, Waiting::Allowed).expect("it is readable"), 7);
        assert_eq!((&one, &two), (b"234", b"5678"));
        let into = [VolatileSlice::from(&mut two[..])];
        assert_eq!(read_at(&file, &into, 8, Waiting::Allowed).expect("it is readable"), 2);
        assert_eq!(read_at(&file, &into, 10, Waiting::Allowed).expect("it is readable"), 0);
    }

    #[test]
    fn buffers_are_written_one_after_the_other_at_a_position() {
        let file = tempfile::NamedTempFile::new().expect("there is room");
        let (mut one, mut two) = (*b"ab", *b"cde");
        let from = [VolatileSlice::from(&mut one[..]), VolatileSlice::from(&mut two[..])];
        assert_eq!(write_at(&file, &from, 3, Waiting::Allowed).expect("it is writable"), 5);
        assert_eq!(std::fs::read(file.path()).expect("it is there"), b"\0\0\0abcde");
    }

    #[test]
    fn more_buffers_than_the_kernel_takes_are_a_part_of_them() {
        let mut file = tempfile::tempfile().expect("there is room");
        file.write_all(&[7; 2000]).expect("there is room");
        let mut bytes = vec![[0]; 2000];
        let into: Vec<_> =
            bytes.iter_mut().map(|byte| VolatileSlice::from(&mut byte[..])).collect();
        assert_eq!(read_at(&file, &into, 0, Waiting::Allowed).expect("it is readable"), 1024);
    }

    #[test]
    fn a_position_that_files_do_not_have_is_refused() {
        let file = tempfile::tempfile().expect("there is room");
        let error = read_at(&file, &[], u64::MAX, Waiting::Allowed).expect_err("it is refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn without_waiting_it_is_done_or_says_that_it_would_wait() {
        let mut file = tempfile::tempfile().expect("there is room");
        file.write_all(b"here").expect("there is room");
        let mut bytes = [0; 4];
        let into = [VolatileSlice::from(&mut bytes[..])];
        match read_at(&file, &into, 0, Waiting::Refused) {
            Ok(count) => assert_eq!((count, &bytes), (4, b"here")),
            Err(error) => assert!(
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Unsupported),
                "{error}"
            ),
        }
    }
}
