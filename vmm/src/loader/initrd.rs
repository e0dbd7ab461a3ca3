//! The loader of initial RAM disks.

use device_model::{
    causes::with_causes,
    platform::Platform,
    qom_core::{BoxedError, Link, qom_type},
};

use super::{KernelLoader, LoadError, Loaded, Loader, open};
use crate::boot::{self, initrd::Initrd};

/// Loader of an initial RAM disk
#[qom_type(secure, parent = Loader)]
pub struct InitrdLoader {
    /// Loader of the kernel beside which it goes
    #[property(link = dyn KernelLoader)]
    kernel: Link<dyn KernelLoader>,
    loaded: Loaded<Initrd>,
}

impl InitrdLoader {
    /// Where it was put.
    pub(crate) fn loaded(&self) -> Option<Initrd> {
        self.loaded.get()
    }
}

impl Loader for InitrdLoader {
    fn load(&self, platform: &Platform) -> Result<(), BoxedError> {
        let kernel = self.kernel.get().and_then(|kernel| kernel.loaded().get());
        let kernel = kernel
            .ok_or_else(|| LoadError::Contents("there is no kernel to load it for".to_owned()))?;
        let memory = platform.memory().ok_or(LoadError::NoMemory)?;
        let mut opened = open(platform.descriptors(), &self.file())?;
        let initrd = boot::load_initrd(&mut opened, memory, &kernel)
            .map_err(|error| LoadError::Contents(with_causes(&error)))?;
        self.loaded.set(initrd);
        Ok(())
    }
}
