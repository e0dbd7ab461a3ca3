//! The file behind a memory backend: opened, made or made longer, and put back as it was.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

use device_model::{descriptors::Descriptors, memory_backend::MemoryBackendError};
use rustix::fs::{FallocateFlags, FileType, Mode, OFlags, fallocate, fstat, fstatfs};
use thiserror::Error;

/// `f_type` of a file of huge pages (`statfs(2)`).
const HUGETLBFS_MAGIC: i64 = 0x9584_58f6;

/// Who may read and write a file that is made here: its owner.
const MODE: Mode = Mode::from_bits_truncate(0o600);

/// What is wrong with a file that is there.
#[derive(Debug, Error)]
pub(super) enum FileError {
    #[error("'{0}' is neither a file nor a folder")]
    Kind(String),
    #[error("file '{path}' has {length} bytes, which are fewer than offset and size need: {end}")]
    Short { path: String, length: u64, end: u64 },
    #[error("file '{path}' has pages of {page} bytes, of which {name} {value} is no multiple")]
    Page { path: String, page: u64, name: &'static str, value: u64 },
    #[error(transparent)]
    Host(#[from] MemoryBackendError),
}

/// What to open, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) descriptors: &'a Descriptors,
    pub(super) path: &'a str,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) readonly: bool,
    /// Whether the host gives all of it now.
    pub(super) prealloc: bool,
}

/// An open file, and what was done to it.
#[derive(Debug)]
pub(super) struct BackingFile {
    pub(super) file: File,
    pub(super) huge_pages: bool,
    made: Made,
}

/// What is to be taken back if the object does not stay.
#[derive(Debug)]
enum Made {
    /// Nothing: it was there, or nobody can find it any more.
    Nothing,
    /// It was not there.
    Created(PathBuf),
    /// It was empty.
    Lengthened,
}

impl BackingFile {
    /// Opens the file, makes one that is missing, and makes one that is empty as long as it has to
    /// be. In a folder it makes one that nobody else can find. A file that has contents keeps its
    /// length.
    ///
    /// # Errors
    /// If it is no file, is too short, or the host refuses. Then all is as it was.
    pub(super) fn open(wanted: Wanted<'_>) -> Result<Self, FileError> {
        let host = |source| {
            let action = format!("open '{}'", wanted.path);
            FileError::from(MemoryBackendError::Host { action, source })
        };
        let (file, created) = open(wanted).map_err(host)?;
        let made = created.map_or(Made::Nothing, Made::Created);
        let mut backing = Self { file, huge_pages: false, made };
        match backing.prepare(wanted) {
            Ok(()) => Ok(backing),
            Err(error) => {
                backing.discard();
                Err(error)
            }
        }
    }

    fn prepare(&mut self, wanted: Wanted<'_>) -> Result<(), FileError> {
        let Wanted { path, offset, size, .. } = wanted;
        let host = |action: &str, source| {
            let action = format!("{action} '{path}'");
            FileError::from(MemoryBackendError::Host { action, source })
        };
        let status = self.file.metadata().map_err(|error| host("look at", error))?;
        if !status.is_file() {
            return Err(FileError::Kind(path.to_owned()));
        }
        let system = fstatfs(&self.file).map_err(|error| host("look at", error.into()))?;
        self.huge_pages = system.f_type == HUGETLBFS_MAGIC;
        let page = match u64::try_from(system.f_bsize) {
            Ok(page) if self.huge_pages => page,
            _ => super::settings::PAGE,
        };
        for (name, value) in [("offset", offset), ("size", size)] {
            if page == 0 || !value.is_multiple_of(page) {
                return Err(FileError::Page { path: path.to_owned(), page, name, value });
            }
        }
        let end = offset.saturating_add(size);
        let length = status.len();
        if length < end {
            if length > 0 || wanted.readonly {
                return Err(FileError::Short { path: path.to_owned(), length, end });
            }
            if matches!(self.made, Made::Nothing) {
                self.made = Made::Lengthened;
            }
            self.file.set_len(end).map_err(|error| host("lengthen", error))?;
        }
        if wanted.prealloc && !wanted.readonly {
            // What `mmap` can't get it leaves out; this says so. It changes no contents.
            fallocate(&self.file, FallocateFlags::empty(), offset, size)
                .map_err(|error| host("allocate all of", error.into()))?;
        }
        Ok(())
    }

    /// Takes back what was done to the file system.
    pub(super) fn discard(self) {
        match self.made {
            Made::Nothing => {}
            Made::Created(path) => {
                let own = self.file.metadata();
                let there = fs::symlink_metadata(&path);
                if let (Ok(own), Ok(there)) = (own, there)
                    && is_same(&own, &there)
                {
                    // What can't be removed can't be helped.
                    let _ = fs::remove_file(path);
                }
            }
            // Its contents are the guest's that never was.
            Made::Lengthened => {
                let _ = self.file.set_len(0);
            }
        }
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Opens it, and tells where it was created, if it was and has a name.
fn open(wanted: Wanted<'_>) -> io::Result<(File, Option<PathBuf>)> {
    let path = Path::new(wanted.path);
    // Nothing else that may be there is waited for.
    let waiting = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = match wanted.readonly {
        true => OFlags::RDONLY,
        false => OFlags::RDWR | OFlags::CREATE,
    };
    let opened = match wanted.descriptors.open(path, flags | waiting, MODE) {
        // It is a folder, which only one who reads could open.
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            return Ok((tempfile::tempfile_in(path)?, None));
        }
        opened => opened?,
    };
    let file = File::from(opened.descriptor);
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "readonly=on needs a file"));
    }
    let created = if opened.is_new { Some(std::path::absolute(path)?) } else { None };
    Ok((file, created))
}

/// Whether others than this process's user and root may write to a file. A folder holds none.
pub(super) fn others_may_write(file: impl AsFd) -> io::Result<bool> {
    let status = fstat(file)?;
    let owner = [0, rustix::process::geteuid().as_raw()].contains(&status.st_uid);
    // An access control list has its greatest rights shown as the group's.
    let others = Mode::from_raw_mode(status.st_mode).intersects(Mode::WGRP | Mode::WOTH);
    Ok(FileType::from_raw_mode(status.st_mode).is_file() && (!owner || others))
}

/// The same of a file before it is opened. One that is missing is made for its owner.
pub(super) fn others_may_write_at(
    descriptors: &Descriptors,
    path: &str,
    writes: bool,
) -> io::Result<bool> {
    let access = if writes { OFlags::RDWR } else { OFlags::RDONLY };
    match descriptors.look_at(Path::new(path), access) {
        Ok(file) => others_may_write(file),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
