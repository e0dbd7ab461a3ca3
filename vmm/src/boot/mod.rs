//! What a guest finds in memory when it starts: a kernel, what a boot protocol tells it, tables.
//!
//! Everything here works on files and guest memory alone. Kernels and initial RAM disks are
//! untrusted input; so are their sizes and addresses.

// Tests craft bytes out of small numbers; the code itself is checked where it is not built for them.
#![cfg_attr(test, allow(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod acpi;
pub mod boot_params;
pub mod bzimage;
pub mod cmdline;
pub mod decompress;
pub mod elf;
pub mod entry;
pub mod initrd;
pub mod layout;
pub mod load;
pub mod long_mode;
pub mod pvh;
pub mod setup_header;
pub mod source;
pub mod structure;

#[cfg(test)]
mod crafted;
mod little_endian;
mod ram;

pub use entry::Entry;
pub use load::{
    BootError, BootInformation, KernelKind, LoadedKernel, finish_boot, load_initrd, load_kernel,
    probe,
};
