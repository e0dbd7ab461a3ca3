//! Locks on ranges of bytes that belong to an open file description (`fcntl(2)`, `F_OFD_SETLK`).
//!
//! They go when the last descriptor of that description is closed, and another description of the
//! same file in the same process counts as somebody else.
#![allow(unsafe_code, reason = "the standard library locks whole files only")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

/// A range that is locked, or is asked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockedRange {
    /// Its first byte.
    pub start: u32,
    /// How many bytes it has; none if it is empty.
    pub length: u32,
}

fn flock(kind: libc::c_int, range: LockedRange) -> libc::flock {
    libc::flock {
        // The kinds and `SEEK_SET` are small constants of the C library, which `short` holds.
        l_type: libc::c_short::try_from(kind).unwrap_or_default(),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: range.start.into(),
        l_len: range.length.into(),
        // As the interface demands of locks of this kind.
        l_pid: 0,
    }
}

fn set(file: impl AsFd, kind: libc::c_int, range: LockedRange) -> io::Result<()> {
    if range.length == 0 {
        // To the kernel, it would reach to the end of the file.
        return Ok(());
    }
    let lock = flock(kind, range);
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel only reads the
    // structure, which lives until the call returns.
    let result =
        unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Locks a range as one of possibly several holders. The file must be open for reading.
///
/// # Errors
/// If somebody holds a part of it alone, or the file has no locks.
pub fn lock_shared(file: impl AsFd, range: LockedRange) -> io::Result<()> {
    set(file, libc::F_RDLCK, range)
}

/// Gives a range back.
///
/// # Errors
/// If the file has no locks.
pub fn unlock(file: impl AsFd, range: LockedRange) -> io::Result<()> {
    set(file, libc::F_UNLCK, range)
}

/// Whether another open file has locked a part of the range, in whatever way.
///
/// # Errors
/// If the file has no locks.
pub fn locked_by_others(file: impl AsFd, range: LockedRange) -> io::Result<bool> {
    if range.length == 0 {
        return Ok(false);
    }
    let mut lock = flock(libc::F_WRLCK, range);
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel reads and writes
    // the structure only, which lives until the call returns.
    let result = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    const RANGE: LockedRange = LockedRange { start: 100, length: 1 };

    #[test]
    fn what_one_has_locked_another_sees_until_it_is_given_back() {
        let file = tempfile::NamedTempFile::new().expect("there is room");
        let (one, other) =
            (file.reopen().expect("it is there"), file.reopen().expect("it is there"));
        assert!(!locked_by_others(&other, RANGE).expect("files have locks"));
        lock_shared(&one, RANGE).expect("nobody has it");
        assert!(!locked_by_others(&one, RANGE).expect("files have locks"), "its own");
        assert!(locked_by_others(&other, RANGE).expect("files have locks"));
        let beside = LockedRange { start: 101, length: 5 };
        assert!(!locked_by_others(&other, beside).expect("files have locks"));
        lock_shared(&other, RANGE).expect("it is shared");
        unlock(&one, RANGE).expect("it was locked");
        assert!(!locked_by_others(&other, RANGE).expect("files have locks"));
    }

    #[test]
    fn locks_go_with_the_open_file_and_not_before() {
        let file = tempfile::NamedTempFile::new().expect("there is room");
        let other = file.reopen().expect("it is there");
        let one = file.reopen().expect("it is there");
        lock_shared(&one, RANGE).expect("nobody has it");
        // A second descriptor of the same process that goes takes no lock of the first with it.
        drop(File::open(file.path()).expect("it is there"));
        let kept = one.try_clone().expect("there are descriptors");
        drop(one);
        assert!(locked_by_others(&other, RANGE).expect("files have locks"));
        drop(kept);
        assert!(!locked_by_others(&other, RANGE).expect("files have locks"));
    }

    #[test]
    fn an_empty_range_locks_nothing() {
        let file = tempfile::NamedTempFile::new().expect("there is room");
        let (one, other) =
            (file.reopen().expect("it is there"), file.reopen().expect("it is there"));
        let empty = LockedRange { start: 100, length: 0 };
        lock_shared(&one, empty).expect("there is nothing to it");
        let all = LockedRange { start: 0, length: u32::MAX };
        assert!(!locked_by_others(&other, all).expect("files have locks"));
    }
}
