//! Guests that end, or don't, in each way there is.

use guests::{
    COM1, GuestError, assemble, assemble_with_bss,
    iced_x86::code_asm::{CodeAssembler, al, byte_ptr, dword_ptr, dx, eax},
    print, triple_fault,
};

type Image = Result<Vec<u8>, GuestError>;

/// Sleep control and reset registers of the board's power device, as its ACPI tables give them.
const POWER: (u32, u32) = (0xfea0_0000, 0xfea0_0002);
/// Registers of a processor's local APIC (Intel SDM volume 3, section 11.4.1).
const LOCAL_APIC: u32 = 0xfee0_0000;
/// First port of pvpanic, and the event "panicked".
const PANIC: (u16, u8) = (0x505, 1);
/// The same, and the event "crashed, and goes on with a crash kernel".
const CRASH_LOADED: (u16, u8) = (0x505, 2);
/// The port of isa-debug-exit.
const DEBUG_EXIT: u16 = 0x501;
/// "Sleep now, type 5" for the sleep control register (ACPI 6.5, section 4.8.3.7).
const SLEEP_OFF: u8 = 5 << 2 | 1 << 5;
/// What the reset register takes.
const RESET: u8 = 0x42;
/// Command port of the keyboard controller, and its command to pulse the reset line.
const I8042_RESET: (u16, u8) = (0x64, 0xfe);
/// Interrupt mask of the first 8259 (Intel 8259A, OCW1), and a value that it does not start with.
const PIC_MASK: (u16, u8) = (0x21, 0xa5);
/// An address of no memory and no device.
const NOTHING: u32 = 0xd000_0000;
/// Interrupt command register of the local APIC, low and high half (Intel SDM volume 3, section
/// 11.6.1).
const ICR: (u32, u32) = (LOCAL_APIC + 0x300, LOCAL_APIC + 0x310);
/// Page at which another processor starts, and the vector that names it.
const AP_START: (u32, u32) = (0x8000, 8);
/// Memory below 64 KiB that processors talk to each other by.
const SHARED: u16 = 0x8f00;
/// Memory of no file, which keeps what it has when the machine starts over.
const KEPT: u32 = 0x80_0000;
/// Where a kernel searches for the root pointer of its ACPI tables, which lie beside it (ACPI 6.5,
/// section 5.2.5.1); up to the last place for four bytes.
const ACPI_TABLES: (u32, u32) = (0xe_0000, 0xf_fffd);
/// What fills a pipe that nobody reads: 64 KiB (`pipe(7)`), less a page that single bytes start and
/// that counts as taken then.
const PIPE_FULL: u32 = 60 << 10;
/// Rounds of a loop that a guest works for. Hosts that emulate every instruction are slow.
const MOMENT: u32 = 100_000;

/// Does nothing, for ever.
fn spin(code: &mut CodeAssembler) -> Result<(), GuestError> {
    let mut here = code.create_label();
    code.set_label(&mut here)?;
    code.jmp(here)?;
    Ok(())
}

fn out_port(code: &mut CodeAssembler, (port, value): (u16, u8)) -> Result<(), GuestError> {
    code.mov(dx, i32::from(port))?;
    code.mov(al, i32::from(value))?;
    code.out(dx, al)?;
    Ok(())
}

fn write_register(code: &mut CodeAssembler, address: u32, value: u8) -> Result<(), GuestError> {
    code.mov(eax, u32::from(value))?;
    code.mov(byte_ptr(address), al)?;
    Ok(())
}

/// Writes a text and switches the machine off.
pub fn power_off(text: &str) -> Image {
    assemble(|code| {
        print(code, text)?;
        write_register(code, POWER.0, SLEEP_OFF)?;
        spin(code)
    })
}

/// Writes a number to an address of its memory, then a text, and spins.
pub fn store(address: u32, number: u32, text: &str) -> Image {
    assemble(|code| {
        code.mov(eax, number)?;
        code.mov(dword_ptr(address), eax)?;
        print(code, text)?;
        spin(code)
    })
}

/// Writes a text, and again, for ever.
pub fn flood(text: &str) -> Image {
    assemble(|code| {
        let mut again = code.create_label();
        code.set_label(&mut again)?;
        print(code, text)?;
        code.jmp(again)?;
        Ok(())
    })
}

/// Writes a text, works for a moment, and again, for ever.
pub fn tick(text: &str) -> Image {
    assemble(|code| {
        let (mut again, mut work) = (code.create_label(), code.create_label());
        code.set_label(&mut again)?;
        print(code, text)?;
        code.mov(eax, MOMENT)?;
        code.set_label(&mut work)?;
        code.dec(eax)?;
        code.jne(work)?;
        code.jmp(again)?;
        Ok(())
    })
}

/// Writes a text and resets the machine by its reset register.
pub fn reset(text: &str) -> Image {
    assemble(|code| {
        print(code, text)?;
        write_register(code, POWER.1, RESET)?;
        spin(code)
    })
}

/// Writes a text and resets the machine by its keyboard controller.
pub fn reset_by_keyboard_controller(text: &str) -> Image {
    assemble(|code| {
        print(code, text)?;
        out_port(code, I8042_RESET)?;
        spin(code)
    })
}

/// How a guest has its machine start over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// By the keyboard controller.
    KeyboardController,
    /// By a triple fault.
    TripleFault,
}

/// Writes as digits a number that its file has, and one in its zeroed memory, which are both zero,
/// and a line's end; adds one to each; resets the machine.
pub fn count_resets(reset: Reset) -> Image {
    assemble_with_bss(0x1000, |code, zeroed| {
        code.mov(dx, i32::from(COM1))?;
        // The file ends with the byte before.
        for number in [zeroed - 1, zeroed] {
            code.mov(al, byte_ptr(number))?;
            code.add(al, u32::from(b'0'))?;
            code.out(dx, al)?;
            code.inc(byte_ptr(number))?;
        }
        print(code, "\n")?;
        match reset {
            Reset::KeyboardController => out_port(code, I8042_RESET)?,
            Reset::TripleFault => triple_fault(code)?,
        }
        spin(code)
    })
}

/// Says `fresh` if the first 8259 does not have the mask that this sets, `kept` if it has; `absent`
/// if there is no such chip; resets the machine.
pub fn mask_interrupts_and_reset() -> Image {
    assemble(|code| {
        let (mut kept, mut absent) = (code.create_label(), code.create_label());
        let mut reset = code.create_label();
        code.in_(al, i32::from(PIC_MASK.0))?;
        code.cmp(al, u32::from(PIC_MASK.1))?;
        code.je(kept)?;
        code.mov(al, i32::from(PIC_MASK.1))?;
        code.out(i32::from(PIC_MASK.0), al)?;
        code.in_(al, i32::from(PIC_MASK.0))?;
        code.cmp(al, u32::from(PIC_MASK.1))?;
        code.jne(absent)?;
        print(code, "fresh\n")?;
        code.jmp(reset)?;
        code.set_label(&mut kept)?;
        print(code, "kept\n")?;
        code.jmp(reset)?;
        code.set_label(&mut absent)?;
        print(code, "absent\n")?;
        code.set_label(&mut reset)?;
        out_port(code, I8042_RESET)?;
        spin(code)
    })
}

/// Writes a text and says for ever that its kernel has crashed.
pub fn crash_for_ever(text: &str) -> Image {
    assemble(|code| {
        print(code, text)?;
        let mut again = code.create_label();
        code.set_label(&mut again)?;
        out_port(code, CRASH_LOADED)?;
        code.jmp(again)?;
        Ok(())
    })
}

/// Writes a text and says that its kernel has panicked.
pub fn panic(text: &str) -> Image {
    assemble(|code| {
        print(code, text)?;
        out_port(code, PANIC)?;
        spin(code)
    })
}

/// Writes a text and ends the monitor by the debug-exit port.
pub fn debug_exit(text: &str, value: u8) -> Image {
    assemble(|code| {
        print(code, text)?;
        out_port(code, (DEBUG_EXIT, value))?;
        spin(code)
    })
}

/// The bytes of the instruction in [`not_emulated`]: `popcnt eax, [NOTHING]`.
pub const NOT_EMULATED: &str = "f3 0f b8 05 00 00 00 d0";

/// Writes a text and executes an instruction that KVM has to emulate, as its operand is where
/// nothing is, and that KVM's emulator does not know.
pub fn not_emulated(text: &str) -> Image {
    assemble(|code| {
        print(code, text)?;
        code.popcnt(eax, dword_ptr(NOTHING))?;
        triple_fault(code)
    })
}

/// Writes to a port and tells whether it then reads as what was written: `kept` or `lost`.
pub fn port_keeps(port: u16, value: u8) -> Image {
    assemble(|code| {
        let mut lost = code.create_label();
        out_port(code, (port, value))?;
        code.mov(al, 0)?;
        code.in_(al, dx)?;
        code.cmp(al, u32::from(value))?;
        code.jne(lost)?;
        print(code, "kept")?;
        triple_fault(code)?;
        code.set_label(&mut lost)?;
        print(code, "lost")?;
        triple_fault(code)
    })
}

/// Tells whether its ACPI tables hold these four letters anywhere: `told` or `untold`.
pub fn is_told_of(letters: [u8; 4]) -> Image {
    assemble(|code| {
        let (mut next, mut told) = (code.create_label(), code.create_label());
        code.mov(eax, ACPI_TABLES.0)?;
        code.set_label(&mut next)?;
        code.cmp(dword_ptr(eax), u32::from_le_bytes(letters))?;
        code.je(told)?;
        code.inc(eax)?;
        code.cmp(eax, ACPI_TABLES.1)?;
        code.jne(next)?;
        print(code, "untold")?;
        triple_fault(code)?;
        code.set_label(&mut told)?;
        print(code, "told")?;
        triple_fault(code)
    })
}

/// Real-mode code that writes a text to the serial port and then sleeps for good.
fn real_mode_print(text: &str) -> Vec<u8> {
    let mut code = vec![0xba, 0xf8, 0x03]; // mov dx, 0x3f8
    for byte in text.bytes() {
        code.extend([0xb0, byte, 0xee]); // mov al, byte; out dx, al
    }
    code.extend([0xfa, 0xf4, 0xeb, 0xfc]); // cli; hlt; jmp to the cli
    code
}

/// Has the second processor start with that real-mode code.
fn start_second(code: &mut CodeAssembler, second: &[u8]) -> Result<(), GuestError> {
    for (address, byte) in (AP_START.0..).zip(second) {
        write_register(code, address, *byte)?;
    }
    // To the processor of APIC id 1: INIT, then its start, twice, as the SDM's section 9.4.4 has
    // it. Waiting in between is for processors of metal.
    for command in [0x4500, 0x4600 | AP_START.1, 0x4600 | AP_START.1] {
        code.mov(dword_ptr(ICR.1), 1 << 24)?;
        code.mov(dword_ptr(ICR.0), command)?;
    }
    Ok(())
}

/// Writes a text, and lets the second processor write another.
pub fn two_processors(first: &str, second: &str) -> Image {
    assemble(|code| {
        print(code, first)?;
        start_second(code, &real_mode_print(second))?;
        spin(code)
    })
}

/// Writes more than a pipe holds. Once that has filled one, the second processor resets the machine,
/// which then has a triple fault, which shows without output; and then writes a text.
pub fn reset_while_held_up(then: &str) -> Image {
    let mut second = vec![0x31, 0xc0, 0x8e, 0xd8]; // xor ax, ax; mov ds, ax
    // wait: cmp dword [SHARED], PIPE_FULL; jb wait
    second.extend([0x66, 0x81, 0x3e]);
    second.extend(SHARED.to_le_bytes());
    second.extend(PIPE_FULL.to_le_bytes());
    second.extend([0x72, 0xf5]);
    // mov ecx, 0x10000; wait: dec ecx; jnz wait
    second.extend([0x66, 0xb9, 0x00, 0x00, 0x01, 0x00, 0x66, 0x49, 0x75, 0xfc]);
    second.extend([0xb0, I8042_RESET.1, 0xe6, 0x64]); // mov al, RESET; out 0x64, al
    second.extend([0xfa, 0xf4, 0xeb, 0xfc]); // cli; hlt; jmp to the cli
    assemble(|code| {
        let mut flood = code.create_label();
        let (mut second_time, mut third_time) = (code.create_label(), code.create_label());
        code.inc(dword_ptr(KEPT))?;
        code.cmp(dword_ptr(KEPT), 2)?;
        code.je(second_time)?;
        code.ja(third_time)?;
        code.mov(dword_ptr(u32::from(SHARED)), 0)?;
        start_second(code, &second)?;
        code.mov(dx, i32::from(COM1))?;
        code.mov(al, i32::from(b'x'))?;
        code.set_label(&mut flood)?;
        code.out(dx, al)?;
        code.inc(dword_ptr(u32::from(SHARED)))?;
        code.jmp(flood)?;
        code.set_label(&mut second_time)?;
        triple_fault(code)?;
        code.set_label(&mut third_time)?;
        print(code, then)?;
        spin(code)
    })
}

/// Firmware of 64 KiB that writes a text from a processor's first instruction on.
pub fn firmware(text: &str) -> Vec<u8> {
    let mut image = vec![0; 64 << 10];
    let code = real_mode_print(text);
    image[..code.len()].copy_from_slice(&code);
    // At the reset vector, 16 bytes before the end: jmp to offset 0 of the segment.
    let vector = image.len() - 16;
    image[vector..vector + 3].copy_from_slice(&[0xe9, 0x0d, 0x00]);
    image
}
