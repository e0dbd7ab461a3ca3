//! The machine protocol that QEMU calls QMP, as far as it is bytes in and bytes out: no descriptor,
//! thread or machine is known here.
//!
//! - [`framer`] cuts a stream of bytes into JSON values, within limits;
//! - [`request`] checks that a value is a request;
//! - [`wire`] writes greeting, answers and events;
//! - [`session`] says what one client gets for what it sends.
//!
//! Messages and their members are those of QEMU, docs/interop/qmp-spec.rst, and so is what a client
//! is told of a request that can't be run. What it is told of malformed JSON is in words of our own.

pub mod budget;
pub mod framer;
mod lexer;
mod parse;
pub mod request;
pub mod session;
pub mod wire;
