//! Threads of their own for the work of devices.

mod iothread;

pub use iothread::IoThread;
