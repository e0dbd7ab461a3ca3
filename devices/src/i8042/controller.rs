//! The keyboard controller's behaviour, with nothing plugged into it.
//!
//! It answers what a controller answers by itself. A byte for a device is answered with the
//! controller's own time-out report at once, so that a driver that probes for a keyboard or mouse
//! finds none and doesn't wait. There is no interrupt: nothing ever arrives unasked.

use super::spec::*;

/// The guest pulls the CPU's reset line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetRequest;

/// What the controller takes the next data byte for; `None` is a byte for the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    CommandByte,
    /// Of a command whose parameter has no effect here.
    Ignored,
    OutputPort,
    LoopKeyboard,
    /// Of a command to the auxiliary port, which isn't there.
    Unanswered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) byte: u8,
    pub(super) timeout: bool,
}

/// A keyboard controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct I8042 {
    pub(super) command_byte: u8,
    pub(super) output_port: u8,
    pub(super) command_written: bool,
    /// The command whose parameter byte is awaited.
    pub(super) awaiting: Option<u8>,
    pub(super) output: Option<Output>,
}

impl Default for I8042 {
    fn default() -> Self {
        Self::new()
    }
}

impl I8042 {
    /// A controller after a reset.
    pub fn new() -> Self {
        Self {
            command_byte: CTR_DEFAULT,
            output_port: OUTPUT_DEFAULT,
            command_written: false,
            awaiting: None,
            output: None,
        }
    }

    /// A reset of the machine.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// The guest reads. The ports between the two, and beyond, read as 0xff.
    pub fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        for (offset, byte) in (offset..=u64::MAX).zip(data) {
            *byte = match offset {
                // An empty buffer reads as nothing pressed.
                DATA => self.output.take().map_or(0, |output| output.byte),
                STATUS_COMMAND => self.status(),
                _ => 0xff,
            };
        }
    }

    /// The guest writes. Other ports than the two are ignored.
    #[must_use = "the guest waits to be reset"]
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Option<ResetRequest> {
        let mut request = None;
        for (offset, &byte) in (offset..=u64::MAX).zip(data) {
            let asked = match offset {
                DATA => self.write_data(byte),
                STATUS_COMMAND => self.write_command(byte),
                _ => None,
            };
            request = request.or(asked);
        }
        request
    }

    fn status(&self) -> u8 {
        let mut status = STATUS_UNLOCKED;
        if let Some(output) = self.output {
            status |= STATUS_OUTPUT_FULL;
            if output.timeout {
                status |= STATUS_TIMEOUT;
            }
        }
        if self.command_byte & CTR_SYSTEM != 0 {
            status |= STATUS_SYSTEM;
        }
        if self.command_written {
            status |= STATUS_COMMAND_WRITTEN;
        }
        status
    }

    fn write_command(&mut self, command: u8) -> Option<ResetRequest> {
        self.command_written = true;
        self.awaiting = None;
        match command {
            CMD_READ_COMMAND_BYTE => self.answer(self.command_byte),
            CMD_READ_RAM_FIRST..=CMD_READ_RAM_LAST => self.answer(0),
            CMD_DISABLE_AUX => self.command_byte |= CTR_AUX_DISABLED,
            CMD_ENABLE_AUX => self.command_byte &= !CTR_AUX_DISABLED,
            CMD_TEST_AUX => self.answer(LINE_TEST_CLOCK_LOW),
            CMD_SELF_TEST => {
                self.command_byte |= CTR_SYSTEM;
                self.answer(SELF_TEST_PASSED);
            }
            CMD_TEST_KEYBOARD => self.answer(LINE_TEST_PASSED),
            CMD_DISABLE_KEYBOARD => self.command_byte |= CTR_KEYBOARD_DISABLED,
            CMD_ENABLE_KEYBOARD => self.command_byte &= !CTR_KEYBOARD_DISABLED,
            CMD_READ_OUTPUT_PORT => self.answer(self.output_port),
            // The lines that a 0 bit pulses include the reset line: 0xfe pulses no other.
            CMD_PULSE_FIRST.. if command & OUTPUT_RESET_N == 0 => return Some(ResetRequest),
            _ if parameter_of(command).is_some() => self.awaiting = Some(command),
            _ => {}
        }
        None
    }

    fn write_data(&mut self, byte: u8) -> Option<ResetRequest> {
        self.command_written = false;
        match self.awaiting.take().and_then(parameter_of) {
            Some(Parameter::CommandByte) => self.command_byte = byte,
            Some(Parameter::Ignored) => {}
            Some(Parameter::OutputPort) => {
                // The port's reset line is held only as long as a pulse lasts.
                self.output_port = byte | OUTPUT_RESET_N;
                if byte & OUTPUT_RESET_N == 0 {
                    return Some(ResetRequest);
                }
            }
            Some(Parameter::LoopKeyboard) => self.answer(byte),
            Some(Parameter::Unanswered) | None => {
                self.output = Some(Output { byte: NO_ANSWER, timeout: true });
            }
        }
        None
    }

    /// Puts a byte in the output buffer, which holds one: an unread one is overwritten.
    fn answer(&mut self, byte: u8) {
        self.output = Some(Output { byte, timeout: false });
    }
}

/// What the byte after a command is, if the command has one.
pub(super) fn parameter_of(command: u8) -> Option<Parameter> {
    match command {
        CMD_WRITE_COMMAND_BYTE => Some(Parameter::CommandByte),
        CMD_WRITE_RAM_FIRST..=CMD_WRITE_RAM_LAST => Some(Parameter::Ignored),
        CMD_WRITE_OUTPUT_PORT => Some(Parameter::OutputPort),
        CMD_LOOP_KEYBOARD => Some(Parameter::LoopKeyboard),
        CMD_LOOP_AUX | CMD_WRITE_AUX => Some(Parameter::Unanswered),
        _ => None,
    }
}
