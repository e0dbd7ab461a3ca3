//! The file behind a memory backend: opened, made or made longer, and put back as it was.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use device_model::memory_backend::MemoryBackendError;
use rustix::fs::{FallocateFlags, OFlags, fallocate, fstatfs};
use thiserror::Error;

/// `f_type` of a file of huge pages (`statfs(2)`).
const HUGETLBFS_MAGIC: i64 = 0x9584_58f6;

/// Who may read and write a file that is made here: its owner.
const MODE: u32 = 0o600;

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
    if path.is_dir() {
        if wanted.readonly {
            return Err(io::Error::new(ErrorKind::IsADirectory, "readonly=on needs a file"));
        }
        return Ok((tempfile::tempfile_in(path)?, None));
    }
    // Nothing else that may be there is waited for.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let mut options = fs::OpenOptions::new();
    options.read(true).write(!wanted.readonly).custom_flags(flags).mode(MODE);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !wanted.readonly => {
            let found_at = std::path::absolute(path)?;
            Ok((options.create_new(true).open(path)?, Some(found_at)))
        }
        opened => Ok((opened?, None)),
    }
}

/// Whether others than this process's user and root may write to the file that is there. A folder
/// holds none, and one that is missing is made for its owner.
pub(super) fn others_may_write(path: &str) -> io::Result<bool> {
    let status = match fs::metadata(path) {
        Ok(status) => status,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let owner = [0, rustix::process::geteuid().as_raw()].contains(&status.uid());
    // An access control list has its greatest rights shown as the group's.
    Ok(status.is_file() && !(owner && status.mode() & 0o022 == 0))
}
