//! From what users ask for to requests: the same checks, names and places, whether an option or a
//! monitor's command asks.

pub mod block;
pub mod chardev;
pub mod device;
pub mod netdev;
pub mod object;
pub mod option_keys;
mod prefixed;
