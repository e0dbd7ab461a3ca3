//! Opening a file that a user names: a regular one, without waiting for anybody.

use std::{
    fs::File,
    io::{self, Seek},
    path::Path,
};

use device_model::descriptors::Descriptors;
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

/// Opens a regular file for reading, from its start.
///
/// # Errors
/// If it is none, or can't be opened.
pub(crate) fn open(descriptors: &Descriptors, file: &Path) -> Result<File, OpenError> {
    // Without waiting for somebody at the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = descriptors.open(file, flags, Mode::empty())?;
    let mut contents = File::from(opened.descriptor);
    if !contents.metadata()?.file_type().is_file() {
        return Err(OpenError::NotRegular);
    }
    if opened.is_handed_over {
        // Where its user was, or where the last reader of it stopped.
        contents.rewind()?;
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let none = Descriptors::default();
        let file = tempfile::NamedTempFile::new().expect("there is room");
        assert!(open(&none, file.path()).is_ok());
        let folder = tempfile::tempdir().expect("there is room");
        let pipe = folder.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, Mode::RUSR, 0).expect("a pipe");
        for other in [Path::new("/dev/zero"), folder.path(), &pipe] {
            assert!(
                matches!(open(&none, other), Err(OpenError::NotRegular)),
                "{}",
                other.display()
            );
        }
        let missing = open(&none, &folder.path().join("missing")).expect_err("nothing is there");
        assert_eq!(missing.to_string(), "can't open it: No such file or directory (os error 2)");
    }
}
