//! The keyboard controller's saved state, and what is checked before one is taken over.

use super::controller::{I8042, Output, parameter_of};
use super::spec::{NO_ANSWER, OUTPUT_RESET_N};

/// Everything that an [`I8042`] remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I8042State {
    /// The command byte (controller RAM 0).
    pub command_byte: u8,
    /// The output port; bit 0, the reset line, is always 1.
    pub output_port: u8,
    /// The last write went to the command port.
    pub command_written: bool,
    /// The command whose parameter byte is awaited.
    pub awaiting: Option<u8>,
    /// The byte in the output buffer.
    pub output: Option<u8>,
    /// That byte reports a device that didn't answer.
    pub timeout: bool,
}

/// Why an [`I8042State`] isn't one that a controller can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum I8042StateError {
    /// A parameter is awaited for a command that has none.
    #[error("i8042 state: a parameter of command {0:#04x} is awaited, but it has none")]
    NoParameter(u8),
    /// The reset line is held.
    #[error("i8042 state: output port is {0:#04x}, but bit 0 (no reset) must be set")]
    ResetHeld(u8),
    /// A time-out is reported with another byte than a time-out leaves, or with none.
    #[error("i8042 state: a time-out is reported with output {0:?}, but must be with Some(254)")]
    TimeoutWithoutReport(Option<u8>),
}

impl I8042 {
    /// What the controller remembers.
    pub fn state(&self) -> I8042State {
        I8042State {
            command_byte: self.command_byte,
            output_port: self.output_port,
            command_written: self.command_written,
            awaiting: self.awaiting,
            output: self.output.map(|output| output.byte),
            timeout: self.output.is_some_and(|output| output.timeout),
        }
    }

    /// Takes a saved state over.
    ///
    /// # Errors
    /// If no controller can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &I8042State) -> Result<(), I8042StateError> {
        if let Some(command) = state.awaiting
            && parameter_of(command).is_none()
        {
            return Err(I8042StateError::NoParameter(command));
        }
        if state.output_port & OUTPUT_RESET_N == 0 {
            return Err(I8042StateError::ResetHeld(state.output_port));
        }
        if state.timeout && state.output != Some(NO_ANSWER) {
            return Err(I8042StateError::TimeoutWithoutReport(state.output));
        }
        *self = Self {
            command_byte: state.command_byte,
            output_port: state.output_port,
            command_written: state.command_written,
            awaiting: state.awaiting,
            output: state.output.map(|byte| Output { byte, timeout: state.timeout }),
        };
        Ok(())
    }
}
