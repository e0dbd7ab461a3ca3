//! `serial`: a 16550A UART, as the PC's COM ports have.

mod device;
#[cfg(test)]
mod properties;
mod receive;
pub mod spec;
mod state;
#[cfg(test)]
mod tests;
mod uart;

pub use device::IsaSerial;
pub use receive::ReceivedChar;
pub use state::{UartState, UartStateError};
pub use uart::{ModemInputs, Uart};
