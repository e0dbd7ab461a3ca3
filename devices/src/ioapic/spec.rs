//! Registers and bits of the I/O APIC, and of the messages that it sends.
//!
//! Sources: Intel, *82093AA I/O Advanced Programmable Interrupt Controller*, May 1996 (290566-001),
//! section 3 "Register description"; for the EOI register, which came with version 0x20, Intel, *I/O
//! Controller Hub 9 (ICH9) Family Datasheet*, August 2008 (316972), "EOIR—EOI Register"; for
//! messages, Intel, *Software Developer's Manual*, volume 3A, sections "Message Address Register
//! Format" and "Message Data Register Format".

/// Usual address of the first I/O APIC.
pub const DEFAULT_BASE: u64 = 0xfec0_0000;
/// Bytes of address space.
pub const WINDOW_SIZE: u64 = 0x1000;
/// Interrupt pins.
pub const PIN_COUNT: u8 = 24;

/// I/O register select: which register the window shows (bits 7:0).
pub const IOREGSEL: u64 = 0x00;
/// I/O window.
pub const IOWIN: u64 = 0x10;
/// End of interrupt: a vector (bits 7:0), write-only.
pub const IOEOI: u64 = 0x40;

/// Index of the identification register.
pub const INDEX_ID: u8 = 0x00;
/// Index of the version register.
pub const INDEX_VERSION: u8 = 0x01;
/// Index of the arbitration register.
pub const INDEX_ARBITRATION: u8 = 0x02;
/// Index of the redirection table: entry n's low half at 2 n from here, its high half next.
pub const INDEX_REDIRECTION: u8 = 0x10;

/// Where the id lies in the identification and arbitration registers.
pub const ID_SHIFT: u32 = 24;
/// The id's bits.
pub const ID_MASK: u32 = 0x0f;

/// The version that has the EOI register.
pub const VERSION: u32 = 0x20;
/// Where the version register holds the number of the last pin.
pub const VERSION_LAST_PIN_SHIFT: u32 = 16;

/// Entry: the interrupt's vector.
pub const ENTRY_VECTOR: u64 = 0xff;
/// Entry: delivery mode, one of the `DELIVERY_…` values.
pub const ENTRY_DELIVERY_MODE_SHIFT: u32 = 8;
/// Entry: delivery mode's bits.
pub const ENTRY_DELIVERY_MODE: u64 = 0b111 << ENTRY_DELIVERY_MODE_SHIFT;
/// Entry: the destination is logical.
pub const ENTRY_LOGICAL: u64 = 1 << 11;
/// Entry: an interrupt was noticed but not yet sent (read-only).
pub const ENTRY_SEND_PENDING: u64 = 1 << 12;
/// Entry: the pin is active low.
pub const ENTRY_ACTIVE_LOW: u64 = 1 << 13;
/// Entry: a level interrupt was sent and not yet ended (read-only).
pub const ENTRY_REMOTE_IRR: u64 = 1 << 14;
/// Entry: the pin is level-triggered.
pub const ENTRY_LEVEL: u64 = 1 << 15;
/// Entry: the pin is masked.
pub const ENTRY_MASKED: u64 = 1 << 16;
/// Entry: where the destination lies.
pub const ENTRY_DESTINATION_SHIFT: u32 = 56;
/// Entry: the destination's bits.
pub const ENTRY_DESTINATION: u64 = 0xff << ENTRY_DESTINATION_SHIFT;
/// Entry: the bits that a guest can write.
pub const ENTRY_WRITABLE: u64 = ENTRY_VECTOR
    | ENTRY_DELIVERY_MODE
    | ENTRY_LOGICAL
    | ENTRY_ACTIVE_LOW
    | ENTRY_LEVEL
    | ENTRY_MASKED
    | ENTRY_DESTINATION;

/// Delivery mode: to all destinations.
pub const DELIVERY_FIXED: u8 = 0b000;
/// Delivery mode: to the destination that runs at the lowest priority.
pub const DELIVERY_LOWEST_PRIORITY: u8 = 0b001;
/// Delivery mode: system management interrupt.
pub const DELIVERY_SMI: u8 = 0b010;
/// Delivery mode: non-maskable interrupt.
pub const DELIVERY_NMI: u8 = 0b100;
/// Delivery mode: INIT.
pub const DELIVERY_INIT: u8 = 0b101;
/// Delivery mode: the vector comes from an 8259A.
pub const DELIVERY_EXTINT: u8 = 0b111;

/// Message address: what all of them start with.
pub const MSI_ADDRESS_BASE: u64 = 0xfee0_0000;
/// Message address: where the destination lies.
pub const MSI_ADDRESS_DESTINATION_SHIFT: u32 = 12;
/// Message address: redirection hint, one of the destinations is to be chosen.
pub const MSI_ADDRESS_REDIRECTION_HINT: u64 = 1 << 3;
/// Message address: the destination is logical.
pub const MSI_ADDRESS_LOGICAL: u64 = 1 << 2;
/// Message data: where the delivery mode lies.
pub const MSI_DATA_DELIVERY_MODE_SHIFT: u32 = 8;
/// Message data: the level is asserted, for level-triggered interrupts.
pub const MSI_DATA_ASSERT: u32 = 1 << 14;
/// Message data: the interrupt is level-triggered.
pub const MSI_DATA_LEVEL: u32 = 1 << 15;
