//! Memory of the host for guests: anonymous, in memory that has a descriptor, or in a file.

mod backing_file;
mod file;
mod mapping;
mod memfd;
mod ram;
mod settings;

pub use file::{MemoryBackendFile, Rom};
pub use memfd::MemoryBackendMemfd;
pub use ram::MemoryBackendRam;
