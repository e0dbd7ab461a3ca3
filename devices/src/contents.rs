//! Reading a file that a user names: a regular one, of bounded size, whose contents are wiped.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use device_model::descriptors::Descriptors;
use rustix::fs::{Mode, OFlags};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a file could not be read.
#[derive(Debug, Error)]
pub enum ContentsError {
    /// The system refuses.
    #[error("can't read it: {0}")]
    Host(#[from] io::Error),
    /// A folder, a device, a pipe: it has no end that a reader could rely on.
    #[error("it is not a regular file")]
    NotRegular,
    /// More than anything of its kind has.
    #[error("it has {size} bytes, and at most {most} are expected")]
    TooLarge {
        /// Bytes that it has.
        size: u64,
        /// Bytes that are expected.
        most: u64,
    },
    /// Somebody wrote to it meanwhile.
    #[error("it grew while it was read")]
    Growing,
}

impl ContentsError {
    /// Whether there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Host(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The contents of a regular file of at most so many bytes.
///
/// # Errors
/// If it is none, is larger, or can't be read.
pub(crate) fn read(
    descriptors: &Descriptors,
    path: &Path,
    most: u64,
) -> Result<Zeroizing<Vec<u8>>, ContentsError> {
    // Without waiting for somebody at the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(descriptors.open(path, flags, Mode::empty())?.descriptor);
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(ContentsError::NotRegular);
    }
    let size = status.len();
    let too_large = ContentsError::TooLarge { size, most };
    if size > most {
        return Err(too_large);
    }
    // One byte more shows the end. The buffer never moves, so that nothing is left behind.
    let room = usize::try_from(size).map_err(|_| too_large)?.saturating_add(1);
    let mut contents = Zeroizing::new(vec![0; room]);
    let mut length = 0;
    while let Some(rest @ [_, ..]) = contents.get_mut(length..) {
        // From its start, wherever the user of a descriptor was.
        match file.read_at(rest, length as u64) {
            Ok(0) => {
                contents.truncate(length);
                return Ok(contents);
            }
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ContentsError::Growing)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let none = Descriptors::default();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "12345").unwrap();
        assert_eq!(**read(&none, &file, 5).unwrap(), *b"12345");
        let error = read(&none, &file, 4).unwrap_err();
        assert_eq!(error.to_string(), "it has 5 bytes, and at most 4 are expected");
        fs::write(&file, "").unwrap();
        assert!(read(&none, &file, 5).unwrap().is_empty());
        let pipe = folder.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        for other in [folder.path(), &pipe, Path::new("/dev/zero")] {
            assert!(matches!(read(&none, other, 5), Err(ContentsError::NotRegular)));
        }
        assert!(read(&none, &folder.path().join("none"), 5).unwrap_err().is_missing());
    }

    #[test]
    fn a_file_that_has_more_than_it_says_has_no_contents_to_rely_on() {
        // The kernel says 0 of it.
        let none = Descriptors::default();
        assert!(matches!(read(&none, Path::new("/proc/version"), 5), Err(ContentsError::Growing)));
    }
}
