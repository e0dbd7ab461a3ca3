//! The guest of `palisade demo`: it uses each device of its board and checks what it reads.

use iced_x86::code_asm::{
    CodeAssembler, CodeLabel, al, byte_ptr, dword_ptr, dx, eax, ebx, ecx, esp,
};

use crate::{
    console::print,
    program::{GuestError, assemble_with_bss},
};

/// Index and data ports of the clock (Motorola MC146818A).
const CLOCK: u16 = 0x70;
/// Its register D, whose top bit says that time and memory are valid.
const CLOCK_VALID: u8 = 0x0d;
/// Its register A: rate in the low bits. The value is 32 kHz in, 1,024 interrupts a second out.
const CLOCK_RATE: (u8, u8) = (0x0a, 0x26);
/// Its register B: periodic interrupts on, binary numbers, 24 hours.
const CLOCK_INTERRUPTS: (u8, u8) = (0x0b, 0x46);
/// Its register C: reading it ends an interrupt.
const CLOCK_FLAGS: u8 = 0x0c;
/// Status port of the keyboard controller (Intel 8042), with nothing to read at the start.
const KEYBOARD_STATUS: u16 = 0x64;
/// Events that the port of pvpanic tells it takes: panicked, crash loaded, shut down.
const PVPANIC: (u16, u8) = (0x505, 0x07);
/// What the debug console's port reads as.
const DEBUGCON: (u16, u8) = (0xe9, 0xe9);
/// Index and data registers of the I/O APIC (Intel 82093AA, section 3.2).
const IOAPIC: (u32, u32) = (0xfec0_0000, 0xfec0_0010);
/// Its version register, and its low byte and number of the last entry: 24 pins.
const IOAPIC_VERSION: (u32, u32) = (1, 0x0017_0020);
/// Entry of the clock's pin, low half; the high half, the destination, is processor 0 at reset.
const CLOCK_ENTRY: u32 = 0x10 + 2 * 8;
/// Local APIC (Intel SDM volume 3, section 11.4.1): spurious-interrupt vector, end of interrupt.
const LOCAL_APIC: (u32, u32) = (0xfee0_00f0, 0xfee0_00b0);
/// Its software-enable bit, with vector 0xff for spurious interrupts.
const LOCAL_APIC_ON: u32 = 0x1ff;
/// Vector that the clock interrupts by.
const VECTOR: u8 = 0x30;
/// Selector of the code segment that PVH starts with; a table of our own defines it anew.
const CODE_SELECTOR: u16 = 0x10;
/// How many interrupts the guest waits for.
const TICKS: u32 = 3;
/// Sleep control register of the power device, and "sleep now, type 5" for it (ACPI 6.5, section
/// 4.8.3.7).
const POWER: (u32, u32) = (0xfea0_0000, 0x34);
/// Zeroed memory behind the code: descriptor tables, stack.
const SPACE: u32 = 0x3000;

/// The guest: it tells on the serial port what it checked, and switches itself off. A check that
/// fails is told as `FAILED` and ends it there, by a triple fault.
///
/// # Errors
/// None but the assembler's.
pub fn demo() -> Result<Vec<u8>, GuestError> {
    assemble_with_bss(SPACE, |code, space| {
        let mut failed = code.create_label();
        let tables = Tables::below(space);
        code.mov(esp, tables.stack)?;

        print(code, "guest: hello from a guest that this program assembled itself\n")?;
        expect_port(code, failed, "clock has valid time", |code| {
            read_clock(code, CLOCK_VALID)?;
            code.and(al, 0x80)?;
            code.cmp(al, 0x80)?;
            Ok(())
        })?;
        expect_port(code, failed, "keyboard controller has nothing to say", |code| {
            code.mov(dx, i32::from(KEYBOARD_STATUS))?;
            code.in_(al, dx)?;
            code.test(al, 1)?;
            Ok(())
        })?;
        for ((port, value), what) in [
            (PVPANIC, "pvpanic knows its three events"),
            (DEBUGCON, "debug console answers, and takes a line"),
        ] {
            expect_port(code, failed, what, |code| {
                code.mov(dx, i32::from(port))?;
                code.in_(al, dx)?;
                code.cmp(al, i32::from(value))?;
                Ok(())
            })?;
        }
        code.mov(dx, i32::from(DEBUGCON.0))?;
        for byte in b"debug console: hello\n" {
            code.mov(al, i32::from(*byte))?;
            code.out(dx, al)?;
        }
        expect_port(code, failed, "I/O APIC has 24 pins", |code| {
            code.mov(dword_ptr(IOAPIC.0), IOAPIC_VERSION.0)?;
            code.mov(eax, dword_ptr(IOAPIC.1))?;
            code.cmp(eax, IOAPIC_VERSION.1)?;
            Ok(())
        })?;

        let wait = code.create_label();
        take_interrupts(code, &tables, wait)?;
        wait_for_ticks(code, wait)?;
        print(code, "guest: checked: the clock interrupts the processor\n")?;
        print(code, "guest: all is well; switching off\n")?;
        code.mov(eax, POWER.1)?;
        code.mov(byte_ptr(POWER.0), al)?;
        let mut end = code.create_label();
        code.set_label(&mut end)?;
        code.jmp(end)?;

        code.set_label(&mut failed)?;
        print(code, "guest: FAILED\n")?;
        code.ud2()?;
        Ok(())
    })
}

/// Where the guest's tables are in its zeroed memory.
struct Tables {
    gdt: u32,
    idt: u32,
    pointer: u32,
    stack: u32,
}

impl Tables {
    const fn below(space: u32) -> Self {
        Self { gdt: space, pointer: space + 0x100, idt: space + 0x800, stack: space + SPACE }
    }
}

/// Makes a check that leaves its answer in the zero flag, and tells that it held.
fn expect_port(
    code: &mut CodeAssembler,
    failed: CodeLabel,
    what: &str,
    check: impl FnOnce(&mut CodeAssembler) -> Result<(), GuestError>,
) -> Result<(), GuestError> {
    check(code)?;
    code.jne(failed)?;
    print(code, &format!("guest: checked: {what}\n"))
}

/// Reads a register of the clock into `al`.
fn read_clock(code: &mut CodeAssembler, register: u8) -> Result<(), GuestError> {
    code.mov(al, i32::from(register))?;
    code.out(i32::from(CLOCK), al)?;
    code.in_(al, i32::from(CLOCK + 1))?;
    Ok(())
}

fn write_clock(code: &mut CodeAssembler, (register, value): (u8, u8)) -> Result<(), GuestError> {
    for (port, byte) in [(CLOCK, register), (CLOCK + 1, value)] {
        code.mov(al, i32::from(byte))?;
        code.out(i32::from(port), al)?;
    }
    Ok(())
}

/// Writes a descriptor table entry of two words.
fn descriptor(code: &mut CodeAssembler, at: u32, low: u32, high: u32) -> Result<(), GuestError> {
    code.mov(dword_ptr(at), low)?;
    code.mov(dword_ptr(at + 4), high)?;
    Ok(())
}

/// Points limit and base of a table for `lgdt` or `lidt`.
fn table(code: &mut CodeAssembler, at: u32, limit: u32, base: u32) -> Result<(), GuestError> {
    // The limit has 16 bits, the base follows them.
    code.mov(dword_ptr(at), limit | base << 16)?;
    code.mov(dword_ptr(at + 4), base >> 16)?;
    Ok(())
}

/// Leads the clock's interrupt through I/O APIC and local APIC to a handler that counts it in `ebx`
/// and goes on at `wait`: some hosts can't execute a 32-bit interrupt return.
fn take_interrupts(
    code: &mut CodeAssembler,
    tables: &Tables,
    wait: CodeLabel,
) -> Result<(), GuestError> {
    // Flat code and data segments of 4 GiB, where PVH's selectors are (Intel SDM volume 3,
    // section 3.4.5).
    descriptor(code, tables.gdt + u32::from(CODE_SELECTOR), 0x0000_ffff, 0x00cf_9b00)?;
    descriptor(code, tables.gdt + u32::from(CODE_SELECTOR) + 8, 0x0000_ffff, 0x00cf_9300)?;
    table(code, tables.pointer, 0x1f, tables.gdt)?;
    code.lgdt(dword_ptr(tables.pointer))?;

    // A 32-bit interrupt gate (section 6.11): the handler's address in two halves.
    let gate = tables.idt + 8 * u32::from(VECTOR);
    // The call leaves the address of what follows it, which is the handler.
    let mut behind = code.create_label();
    code.call(behind)?;
    code.mov(esp, tables.stack)?;
    code.inc(ebx)?;
    read_clock(code, CLOCK_FLAGS)?;
    code.mov(dword_ptr(LOCAL_APIC.1), 0)?;
    code.jmp(wait)?;
    code.set_label(&mut behind)?;
    code.pop(eax)?;
    code.mov(ecx, eax)?;
    code.and(eax, 0xffff)?;
    code.or(eax, u32::from(CODE_SELECTOR) << 16)?;
    code.mov(dword_ptr(gate), eax)?;
    code.and(ecx, 0xffff_0000_u32)?;
    code.or(ecx, 0x8e00)?;
    code.mov(dword_ptr(gate + 4), ecx)?;
    table(code, tables.pointer, 0x7ff, tables.idt)?;
    code.lidt(dword_ptr(tables.pointer))?;

    code.mov(dword_ptr(LOCAL_APIC.0), LOCAL_APIC_ON)?;
    code.mov(dword_ptr(IOAPIC.0), CLOCK_ENTRY)?;
    code.mov(dword_ptr(IOAPIC.1), u32::from(VECTOR))?;
    write_clock(code, CLOCK_RATE)?;
    write_clock(code, CLOCK_INTERRUPTS)?;
    read_clock(code, CLOCK_FLAGS)
}

/// Sleeps until the clock has interrupted often enough. Each interrupt comes back to `wait`, with
/// interrupts off.
fn wait_for_ticks(code: &mut CodeAssembler, mut wait: CodeLabel) -> Result<(), GuestError> {
    let mut enough = code.create_label();
    code.xor(ebx, ebx)?;
    code.set_label(&mut wait)?;
    code.cmp(ebx, TICKS)?;
    code.jae(enough)?;
    code.sti()?;
    code.hlt()?;
    code.jmp(wait)?;
    code.set_label(&mut enough)?;
    Ok(())
}
