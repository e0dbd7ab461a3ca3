//! Memory of the host for guests: anonymous, in memory that has a descriptor, or in a file.

mod file;
mod file_type;
mod mapping;
mod memfd;
mod ram;
mod settings;

pub use file_type::{MemoryBackendFile, Rom};
pub use memfd::MemoryBackendMemfd;
pub use ram::MemoryBackendRam;
