//! What all transports share: negotiation, queues' setup, and the session of a driver.

mod session;
mod state;

pub use session::{Doorbell, Session, SessionParts, TransportInterrupts};
pub use state::{RingPart, StatusChange, VirtioState};
