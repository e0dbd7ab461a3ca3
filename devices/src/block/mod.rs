//! Block nodes: what holds the bytes of disks, and what stands before it.
//!
//! Each file or folder holds one driver; what they have in common is in [`device_model::block`].

mod file;
mod null_co;
mod raw;

pub use file::BlockdevFile;
pub use null_co::BlockdevNullCo;
pub use raw::BlockdevRaw;
