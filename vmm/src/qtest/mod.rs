//! qtest: a machine without processors, whose devices a client drives by a line protocol, as QEMU's
//! accelerator and protocol of that name do.
//!
//! The server has a thread of its own: a client that takes no answers holds up nothing but what it
//! asks for itself. What a command brings about on that thread, such as the expiration of timers, is
//! over before it is answered; what devices ask of the machine as a whole, to reset or to end, the
//! main thread does when it gets to it.

pub mod accel;
pub mod access;
pub mod answer;
pub mod driver;
pub mod irq;
pub mod lines;
mod log;
mod number;
pub mod protocol;
mod server;
mod service;

pub use accel::QtestAccel;
pub use server::Qtest;
