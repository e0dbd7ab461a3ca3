//! Loaders: what puts the files that a guest starts from into its memory.

pub mod bzimage;
pub mod elf;
pub mod firmware;
pub mod initrd;

use std::{fs::File, io::Read, path::Path};

use device_model::{
    descriptors::Descriptors,
    platform::Platform,
    qom_core::{BoxedError, Object, Registry, qom_type},
};
use parking_lot::Mutex;
use thiserror::Error;

pub(crate) use initrd::InitrdLoader;

use crate::{
    boot::LoadedKernel,
    regular_file::{self, OpenError},
};

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

/// Why a file was not loaded. The file itself is named by whoever asked for it, which a message
/// starts with.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It can't be read.
    #[error("can't read it: {0}")]
    Read(#[from] std::io::Error),
    /// It is none that any loader knows.
    #[error("it is no kernel: {problem}")]
    NotAKernel {
        /// What it is instead.
        problem: String,
    },
    /// Its contents.
    #[error("{0}")]
    Contents(String),
    /// The machine has no memory.
    #[error("the machine has no memory to load it into")]
    NoMemory,
}

/// Opens a file for loading.
pub(crate) fn open(descriptors: &Descriptors, file: &str) -> Result<File, OpenError> {
    regular_file::open(descriptors, Path::new(file))
}

/// The type of the loader that knows this kernel's format.
///
/// # Errors
/// If the file can't be read, or no loader knows it.
pub fn kernel_loader(
    registry: &Registry,
    descriptors: &Descriptors,
    file: &str,
) -> Result<&'static str, LoadError> {
    let opened = open(descriptors, file)?;
    let mut start = Vec::with_capacity(PROBE_LENGTH);
    opened.take(PROBE_LENGTH as u64).read_to_end(&mut start)?;
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
        LoadError::NotAKernel { problem }
    })
}
