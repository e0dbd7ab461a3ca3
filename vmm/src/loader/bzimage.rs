//! The loader of Linux kernels as distributions install them.

use device_model::{
    causes::with_causes,
    platform::Platform,
    qom_core::{BoxedError, qom_type},
};

use super::{KernelFormat, KernelLoader, LoadError, Loaded, Loader, open};
use crate::boot::{self, KernelKind, LoadedKernel, setup_header::SetupHeader};

/// Loader of Linux bzImages, which it unpacks on the host
#[qom_type(secure, name = "bzimage-loader", parent = KernelLoader, class_data = FORMAT)]
pub struct BzImageLoader {
    loaded: Loaded<LoadedKernel>,
}

static FORMAT: KernelFormat = KernelFormat { recognise: SetupHeader::recognise };

impl Loader for BzImageLoader {
    fn load(&self, platform: &Platform) -> Result<(), BoxedError> {
        self.loaded.set(load_kernel(&self.file(), KernelKind::BzImage, platform)?);
        Ok(())
    }
}

impl KernelLoader for BzImageLoader {
    fn loaded(&self) -> &Loaded<LoadedKernel> {
        &self.loaded
    }
}

/// Loads a kernel that must still be of the kind that it was planned as.
pub(super) fn load_kernel(
    file: &str,
    kind: KernelKind,
    platform: &Platform,
) -> Result<LoadedKernel, LoadError> {
    let memory = platform.memory().ok_or(LoadError::NoMemory)?;
    let mut opened = open(platform.descriptors(), file)?;
    let loaded = boot::load_kernel(&mut opened, memory)
        .map_err(|error| LoadError::Contents(with_causes(&error)))?;
    if loaded.kind != kind {
        return Err(LoadError::Contents("it changed while the machine was planned".to_owned()));
    }
    Ok(loaded)
}
