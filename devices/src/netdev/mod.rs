//! Network backends: where the frames of a network card go on the host.

mod address;
mod dgram;
mod framing;
mod hub;
mod hubport;
mod port;
mod stream;
mod tap;
mod user;

pub use address::{AddressType, PortNumber};
pub use dgram::NetdevDgram;
pub use hubport::NetdevHubport;
pub use stream::NetdevStream;
pub use tap::NetdevTap;
pub use user::{HostForwards, NetdevUser};
