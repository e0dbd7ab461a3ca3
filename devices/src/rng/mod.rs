//! Sources of random numbers.
//!
//! [`EntropyQueue`] holds the requests of one device; a source serves it on the device's loop, from
//! whatever its generator reads.

mod builtin;
mod queue;
mod random;
mod source;

pub use builtin::RngBuiltin;
pub use queue::{EntropyQueue, Outcome};
pub use random::RngRandom;
