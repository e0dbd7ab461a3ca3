//! The differentiated system description table: processors, devices, how to power off.

use std::ops::Range;

use acpi_tables::Aml;
use acpi_tables::aml::{
    Device, EISAName, IO, Interrupt, Memory32Fixed, Name, Package, Path, ResourceTemplate, Scope,
};
use acpi_tables::sdt::Sdt;

use super::device::is_eisa_id;
use super::events::events;
use super::{AcpiDevice, AcpiPlatform, Polarity, Resource, Trigger};
use super::{OEM_ID, OEM_REVISION, OEM_TABLE_ID};

/// Bytes of a table's header (section 5.2.6).
const HEADER_SIZE: u32 = 36;
/// Revision from which integers have 64 bits (section 5.2.11.1).
const REVISION: u8 = 2;
/// Hardware identifier of a processor (section 8.4).
const PROCESSOR: &str = "ACPI0007";

/// The table for a platform that was checked.
pub(super) fn dsdt(platform: &AcpiPlatform) -> Sdt {
    let mut code = Vec::new();
    if let Some(sleep) = platform.sleep {
        // Section 7.4.2: the sleep types of the two registers of a platform that is not
        // hardware-reduced; a reduced one has the first. The rest is reserved.
        let zero = 0_u8;
        let types = Package::new(vec![&sleep.s5_type, &zero, &zero, &zero]);
        Name::new("_S5_".into(), &types).to_aml_bytes(&mut code);
    }
    let cpus: Vec<Encoded> = (0..platform.cpus()).map(cpu).collect();
    let devices: Vec<Encoded> = platform.devices.iter().map(device).collect();
    let children = cpus.iter().chain(&devices).map(|child| child as &dyn Aml).collect();
    Scope::new("\\_SB_".into(), children).to_aml_bytes(&mut code);

    let mut table = Sdt::new(*b"DSDT", HEADER_SIZE, REVISION, OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    table.append_slice(&code);
    table
}

/// An object in its encoding.
pub(super) struct Encoded(Vec<u8>);

impl Aml for Encoded {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        sink.vec(&self.0);
    }
}

impl Encoded {
    pub(super) fn new(object: &dyn Aml) -> Self {
        let mut bytes = Vec::new();
        object.to_aml_bytes(&mut bytes);
        Self(bytes)
    }
}

/// The n-th processor. Its `_UID` is that of its local APIC in the MADT.
fn cpu(index: u16) -> Encoded {
    let identifier = Name::new("_HID".into(), &PROCESSOR);
    let unique = Name::new("_UID".into(), &index);
    let name = Path::new(&AcpiPlatform::cpu_name(index));
    Encoded::new(&Device::new(name, vec![&identifier, &unique]))
}

/// A device's `_HID`.
pub(super) fn hardware_id(hardware_id: &str) -> Name {
    if is_eisa_id(hardware_id) {
        Name::new("_HID".into(), &EISAName::new(hardware_id))
    } else {
        Name::new("_HID".into(), &hardware_id.to_owned())
    }
}

/// A device with its identifiers and resources, and what it tells of.
fn device(device: &AcpiDevice) -> Encoded {
    let identifier = hardware_id(&device.hardware_id);
    let unique = Name::new("_UID".into(), &device.unique_id);
    let coherent = device.coherent.map(|coherent| Name::new("_CCA".into(), &u8::from(coherent)));
    let resources: Vec<Encoded> = device.resources.iter().map(resource).collect();
    let template =
        ResourceTemplate::new(resources.iter().map(|resource| resource as &dyn Aml).collect());
    let template = Name::new("_CRS".into(), &template);
    let mut children: Vec<&dyn Aml> = vec![&identifier, &unique];
    if let Some(coherent) = &coherent {
        children.push(coherent);
    }
    children.push(&template);
    let events = device.events.as_ref().map(events).unwrap_or_default();
    children.extend(events.iter().map(|event| event as &dyn Aml));
    Encoded::new(&Device::new(Path::new(&device.name), children))
}

/// A QWord address space descriptor of memory that a device takes up (section 6.4.3.5.1).
///
/// Written out here: the library's says that the device passes the range on to others.
fn wide_memory(range: &Range<u64>) -> Encoded {
    const DESCRIPTOR: u8 = 0x8a;
    const LENGTH: u16 = 43;
    const MEMORY: u8 = 0;
    /// Taken up, not passed on; minimum and maximum fixed.
    const CONSUMED_FIXED: u8 = 0b1101;
    /// Not cacheable, to be read and written.
    const READ_WRITE: u8 = 1;
    let mut bytes = vec![DESCRIPTOR];
    bytes.extend(LENGTH.to_le_bytes());
    bytes.extend([MEMORY, CONSUMED_FIXED, READ_WRITE]);
    let (granularity, translation) = (0, 0);
    let last = range.end.saturating_sub(1);
    let length = range.end.saturating_sub(range.start);
    for field in [granularity, range.start, last, translation, length] {
        bytes.extend(field.to_le_bytes());
    }
    Encoded(bytes)
}

/// A resource descriptor.
fn resource(resource: &Resource) -> Encoded {
    match resource {
        Resource::Memory(range) => {
            let length = range.end.saturating_sub(range.start);
            match (u32::try_from(range.start), u32::try_from(length)) {
                // Base and length of 32 bits each could still end past 4 GiB.
                (Ok(base), Ok(length)) if base.checked_add(length).is_some() => {
                    Encoded::new(&Memory32Fixed::new(true, base, length))
                }
                _ => wide_memory(range),
            }
        }
        Resource::Ports { start, count } => Encoded::new(&IO::new(*start, *start, 1, *count)),
        Resource::Interrupt { gsi, trigger, polarity } => Encoded::new(&Interrupt::new(
            true,
            *trigger == Trigger::Edge,
            *polarity == Polarity::ActiveLow,
            false,
            *gsi,
        )),
    }
}
