//! The one door through which every file is opened, or looked at, that a user names.
//!
//! A user may name a file that is there, or a set of descriptors that were handed over. Whoever takes
//! a name from a user comes through here, so that a set stands for a file everywhere. What was opened
//! is judged by what it is: by its descriptor, and not by its name once more, which may lead
//! elsewhere by then.

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::LazyLock,
};

use qom_core::Configuration;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fstat, openat},
    io::Errno,
};

use crate::descriptors::Descriptors;

/// Before the number of a set, the path that stands for it: QEMU, docs of `-add-fd`.
const SET_PATH: &str = "/dev/fdset/";

/// A file that was opened.
#[derive(Debug)]
pub struct OpenedFile {
    /// Its descriptor.
    pub descriptor: OwnedFd,
    /// Whether it was not there before, and was created.
    pub is_new: bool,
    /// Whether it is a user's descriptor: its contents are as its user wants them, and what is
    /// written to it goes where its user was.
    pub is_handed_over: bool,
}

impl Descriptors {
    /// Those that a VM's users have handed over, for judges and planners. There are none where the
    /// tree was given none, by [`Tree::with_context`](qom_core::Tree::with_context).
    #[must_use]
    pub fn known_to<'a>(configuration: &Configuration<'a>) -> &'a Self {
        static NONE: LazyLock<Descriptors> = LazyLock::new(Descriptors::default);
        configuration.context::<Self>().unwrap_or_else(|| &NONE)
    }

    /// Opens a file that a user names, for the access in `flags` (`O_RDONLY`, `O_WRONLY`, `O_RDWR`);
    /// with `O_CREAT`, creates it with this mode if it is not there. The path `/dev/fdset/N` stands
    /// for the descriptor in that set which allows just that access, of which this gives a
    /// duplicate; no other flag counts then.
    ///
    /// # Errors
    /// If the host refuses; if the set has no such descriptor, or that is no file.
    pub fn open(&self, path: &Path, flags: OFlags, created: Mode) -> io::Result<OpenedFile> {
        if let Some(set) = set(path)? {
            let descriptor = self.duplicate_member(set, flags)?;
            return Ok(OpenedFile { descriptor, is_new: false, is_handed_over: true });
        }
        let there = flags.difference(OFlags::CREATE | OFlags::EXCL) | OFlags::CLOEXEC;
        let (descriptor, is_new) = match openat(CWD, path, there, Mode::empty()) {
            Err(Errno::NOENT) if flags.contains(OFlags::CREATE) => {
                // Whoever else creates it meanwhile has it.
                let new = there | OFlags::CREATE | OFlags::EXCL;
                (openat(CWD, path, new, created)?, true)
            }
            opened => (opened?, false),
        };
        Ok(OpenedFile { descriptor, is_new, is_handed_over: false })
    }

    /// What [`Descriptors::open`] would open for this access, to be looked at (`fstat`) and for
    /// nothing else: opening may already be an act.
    ///
    /// # Errors
    /// If it is not there, or the host refuses; as [`Descriptors::open`] for a set.
    pub fn look_at(&self, path: &Path, access: OFlags) -> io::Result<OwnedFd> {
        match set(path)? {
            Some(set) => self.duplicate_member(set, access),
            None => Ok(openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?),
        }
    }
}

/// The number of the set that a path stands for; none if it is the path of a file.
fn set(path: &Path) -> io::Result<Option<u32>> {
    let Some(set) = path.to_str().and_then(|path| path.strip_prefix(SET_PATH)) else {
        return Ok(None);
    };
    let digits = !set.is_empty() && set.bytes().all(|byte| byte.is_ascii_digit());
    let number = set.parse().ok().filter(|_| digits).ok_or_else(|| {
        io::Error::new(ErrorKind::InvalidInput, format!("expected a number after {SET_PATH}"))
    })?;
    Ok(Some(number))
}

/// Checks that a descriptor leads to something that a path could lead to and be opened. A socket does
/// not, so that none gets in where sockets are not judged.
pub(crate) fn check(descriptor: impl AsFd) -> io::Result<()> {
    let kind = match FileType::from_raw_mode(fstat(descriptor)?.st_mode) {
        FileType::RegularFile
        | FileType::BlockDevice
        | FileType::CharacterDevice
        | FileType::Fifo => return Ok(()),
        FileType::Socket => "a socket",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        _ => "of an unknown kind",
    };
    let what = format!("the descriptor is no file: it is {kind}");
    Err(io::Error::new(ErrorKind::InvalidInput, what))
}
