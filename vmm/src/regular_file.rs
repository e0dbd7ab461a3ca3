//! Opening a file that a user names: a regular one, without waiting for anybody.

use std::{fs::File, io, path::Path};

use rustix::fs::{Mode, OFlags};
use thiserror::Error;

/// Why a file was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system refuses.
    #[error("can't open it: {0}")]
    Host(#[from] io::Error),
    /// A folder, a device, a pipe: it has no end that a reader could rely on.
    #[error("it is not a regular file")]
    NotRegular,
}

/// Opens a regular file for reading.
///
/// # Errors
/// If it is none, or can't be opened.
pub(crate) fn open(file: &Path) -> Result<File, OpenError> {
    // Without waiting for somebody at the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = File::from(rustix::fs::open(file, flags, Mode::empty()).map_err(io::Error::from)?);
    match opened.metadata()?.file_type().is_file() {
        true => Ok(opened),
        false => Err(OpenError::NotRegular),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let file = tempfile::NamedTempFile::new().expect("there is room");
        assert!(open(file.path()).is_ok());
        let folder = tempfile::tempdir().expect("there is room");
        let pipe = folder.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, Mode::RUSR, 0).expect("a pipe");
        for other in [Path::new("/dev/zero"), folder.path(), &pipe] {
            assert!(matches!(open(other), Err(OpenError::NotRegular)), "{}", other.display());
        }
        let missing = open(&folder.path().join("missing")).expect_err("nothing is there");
        assert_eq!(missing.to_string(), "can't open it: No such file or directory (os error 2)");
    }
}
