//! What can be said of a device in AML, and what can't.

use std::collections::BTreeSet;

use device_model::acpi::{AcpiDevice, Resource};

use super::AcpiError;
use super::events::RESERVED;

/// Whether this is a digit as identifiers have them.
pub(super) fn is_hexadecimal(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)
}

/// Whether a `_HID` is an EISA identifier, to be compressed.
pub(super) fn is_eisa_id(hardware_id: &str) -> bool {
    let bytes = hardware_id.as_bytes();
    bytes.len() == 7
        && bytes.iter().take(3).all(u8::is_ascii_uppercase)
        && bytes.iter().skip(3).all(|&byte| is_hexadecimal(byte))
}

/// Whether a `_HID` is an ACPI identifier, a string.
fn is_acpi_id(hardware_id: &str) -> bool {
    let bytes = hardware_id.as_bytes();
    bytes.len() == 8
        && bytes.iter().take(4).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && bytes.iter().skip(4).all(|&byte| is_hexadecimal(byte))
}

/// Whether a name is one of AML's.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let bytes = name.as_bytes();
    bytes.len() == 4
        && bytes.iter().all(|&byte| letter(byte) || byte.is_ascii_digit())
        && !bytes.first().is_some_and(u8::is_ascii_digit)
}

fn check_hardware_id(name: &str, hardware_id: &str) -> Result<(), AcpiError> {
    if is_eisa_id(hardware_id) || is_acpi_id(hardware_id) {
        return Ok(());
    }
    Err(AcpiError::HardwareId { device: name.to_owned(), found: hardware_id.to_owned() })
}

/// Checks all that tables could not say of a device or would say wrongly.
pub(super) fn check(device: &AcpiDevice) -> Result<(), AcpiError> {
    if !is_name(&device.name) {
        return Err(AcpiError::Name { found: device.name.clone() });
    }
    check_hardware_id(&device.name, &device.hardware_id)?;
    let events = device.events.iter().flat_map(|register| &register.events);
    let mut names = BTreeSet::new();
    for event in events {
        if !is_name(&event.name) {
            return Err(AcpiError::Name { found: event.name.clone() });
        }
        check_hardware_id(&event.name, &event.hardware_id)?;
        if RESERVED.contains(&&*event.name) || !names.insert(&event.name) {
            return Err(AcpiError::DuplicateName { name: event.name.clone() });
        }
    }
    for resource in &device.resources {
        let good = match resource {
            Resource::Memory(range) => range.start < range.end,
            Resource::Ports { start, count } => count
                .checked_sub(1)
                .is_some_and(|last| start.checked_add(u16::from(last)).is_some()),
            Resource::Interrupt { .. } => true,
        };
        if !good {
            return Err(AcpiError::Resource {
                device: device.name.clone(),
                resource: resource.clone(),
            });
        }
    }
    Ok(())
}
