//! Ports, registers and bits of the MC146818 real-time clock as the PC has it.
//!
//! Sources: Motorola, *MC146818A Real-Time Clock Plus RAM*, 1984: address map, tables "Time,
//! Calendar, and Alarm Data Modes" and "Periodic Interrupt Rate", sections "Register A" to
//! "Register D" and "Update Cycle". The ports and the 128 bytes are those of the PC AT and of Intel's
//! chip sets (*82371AB PIIX4*, April 1997, section "RTC"). The century's place is what the firmware
//! tables name (ACPI specification 5.2.9, FADT field CENTURY).

/// The index port's address; the data port is the next.
pub const DEFAULT_IOBASE: u16 = 0x70;
/// Ports: index and data.
pub const PORT_COUNT: u8 = 2;
/// The interrupt line (*PC AT Technical Reference*, "System Interrupts").
pub const DEFAULT_IRQ: u8 = 8;
/// Plug and Play identifier of a PC AT's real-time clock (*Plug and Play BIOS Specification*, device
/// identifiers: PNP0Bxx, real-time clocks).
pub const HARDWARE_ID: &str = "PNP0B00";
/// Offset of the index port (write-only; bit 7 masks NMIs, which is the board's affair).
pub const INDEX: u64 = 0;
/// Offset of the data port.
pub const DATA: u64 = 1;
/// The index port's bits that select a register.
pub const INDEX_MASK: u8 = 0x7f;

/// Bytes of registers and memory.
pub const CMOS_SIZE: usize = 128;

/// Seconds, 0 to 59.
pub const SECONDS: u8 = 0x00;
/// Alarm: seconds.
pub const SECONDS_ALARM: u8 = 0x01;
/// Minutes, 0 to 59.
pub const MINUTES: u8 = 0x02;
/// Alarm: minutes.
pub const MINUTES_ALARM: u8 = 0x03;
/// Hours, 0 to 23, or 1 to 12 with [`HOURS_PM`].
pub const HOURS: u8 = 0x04;
/// Alarm: hours.
pub const HOURS_ALARM: u8 = 0x05;
/// Day of the week, 1 (Sunday) to 7.
pub const DAY_OF_WEEK: u8 = 0x06;
/// Day of the month, 1 to 31.
pub const DAY_OF_MONTH: u8 = 0x07;
/// Month, 1 to 12.
pub const MONTH: u8 = 0x08;
/// Year of the century, 0 to 99.
pub const YEAR: u8 = 0x09;
/// Register A.
pub const REGISTER_A: u8 = 0x0a;
/// Register B.
pub const REGISTER_B: u8 = 0x0b;
/// Register C.
pub const REGISTER_C: u8 = 0x0c;
/// Register D.
pub const REGISTER_D: u8 = 0x0d;
/// Century, 0 to 99; memory to the chip, kept up to date here.
pub const CENTURY: u8 = 0x32;

/// Hours, in the 12-hour format: afternoon.
pub const HOURS_PM: u8 = 1 << 7;
/// Alarm values from here on match any time.
pub const ALARM_DONT_CARE: u8 = 0xc0;

/// A: an update cycle is under way or about to start (read-only).
pub const A_UPDATE_IN_PROGRESS: u8 = 1 << 7;
/// A: the divider's select bits.
pub const A_DIVIDER: u8 = 0b111 << 4;
/// A: the divider runs from the PC's 32768 Hz crystal.
pub const A_DIVIDER_32KHZ: u8 = 0b010 << 4;
/// A: with these two bits set, whatever the third is, the divider is held in reset.
pub const A_DIVIDER_RESET: u8 = 0b110 << 4;
/// A: the periodic interrupt's rate; see [`period_ticks`].
pub const A_RATE: u8 = 0x0f;
/// A after power-on, as PC firmware leaves it: running, 1024 Hz.
pub const A_DEFAULT: u8 = A_DIVIDER_32KHZ | 0x06;

/// B: time is set by the guest, no update cycles happen.
pub const B_SET: u8 = 1 << 7;
/// B: periodic interrupt enable.
pub const B_PERIODIC: u8 = 1 << 6;
/// B: alarm interrupt enable.
pub const B_ALARM: u8 = 1 << 5;
/// B: update-ended interrupt enable.
pub const B_UPDATE_ENDED: u8 = 1 << 4;
/// B: square wave enable; the pin isn't wired on a PC.
pub const B_SQUARE_WAVE: u8 = 1 << 3;
/// B: time and alarm are binary rather than BCD.
pub const B_BINARY: u8 = 1 << 2;
/// B: hours are in the 24-hour format.
pub const B_24_HOURS: u8 = 1 << 1;
/// B: daylight saving; not modelled, operating systems have better rules.
pub const B_DAYLIGHT_SAVING: u8 = 1 << 0;
/// B after power-on, as PC firmware leaves it: BCD, 24 hours.
pub const B_DEFAULT: u8 = B_24_HOURS;

/// C: one of the flags is set whose interrupt B enables.
pub const C_INTERRUPT: u8 = 1 << 7;
/// C: the periodic interrupt's flag. The flags' bits are those of B's enables.
pub const C_PERIODIC: u8 = B_PERIODIC;
/// C: the alarm's flag.
pub const C_ALARM: u8 = B_ALARM;
/// C: the update-ended flag.
pub const C_UPDATE_ENDED: u8 = B_UPDATE_ENDED;
/// C: all three flags.
pub const C_FLAGS: u8 = C_PERIODIC | C_ALARM | C_UPDATE_ENDED;

/// D: memory and time are valid; always.
pub const D_VALID: u8 = 1 << 7;

/// Ticks a second of the PC's crystal.
pub const TICKS_PER_SECOND: u16 = 32768;
/// Nanoseconds before an update cycle at which register A announces it (t_BUC, 244 µs).
pub const UPDATE_ANNOUNCED_NS: u32 = 244_000;
/// Nanoseconds from the divider's release to the first update cycle.
pub const DIVIDER_RELEASE_NS: u32 = 500_000_000;

/// The periodic interrupt's period in ticks of the crystal, if it isn't off.
///
/// Rates 1 and 2 would be faster than the divider can give from 32768 Hz, and repeat 8 and 9.
pub fn period_ticks(register_a: u8) -> Option<u16> {
    match register_a & A_RATE {
        0 => None,
        rate @ 1..=2 => Some(1 << (rate + 6)),
        rate => Some(1 << (rate - 1)),
    }
}

/// CMOS: conventional memory in KiB, low byte, then high byte.
pub const CMOS_BASE_MEMORY: u8 = 0x15;
/// CMOS: memory above 1 MiB in KiB, low byte, then high byte.
pub const CMOS_EXTENDED_MEMORY: u8 = 0x17;
/// CMOS: memory above 1 MiB in KiB as the power-on test found it, low byte, then high byte.
pub const CMOS_EXTENDED_MEMORY_FOUND: u8 = 0x30;
/// CMOS: memory between 16 MiB and 4 GiB in units of 64 KiB, low byte, then high byte. This and
/// [`CMOS_MEMORY_ABOVE_4G`] are where SeaBIOS looks.
pub const CMOS_MEMORY_ABOVE_16M: u8 = 0x34;
/// CMOS: memory above 4 GiB in units of 64 KiB, three bytes, the lowest first.
pub const CMOS_MEMORY_ABOVE_4G: u8 = 0x5b;
