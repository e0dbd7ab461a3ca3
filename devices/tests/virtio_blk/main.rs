//! `virtio-blk-device`: a disk, before a node that does as the test wants.

mod driver;
mod errors;
mod node;
mod requests;
mod stopping;
