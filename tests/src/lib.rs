//! Whole guests, macro diagnostics, policy: tests that start the real program.
//!
//! This is what the tests share: programs to start, [`Vmm`] to start one with, what came of it
//! ([`Running`], [`Finished`]), files that a test makes ([`Scratch`]), guests of a few instructions
//! ([`guest`]), a boot sector ([`boot_sector`]) and clients: of monitors ([`qmp`]), and one that drives devices without a guest
//! ([`qtest`]), with a driver of virtio devices over it ([`virtio`]).

#![forbid(unsafe_code)]

pub mod boot_sector;
pub mod bzimage;
mod finished;
pub mod guest;
mod output;
mod programs;
pub mod qmp;
pub mod qtest;
mod running;
mod scratch;
pub mod terminal;
pub mod virtio;
pub mod virtio_guest;
mod vmm;

pub use finished::Finished;
pub use programs::{
    Profile, empty_vmm, matrix_vmm, palisade, palisade_of, third_party_vmm, unchecked_matrix_vmm,
    unchecked_palisade,
};
pub use running::Running;
pub use scratch::{Scratch, debian_kernel, python, seabios};
pub use vmm::Vmm;
