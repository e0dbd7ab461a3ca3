//! How a guest starts.

pub mod entry;
