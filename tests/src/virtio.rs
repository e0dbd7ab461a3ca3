//! A small virtio driver over the qtest protocol (virtio 1.2): it sets up a device on an MMIO transport
//! and fills its queues, rightly or as a hostile guest does.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::qtest::Qtest;

/// How long a device may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Registers of the transport (section 4.2.2).
pub mod register {
    #![allow(missing_docs)]

    pub const MAGIC_VALUE: u64 = 0x000;
    pub const VERSION: u64 = 0x004;
    pub const DEVICE_ID: u64 = 0x008;
    pub const VENDOR_ID: u64 = 0x00c;
    pub const DEVICE_FEATURES: u64 = 0x010;
    pub const DEVICE_FEATURES_SEL: u64 = 0x014;
    pub const DRIVER_FEATURES: u64 = 0x020;
    pub const DRIVER_FEATURES_SEL: u64 = 0x024;
    pub const QUEUE_SEL: u64 = 0x030;
    pub const QUEUE_NUM_MAX: u64 = 0x034;
    pub const QUEUE_NUM: u64 = 0x038;
    pub const QUEUE_READY: u64 = 0x044;
    pub const QUEUE_NOTIFY: u64 = 0x050;
    pub const INTERRUPT_STATUS: u64 = 0x060;
    pub const INTERRUPT_ACK: u64 = 0x064;
    pub const STATUS: u64 = 0x070;
    pub const QUEUE_DESC_LOW: u64 = 0x080;
    pub const QUEUE_DRIVER_LOW: u64 = 0x090;
    pub const QUEUE_DEVICE_LOW: u64 = 0x0a0;
    pub const SHM_SEL: u64 = 0x0ac;
    pub const SHM_LEN_LOW: u64 = 0x0b0;
    pub const SHM_BASE_HIGH: u64 = 0x0bc;
    pub const CONFIG_GENERATION: u64 = 0x0fc;
    pub const CONFIG: u64 = 0x100;
}

/// Bits of the device status (section 2.1).
pub mod status {
    #![allow(missing_docs)]

    pub const ACKNOWLEDGE: u64 = 1;
    pub const DRIVER: u64 = 2;
    pub const DRIVER_OK: u64 = 4;
    pub const FEATURES_OK: u64 = 8;
    pub const NEEDS_RESET: u64 = 64;
    pub const FAILED: u64 = 128;
    /// Of a device that is driven.
    pub const DRIVEN: u64 = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
}

/// Features of queues (section 6).
pub mod feature {
    #![allow(missing_docs)]

    pub const INDIRECT_DESC: u64 = 1 << 28;
    pub const EVENT_IDX: u64 = 1 << 29;
    pub const VERSION_1: u64 = 1 << 32;
}

/// Flags of a descriptor (section 2.7.5).
pub mod flag {
    #![allow(missing_docs)]

    pub const NEXT: u16 = 1;
    pub const WRITE: u16 = 2;
    pub const INDIRECT: u16 = 4;
}

/// Where the first transport of the microvm board is.
const FIRST: u64 = 0xfeb0_0000;
/// Bytes from one to the next.
const STRIDE: u64 = 0x200;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    base: u64,
}

/// A descriptor, as it stands in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Where its buffer is.
    pub address: u64,
    /// How many bytes that has.
    pub length: u32,
    /// Of [`flag`].
    pub flags: u16,
    /// The one that follows.
    pub next: u16,
}

impl Descriptor {
    /// A buffer for the device to write to.
    pub const fn writable(address: u64, length: u32) -> Self {
        Self { address, length, flags: flag::WRITE, next: 0 }
    }

    /// A buffer for the device to read.
    pub const fn readable(address: u64, length: u32) -> Self {
        Self { address, length, flags: 0, next: 0 }
    }

    /// A table of descriptors.
    pub const fn table(address: u64, length: u32) -> Self {
        Self { address, length, flags: flag::INDIRECT, next: 0 }
    }

    /// With another behind it.
    #[must_use]
    pub const fn then(mut self, next: u16) -> Self {
        self.flags |= flag::NEXT;
        self.next = next;
        self
    }

    fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.address.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.flags.to_le_bytes());
        bytes[14..].copy_from_slice(&self.next.to_le_bytes());
        bytes
    }
}

impl Transport {
    /// That of the board with that number.
    pub const fn number(index: u64) -> Self {
        Self { base: FIRST + index * STRIDE }
    }

    /// The address of a register.
    pub const fn at(self, register: u64) -> u64 {
        self.base + register
    }

    /// Reads a register.
    #[track_caller]
    pub fn read(self, machine: &mut Qtest, register: u64) -> u64 {
        machine.number(&format!("readl {:#x}", self.at(register)))
    }

    /// Writes a register.
    #[track_caller]
    pub fn write(self, machine: &mut Qtest, register: u64, value: u64) {
        machine.ok(&format!("writel {:#x} {value:#x}", self.at(register)));
    }

    /// All features that the device has.
    #[track_caller]
    pub fn features(self, machine: &mut Qtest) -> u64 {
        let mut half = |which| {
            self.write(machine, register::DEVICE_FEATURES_SEL, which);
            self.read(machine, register::DEVICE_FEATURES)
        };
        half(0) | half(1) << 32
    }

    /// Says which features the driver wants.
    #[track_caller]
    pub fn want(self, machine: &mut Qtest, features: u64) {
        for (which, bits) in [(0, features & 0xffff_ffff), (1, features >> 32)] {
            self.write(machine, register::DRIVER_FEATURES_SEL, which);
            self.write(machine, register::DRIVER_FEATURES, bits);
        }
    }

    /// Resets the device and negotiates those features. The status then.
    #[track_caller]
    pub fn negotiate(self, machine: &mut Qtest, features: u64) -> u64 {
        self.write(machine, register::STATUS, 0);
        assert_eq!(self.read(machine, register::STATUS), 0, "it has been reset");
        self.write(machine, register::STATUS, status::ACKNOWLEDGE);
        self.write(machine, register::STATUS, status::ACKNOWLEDGE | status::DRIVER);
        self.want(machine, features);
        let status = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        self.write(machine, register::STATUS, status);
        self.read(machine, register::STATUS)
    }

    /// Sets a queue up. Whether it is ready then.
    #[track_caller]
    pub fn set_up(self, machine: &mut Qtest, queue: &Queue) -> bool {
        self.write(machine, register::QUEUE_SEL, queue.index);
        self.write(machine, register::QUEUE_NUM, queue.size.into());
        for (register, address) in [
            (register::QUEUE_DESC_LOW, queue.descriptors),
            (register::QUEUE_DRIVER_LOW, queue.available),
            (register::QUEUE_DEVICE_LOW, queue.used),
        ] {
            self.write(machine, register, address & 0xffff_ffff);
            self.write(machine, register + 4, address >> 32);
        }
        self.write(machine, register::QUEUE_READY, 1);
        self.read(machine, register::QUEUE_READY) == 1
    }

    /// Negotiates those features and sets the device to work with one queue.
    ///
    /// # Panics
    /// If the device does not take part.
    #[track_caller]
    pub fn drive(self, machine: &mut Qtest, features: u64, queue: &Queue) {
        self.drive_all(machine, features, &[queue]);
    }

    /// Negotiates those features and sets the device to work with several queues.
    ///
    /// # Panics
    /// If the device does not take part.
    #[track_caller]
    pub fn drive_all(self, machine: &mut Qtest, features: u64, queues: &[&Queue]) {
        let status = self.negotiate(machine, features | feature::VERSION_1);
        assert_ne!(status & status::FEATURES_OK, 0, "the features hold");
        for queue in queues {
            queue.clear(machine);
            assert!(self.set_up(machine, queue), "the queue holds");
        }
        self.write(machine, register::STATUS, status::DRIVEN);
        assert_eq!(self.read(machine, register::STATUS), status::DRIVEN);
    }

    /// Tells of something in a queue.
    #[track_caller]
    pub fn notify(self, machine: &mut Qtest, queue: &Queue) {
        self.write(machine, register::QUEUE_NOTIFY, queue.index);
    }

    /// Waits until the device says that it needs a reset.
    #[track_caller]
    pub fn wait_until_broken(self, machine: &mut Qtest) {
        wait("the device to need a reset", || {
            self.read(machine, register::STATUS) & status::NEEDS_RESET != 0
        });
    }

    /// Waits for reasons of an interrupt, and acknowledges them.
    #[track_caller]
    pub fn take_interrupt(self, machine: &mut Qtest) -> u64 {
        let mut reasons = 0;
        wait("an interrupt", || {
            reasons = self.read(machine, register::INTERRUPT_STATUS);
            reasons != 0
        });
        self.write(machine, register::INTERRUPT_ACK, reasons);
        reasons
    }
}

/// Waits for something that the device does on a thread of its own.
#[track_caller]
pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A queue as the driver has it.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its number.
    pub index: u64,
    /// Its size, in descriptors.
    pub size: u16,
    /// Where its descriptors are.
    pub descriptors: u64,
    /// Where its ring of available chains is.
    pub available: u64,
    /// Where its ring of used chains is.
    pub used: u64,
    /// How many chains were made available.
    pub offered: u16,
    /// How many were seen used.
    pub seen: u16,
}

impl Queue {
    /// One of that size with its parts a page from each other, in three pages from `address` on.
    pub const fn new(index: u64, size: u16, address: u64) -> Self {
        Self {
            index,
            size,
            descriptors: address,
            available: address + 0x1000,
            used: address + 0x2000,
            offered: 0,
            seen: 0,
        }
    }

    /// Nothing is in it.
    fn clear(&self, machine: &mut Qtest) {
        for address in [self.descriptors, self.available, self.used] {
            machine.ok(&format!("memset {address:#x} 0x1000 0"));
        }
    }

    /// Begins again, as after a reset.
    pub const fn restart(&mut self) {
        self.offered = 0;
        self.seen = 0;
    }

    /// Writes a descriptor into a table.
    #[track_caller]
    pub fn write_at(machine: &mut Qtest, table: u64, index: u16, descriptor: Descriptor) {
        let digits: String = descriptor.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let address = table + u64::from(index) * 16;
        machine.ok(&format!("write {address:#x} 16 0x{digits}"));
    }

    /// Writes a descriptor into its own table.
    #[track_caller]
    pub fn describe(&self, machine: &mut Qtest, index: u16, descriptor: Descriptor) {
        Self::write_at(machine, self.descriptors, index, descriptor);
    }

    /// Makes the chain available that begins there.
    #[track_caller]
    pub fn offer(&mut self, machine: &mut Qtest, head: u16) {
        let entry = self.available + 4 + u64::from(self.offered % self.size) * 2;
        machine.ok(&format!("writew {entry:#x} {head}"));
        self.offered = self.offered.wrapping_add(1);
        machine.ok(&format!("writew {:#x} {}", self.available + 2, self.offered));
    }

    /// Says that no interrupt is wanted, or that one is.
    #[track_caller]
    pub fn want_interrupts(&self, machine: &mut Qtest, wanted: bool) {
        machine.ok(&format!("writew {:#x} {}", self.available, u16::from(!wanted)));
    }

    /// Says after how many used chains an interrupt is wanted, with [`feature::EVENT_IDX`].
    #[track_caller]
    pub fn want_interrupt_after(&self, machine: &mut Qtest, count: u16) {
        let at = self.available + 4 + u64::from(self.size) * 2;
        machine.ok(&format!("writew {at:#x} {}", count.wrapping_sub(1)));
    }

    /// How many chains the device has used.
    #[track_caller]
    pub fn used_count(&self, machine: &mut Qtest) -> u64 {
        machine.number(&format!("readw {:#x}", self.used + 2))
    }

    /// Waits for the next used chain: its head, and how many bytes the device wrote.
    #[track_caller]
    pub fn take_used(&mut self, machine: &mut Qtest) -> (u64, u64) {
        let seen = u64::from(self.seen);
        wait("a used chain", || self.used_count(machine) != seen);
        let entry = self.used + 4 + u64::from(self.seen % self.size) * 8;
        self.seen = self.seen.wrapping_add(1);
        let mut word = |address| machine.number(&format!("readl {address:#x}"));
        (word(entry), word(entry + 4))
    }
}
