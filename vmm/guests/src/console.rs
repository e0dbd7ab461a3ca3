//! Guests that speak through the first serial port.

use iced_x86::code_asm::{CodeAssembler, al, dx};

use crate::program::{GuestError, assemble, triple_fault};

/// First port of the first serial port.
pub const COM1: u16 = 0x3f8;
/// Offset of the line status register (PC16550D, "Line Status Register").
const LINE_STATUS: u16 = 5;
/// Line status: a character has come in.
const DATA_READY: u32 = 1;

/// Writes `text` to the serial port, not waiting for its transmitter, which needs none on any
/// monitor.
///
/// # Errors
/// None but the assembler's.
pub fn print(code: &mut CodeAssembler, text: &str) -> Result<(), GuestError> {
    code.mov(dx, i32::from(COM1))?;
    for byte in text.bytes() {
        code.mov(al, i32::from(byte))?;
        code.out(dx, al)?;
    }
    Ok(())
}

/// A guest that writes `text` and ends by a triple fault.
///
/// # Errors
/// None but the assembler's.
pub fn hello(text: &str) -> Result<Vec<u8>, GuestError> {
    assemble(|code| {
        print(code, text)?;
        triple_fault(code)
    })
}

/// A guest that writes `text` and then runs in circles until it is stopped.
///
/// # Errors
/// None but the assembler's.
pub fn print_and_spin(text: &str) -> Result<Vec<u8>, GuestError> {
    assemble(|code| {
        print(code, text)?;
        let mut here = code.create_label();
        code.set_label(&mut here)?;
        code.jmp(here)?;
        Ok(())
    })
}

/// A guest that writes `greeting`, then each character that comes in, and ends by a triple fault
/// once `last` has come and gone out again.
///
/// # Errors
/// None but the assembler's.
pub fn echo(greeting: &str, last: u8) -> Result<Vec<u8>, GuestError> {
    assemble(|code| {
        print(code, greeting)?;
        let mut poll = code.create_label();
        code.set_label(&mut poll)?;
        code.mov(dx, i32::from(COM1 + LINE_STATUS))?;
        code.in_(al, dx)?;
        code.test(al, DATA_READY)?;
        code.je(poll)?;
        code.mov(dx, i32::from(COM1))?;
        code.in_(al, dx)?;
        code.out(dx, al)?;
        code.cmp(al, u32::from(last))?;
        code.jne(poll)?;
        triple_fault(code)
    })
}
