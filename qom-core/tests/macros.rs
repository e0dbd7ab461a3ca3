//! What the macros make of types that are written as authors write them.

use std::sync::Arc;

use qom_core::{
    Boundaries, Boundary, ClassType, Computed, Live, Object, PropertyEnum, SecurityStatus, Size,
    TypeKind, qom_interface, qom_type,
};

/// The class of everything that a guest sees.
///
/// More about it, which is no description.
#[qom_type(abstract, parent = Object, boundary(guest), category = "Misc devices")]
trait Device: Object {}

/// Something that can be unplugged.
#[qom_interface]
trait Hotplug {
    fn unplug(&self) -> u32;
}

/// The class of devices on an ISA bus.
#[qom_type(abstract, parent = Device)]
trait IsaDevice: Device {
    /// First port of the device.
    #[property(default = 0x3f8, range = 0..=0xffff)]
    fn iobase(&self) -> u16;
}

/// How data is echoed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
enum Echo {
    #[default]
    Off,
    LineWise,
    #[property(name = "x86_64")]
    X86,
}

/// A serial port.
#[qom_type(secure, name = "test-serial", parent = IsaDevice, interfaces(Hotplug), boundary(client, file))]
#[derive(Debug)]
struct Serial {
    /// How data is echoed.
    #[property]
    echo: Echo,
    /// Baud rate.
    #[property(live, default = 9600, range = 1..=115_200)]
    rate: Live<u32>,
    /// What is sent first.
    #[property(default = "hello", insecure_if("rm", reason = "It deletes."))]
    greeting: String,
    #[property(description = "Bytes of the buffer", default = Size(4096))]
    buffer_size: Size,
    /// Twice the rate.
    #[property(get = Self::twice)]
    twice: Computed<u64>,
    sent: Vec<u8>,
}

impl Serial {
    fn twice(&self) -> u64 {
        u64::from(self.rate.get()) * 2 + self.sent.len() as u64
    }
}

impl Device for Serial {}
impl IsaDevice for Serial {}
impl Hotplug for Serial {
    fn unplug(&self) -> u32 {
        self.rate.get()
    }
}

#[test]
fn it_compiles() {
    assert_eq!(Serial::INFO.name, "test-serial");
}
