//! Accelerators, machines, CPUs, memory, boot and the command line of a virtual machine monitor.
//!
//! Devices are found by the names of their types, whichever linked crate defines them; this crate
//! knows none. A program that wants some names their crates:
//!
//! ```text
//! vmm::main!(devices, my_devices);
//! ```

extern crate self as vmm;

pub mod accelerator;
pub mod boot;
mod byte_count;
pub mod cpu;
pub mod creation;
pub mod judgement;
pub mod kvm;
pub mod loader;
pub mod machine;
pub mod monitor;
pub mod options;
pub mod qtest;
mod regular_file;
pub mod session;
mod unique_keys;
pub mod vcpu;

pub use device_model;

/// The `main` function of a monitor with the types of the crates named, each of which must register
/// at least one. The monitor calls itself by the name and version of the package that it is in.
///
/// Each is named as it calls itself. One that the program's manifest renames gets its own name back
/// first, with `extern crate renamed as its_own_name;`.
#[macro_export]
macro_rules! main {
    ($($krate:ident),* $(,)?) => {
        $(use $krate as _;)*

        fn main() -> ::std::process::ExitCode {
            $crate::session::main(
                $crate::session::Program {
                    name: ::core::env!("CARGO_PKG_NAME"),
                    version: ::core::env!("CARGO_PKG_VERSION"),
                },
                &[$(::core::stringify!($krate)),*],
            )
        }
    };
}
