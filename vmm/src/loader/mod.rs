//! Loaders: what puts the files that a guest starts from into its memory.

pub mod bzimage;
pub mod elf;
pub mod firmware;
pub mod initrd;

use std::{
    fs::File,
    io::{Read, Seek},
};

use device_model::{
    platform::Platform,
    qom_core::{BoxedError, Object, Registry, qom_type},
};
use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use thiserror::Error;

pub(crate) use initrd::InitrdLoader;

use crate::boot::LoadedKernel;

/// What puts a file that a guest starts from into its memory
#[qom_type(abstract, parent = Object, boundary(file), category = "Loaders")]
pub trait Loader: Object {
    /// The file
    #[property(required)]
    fn file(&self) -> String;

    /// Puts the file into the memory of the machine. Called again at each reset.
    ///
    /// # Errors
    /// If the file can't be read, is none of its kind, or does not fit.
    fn load(&self, platform: &Platform) -> Result<(), BoxedError>;
}

/// What loads a kernel
#[qom_type(abstract, parent = Loader)]
pub trait KernelLoader: Loader {
    /// What was loaded last.
    fn loaded(&self) -> &Loaded<LoadedKernel>;
}

/// How a loader of kernels knows its files: class data of each.
#[derive(Debug)]
pub struct KernelFormat {
    /// Whether a file that starts with these bytes is of the format. There are
    /// [`PROBE_LENGTH`] of them, or all that the file has.
    pub recognise: fn(&[u8]) -> bool,
}

/// How much of a file's start tells its format: through the magic number of a bzImage's setup
/// header.
pub const PROBE_LENGTH: usize = 0x206;

/// What a loader has put into memory.
#[derive(Debug)]
pub struct Loaded<T>(Mutex<Option<T>>);

impl<T> Default for Loaded<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Loaded<T> {
    /// What it is; none before it was loaded.
    pub fn get(&self) -> Option<T> {
        self.0.lock().clone()
    }

    pub(crate) fn set(&self, loaded: T) {
        *self.0.lock() = Some(loaded);
    }
}

/// Why a file was not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It can't be opened or read.
    #[error("can't {action} '{file}': {source}")]
    File {
        /// `open` or `read`.
        action: &'static str,
        /// The file.
        file: String,
        /// What the host says.
        source: std::io::Error,
    },
    /// It is none that any loader knows.
    #[error("'{file}' is no kernel: {problem}")]
    NotAKernel {
        /// The file.
        file: String,
        /// What it is instead.
        problem: String,
    },
    /// Its contents.
    #[error("'{file}': {problem}")]
    Contents {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The machine has no memory.
    #[error("the machine has no memory to load '{file}' into")]
    NoMemory {
        /// The file.
        file: String,
    },
}

/// An error with its causes, on one line. Some errors tell their cause themselves.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).fold(
        error.to_string(),
        |line, cause| match line.ends_with(&cause) {
            true => line,
            false => format!("{line}: {cause}"),
        },
    )
}

/// Opens a file for loading. What is no regular file has no end that a loader could rely on.
pub(crate) fn open(file: &str) -> Result<File, LoadError> {
    let problem = |source| LoadError::File { action: "open", file: file.to_owned(), source };
    // Without waiting for somebody at the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened =
        rustix::fs::open(file, flags, Mode::empty()).map_err(|errno| problem(errno.into()))?;
    let opened = File::from(opened);
    let kind = opened.metadata().map_err(problem)?.file_type();
    if !kind.is_file() {
        return Err(LoadError::Contents {
            file: file.to_owned(),
            problem: "it is not a regular file".to_owned(),
        });
    }
    Ok(opened)
}

/// The type of the loader that knows this kernel's format.
///
/// # Errors
/// If the file can't be read, or no loader knows it.
pub fn kernel_loader(registry: &Registry, file: &str) -> Result<&'static str, LoadError> {
    let mut opened = open(file)?;
    let mut start = Vec::with_capacity(PROBE_LENGTH);
    opened
        .rewind()
        .and_then(|()| opened.take(PROBE_LENGTH as u64).read_to_end(&mut start))
        .map_err(|source| LoadError::File { action: "read", file: file.to_owned(), source })?;
    let loader = registry.classes().find(|class| {
        !class.is_abstract()
            && class.data::<KernelFormat>().is_some_and(|format| (format.recognise)(&start))
    });
    loader.map(|class| class.name()).ok_or_else(|| {
        let shown: Vec<_> = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let problem = match shown.is_empty() {
            true => "it is empty".to_owned(),
            false => format!("it starts with {}, as no format that is known", shown.join(" ")),
        };
        LoadError::NotAKernel { file: file.to_owned(), problem }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Error)]
    #[error("can't think")]
    struct Silent(#[source] LoadError);

    #[test]
    fn each_cause_is_told_once() {
        let open = || LoadError::File {
            action: "open",
            file: "x".to_owned(),
            source: std::io::Error::other("no such luck"),
        };
        assert_eq!(with_causes(&open()), "can't open 'x': no such luck");
        assert_eq!(with_causes(&Silent(open())), "can't think: can't open 'x': no such luck");
    }
}
