//! A virtual machine monitor that refuses to build a machine out of types that are not declared
//! secure: the library, with the types of the crates named here.

// A crate that is depended on and not named is left out by the linker, with all its types.
#![warn(unused_crate_dependencies)]

#[cfg(policy_unchecked)]
compile_error!("palisade has no build without the policy's check");

vmm::main!(devices);
