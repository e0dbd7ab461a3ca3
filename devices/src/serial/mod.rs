//! `serial`: a 16550A UART, as the PC's COM ports have.

#[cfg(test)]
mod properties;
mod receive;
pub mod spec;
mod state;
#[cfg(test)]
mod tests;
mod uart;

pub use receive::ReceivedChar;
pub use state::{UartState, UartStateError};
pub use uart::{ModemInputs, Uart};
