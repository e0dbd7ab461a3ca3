//! The device models a guest sees, and the backends behind them.
//!
//! Each device has a folder: `spec` names the registers and bits and says where they come from, the
//! behaviour is a plain struct that knows nothing of KVM, buses or other devices, and `mod` joins
//! them. A model is given accesses and answers with values and effects:
//!
//! * `read(offset, &mut data)` and `write(offset, &data)` take an access as the guest made it:
//!   every offset and every length is defined, and none panics.
//! * What a device does to the outside (transmit a byte, reset the machine, deliver an MSI) is
//!   returned, or handed to a closure where one access can do several such things. The caller
//!   carries it out, after releasing whatever lock it holds on the model.
//! * An interrupt line is a level, to be asked for after each access.
//!
//! Devices with byte-wide registers take a wider access apart into byte accesses at consecutive
//! offsets, lowest first, as the ISA bus does for an 8-bit device.

pub mod debug_exit;
pub mod debugcon;
pub mod ged;
pub mod i8042;
pub mod ioapic;
pub mod mc146818rtc;
pub mod pvpanic;
pub mod serial;
