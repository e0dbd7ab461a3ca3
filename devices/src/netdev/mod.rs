//! Network backends: where the frames of a network card go on the host.

mod address;
mod dgram;
mod framing;
mod port;
mod stream;

pub use address::{AddressType, PortNumber};
pub use dgram::NetdevDgram;
pub use stream::NetdevStream;
