//! Threads of their own for the work of devices.

mod object;

pub use object::IoThread;
