//! The loader of ELF executables: vmlinux and small kernels.

use device_model::{
    platform::Platform,
    qom_core::{BoxedError, qom_type},
};

use super::{KernelFormat, KernelLoader, Loaded, Loader, bzimage::load_kernel};
use crate::boot::{KernelKind, LoadedKernel, elf::ELF_MAGIC};

/// Loader of ELF kernels, with a PVH note or without
#[qom_type(secure, parent = KernelLoader, class_data = FORMAT)]
pub struct ElfLoader {
    loaded: Loaded<LoadedKernel>,
}

static FORMAT: KernelFormat = KernelFormat { recognise: |start| start.starts_with(&ELF_MAGIC) };

impl Loader for ElfLoader {
    fn load(&self, platform: &Platform) -> Result<(), BoxedError> {
        self.loaded.set(load_kernel(&self.file(), KernelKind::Elf, platform)?);
        Ok(())
    }
}

impl KernelLoader for ElfLoader {
    fn loaded(&self) -> &Loaded<LoadedKernel> {
        &self.loaded
    }
}
