//! One of each kind of type and property, in an author's spelling.
#![deny(warnings)]

use std::sync::Arc;

use qom_core::{
    Children, Computed, Configuration, Link, Live, Object, PlanError, PropertyEnum, Size,
    qom_interface, qom_type,
};

/// The class of everything that a guest sees.
#[qom_type(abstract, secure, parent = Object, boundary(guest), category = "Misc devices")]
pub trait Device: Object {
    /// How many there are.
    #[property(default = 1, range = 1..=8)]
    fn count(&self) -> u32;

    /// The bus that it is on.
    #[property(link = dyn Bus)]
    fn bus(&self) -> Option<Arc<dyn Bus>>;
}

/// The class of buses, which links back to devices.
#[qom_type(abstract, parent = Object, unstable, new_category = "Buses")]
pub trait Bus: Object {
    /// The device that owns the bus.
    #[property(link = dyn Device, required)]
    fn owner(&self) -> Option<Arc<dyn Device>>;
}

/// Something that can be unplugged.
#[qom_interface(insecure, reason = "Nobody tried.", boundary(management), deprecated = "unplug by hand")]
pub trait Hotplug {
    /// Unplugs it.
    fn unplug(&self);
}

/// How data is echoed.
#[derive(Clone, Copy, Debug, Default, PropertyEnum)]
pub enum Echo {
    /// Not at all.
    #[default]
    Off,
    /// After each line.
    LineWise,
}

/// Facts that whoever knows the class can look up.
#[derive(Debug)]
pub struct Facts {
    /// Identifier of the vendor.
    pub vendor: u16,
}

static FACTS: Facts = Facts { vendor: 0x1af4 };

const LAST_PORT: u16 = 0xfff8;
const PAGE: Size = Size(4096);
const LARGEST: u64 = 1 << 20;

/// A serial port.
#[qom_type(
    insecure,
    reason = "It is an example.",
    name = "ui-serial",
    parent = Device,
    interfaces(Hotplug),
    boundary(client, file),
    category = "Input devices",
    deprecated = "use another",
    unstable,
    children = children,
    class_data = FACTS,
    crate = ::qom_core
)]
#[derive(Debug)]
pub struct Serial {
    /// First port.
    #[property(required, range = 0..=LAST_PORT)]
    iobase: u16,
    /// How data is echoed.
    #[property(insecure, reason = "It echoes.")]
    echo: Echo,
    /// Baud rate.
    #[property(live, default = 9600, unstable, deprecated = "set the speed", insecure_if(0, 1, reason = "It is slow."))]
    rate: Live<u32>,
    /// What is sent first.
    #[property(name = "first-words", default = "hello", insecure_when = suspicious, reason = "It is rude.")]
    greeting: String,
    /// Bytes of the buffer.
    #[property(default = Size(4096), range = PAGE..=Size(LARGEST), insecure_when(suspicious, reason = "It is big."))]
    buffer_size: Size,
    #[property(description = "Twice the rate", get = Self::twice)]
    twice: Computed<u64>,
    /// Its twin.
    #[property(link = dyn Device)]
    twin: Link<dyn Device>,
    /// Not there.
    #[cfg(any())]
    #[property(default = Absent::new(), range = 1..=5)]
    absent: Absent,
    sent: Vec<u8>,
}

/// A type with no properties.
#[qom_type(parent = Object)]
#[derive(Debug)]
pub struct Exit;

impl Serial {
    fn twice(&self) -> u64 {
        2 * u64::from(self.rate.get())
    }

    /// Everything that it holds.
    pub fn parts(&self) -> (u16, Echo, &str, Size, Option<&Arc<dyn Device>>, &[u8]) {
        (self.iobase, self.echo, &self.greeting, self.buffer_size, self.twin.get(), &self.sent)
    }
}

impl Device for Serial {}
impl Hotplug for Serial {
    fn unplug(&self) {}
}

fn suspicious(_: &Configuration<'_>) -> Result<bool, PlanError> {
    Ok(true)
}

fn children(_: &Configuration<'_>, _: &mut Children) -> Result<(), PlanError> {
    Ok(())
}

fn main() {}
