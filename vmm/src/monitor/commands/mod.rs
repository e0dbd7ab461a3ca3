//! The commands of monitors, by subject, each registered where it is written.

mod arguments;
mod block;
mod chardev;
mod command_line;
mod descriptors;
pub(super) mod devices;
mod introspection;
mod machine;
pub(in crate::monitor) mod netdev;
mod objects;
mod prepared;
mod qom;
mod ring_buffer;
mod run;
mod security;
mod standing;

#[cfg(test)]
mod compat_tests;
#[cfg(test)]
pub(super) mod testing;
