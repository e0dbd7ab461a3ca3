//! Machines with the project's devices, made in the process of a test, which looks into them.
//!
//! The tests need `/dev/kvm`. Where it can't be had each says `skipped:` on standard error and
//! returns; with `PALISADE_REQUIRE_KVM` set it fails instead, so that a skip can't pass for a
//! success.

#![forbid(unsafe_code)]

use std::fs::File;

// For their types, which the linker would leave out otherwise.
use devices as _;

/// Whether machines can be made here; if not, it is said.
///
/// # Panics
/// If they can't, and have to be.
#[must_use]
pub fn has_kvm() -> bool {
    let Err(error) = File::options().read(true).write(true).open("/dev/kvm") else { return true };
    assert!(std::env::var_os("PALISADE_REQUIRE_KVM").is_none(), "KVM is required: {error}");
    eprintln!("skipped: /dev/kvm: {error}");
    false
}
