//! The same monitor without the check that the matrix is about, to show that the matrix misses it.
//!
//! This is no option of the program and no feature of a crate: the check is left out of `qom-core` by
//! a `--cfg` of the compiler that a test gives to this build alone. Where it is not given this is no
//! program; where it is, there is no release build, and no `palisade`.

#[cfg(not(policy_unchecked))]
compile_error!("this program is for a test, which builds it with --cfg policy_unchecked");

vmm::main!(devices, matrix_vmm);
