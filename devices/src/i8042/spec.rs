//! Registers, commands and answers of the PC's keyboard controller.
//!
//! Source: IBM, *Personal System/2 Hardware Interface Technical Reference*, October 1990, "Keyboard
//! and Auxiliary Device Controller", and for the output port's wiring *PC AT Technical Reference*,
//! "Keyboard Controller".

/// The data port's address.
pub const DEFAULT_IOBASE: u16 = 0x60;
/// The status and command port's address.
pub const STATUS_COMMAND_PORT: u16 = 0x64;
/// Data (offset of port 0x60).
pub const DATA: u64 = 0;
/// Status when read, command when written (offset of port 0x64).
pub const STATUS_COMMAND: u64 = 4;

/// Status: the output buffer holds a byte for the CPU.
pub const STATUS_OUTPUT_FULL: u8 = 1 << 0;
/// Status: the input buffer holds a byte for the controller. Never, here: it is taken at once.
pub const STATUS_INPUT_FULL: u8 = 1 << 1;
/// Status: system flag, a copy of the command byte's.
pub const STATUS_SYSTEM: u8 = 1 << 2;
/// Status: the last write went to the command port.
pub const STATUS_COMMAND_WRITTEN: u8 = 1 << 3;
/// Status: the keyboard isn't locked.
pub const STATUS_UNLOCKED: u8 = 1 << 4;
/// Status: a device didn't answer in time.
pub const STATUS_TIMEOUT: u8 = 1 << 6;

/// Command: read the command byte, which is the first byte of the controller's RAM.
pub const CMD_READ_COMMAND_BYTE: u8 = 0x20;
/// Command: read the second byte of the controller's RAM; the commands after it, those that follow.
pub const CMD_READ_RAM_FIRST: u8 = 0x21;
/// Command: the last of [`CMD_READ_RAM_FIRST`]'s.
pub const CMD_READ_RAM_LAST: u8 = 0x3f;
/// Command: write the command byte.
pub const CMD_WRITE_COMMAND_BYTE: u8 = 0x60;
/// Command: write the second byte of the controller's RAM; the commands after it, those that follow.
pub const CMD_WRITE_RAM_FIRST: u8 = 0x61;
/// Command: the last of [`CMD_WRITE_RAM_FIRST`]'s.
pub const CMD_WRITE_RAM_LAST: u8 = 0x7f;
/// Command: disable the auxiliary device (the mouse).
pub const CMD_DISABLE_AUX: u8 = 0xa7;
/// Command: enable the auxiliary device.
pub const CMD_ENABLE_AUX: u8 = 0xa8;
/// Command: test the auxiliary device's lines.
pub const CMD_TEST_AUX: u8 = 0xa9;
/// Command: self-test.
pub const CMD_SELF_TEST: u8 = 0xaa;
/// Command: test the keyboard's lines.
pub const CMD_TEST_KEYBOARD: u8 = 0xab;
/// Command: disable the keyboard.
pub const CMD_DISABLE_KEYBOARD: u8 = 0xad;
/// Command: enable the keyboard.
pub const CMD_ENABLE_KEYBOARD: u8 = 0xae;
/// Command: read the output port.
pub const CMD_READ_OUTPUT_PORT: u8 = 0xd0;
/// Command: write the output port.
pub const CMD_WRITE_OUTPUT_PORT: u8 = 0xd1;
/// Command: return the next byte as if the keyboard had sent it.
pub const CMD_LOOP_KEYBOARD: u8 = 0xd2;
/// Command: return the next byte as if the auxiliary device had sent it.
pub const CMD_LOOP_AUX: u8 = 0xd3;
/// Command: send the next byte to the auxiliary device.
pub const CMD_WRITE_AUX: u8 = 0xd4;
/// Commands from here on pulse those of the output port's low four lines whose bit is 0.
pub const CMD_PULSE_FIRST: u8 = 0xf0;

/// Answer to [`CMD_SELF_TEST`]: passed.
pub const SELF_TEST_PASSED: u8 = 0x55;
/// Answer to a line test: no error.
pub const LINE_TEST_PASSED: u8 = 0x00;
/// Answer to a line test: the clock line is stuck low, as it is where no port is wired.
pub const LINE_TEST_CLOCK_LOW: u8 = 0x01;
/// What the controller puts in place of a device's answer that doesn't come.
pub const NO_ANSWER: u8 = 0xfe;

/// Command byte: system flag.
pub const CTR_SYSTEM: u8 = 1 << 2;
/// Command byte: the keyboard is disabled.
pub const CTR_KEYBOARD_DISABLED: u8 = 1 << 4;
/// Command byte: the auxiliary device is disabled.
pub const CTR_AUX_DISABLED: u8 = 1 << 5;
/// The command byte after a reset: both devices disabled.
pub const CTR_DEFAULT: u8 = CTR_KEYBOARD_DISABLED | CTR_AUX_DISABLED;

/// Output port: the CPU's reset line, active low.
pub const OUTPUT_RESET_N: u8 = 1 << 0;
/// Output port: the A20 gate.
pub const OUTPUT_A20: u8 = 1 << 1;
/// The output port after a reset: no reset, A20 open.
pub const OUTPUT_DEFAULT: u8 = OUTPUT_RESET_N | OUTPUT_A20;
