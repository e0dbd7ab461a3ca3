//! What a generic event device does when it interrupts (section 5.6.9): it reads what happened, and
//! notifies the guest of each event.

use acpi_tables::Aml;
use acpi_tables::aml::{
    And, Device, Equal, Field, FieldAccessType, FieldEntry, FieldLockRule, FieldUpdateRule, If,
    Local, Method, Name, Notify, OpRegion, OpRegionSpace, Path, Store,
};
use device_model::acpi::{AcpiEvent, EventRegister};

use super::dsdt::{Encoded, hardware_id};

/// Region and field of the register.
const REGION: &str = "EREG";
const FIELD: &str = "ESEL";
/// The method that a guest calls on an interrupt, with its number.
const METHOD: &str = "_EVT";
/// Names below an event device that its events can't have.
pub(super) const RESERVED: [&str; 3] = [REGION, FIELD, METHOD];

/// Bits of the register.
const WIDTH: usize = 8;

/// What stands below an event device: the register, the devices that notify, the method.
pub(super) fn events(register: &EventRegister) -> Vec<Encoded> {
    let one = 1_u8;
    let region = OpRegion::new(REGION.into(), OpRegionSpace::SystemMemory, &register.address, &one);
    let field = Field::new(
        REGION.into(),
        FieldAccessType::Byte,
        FieldLockRule::NoLock,
        FieldUpdateRule::WriteAsZeroes,
        vec![FieldEntry::Named(*b"ESEL", WIDTH)],
    );
    let mut encoded = vec![Encoded::new(&region), Encoded::new(&field)];
    encoded.extend(register.events.iter().map(notifier));
    encoded.push(method(&register.events));
    encoded
}

fn notifier(event: &AcpiEvent) -> Encoded {
    let identifier = hardware_id(&event.hardware_id);
    let unique = Name::new("_UID".into(), &0_u8);
    Encoded::new(&Device::new(Path::new(&event.name), vec![&identifier, &unique]))
}

/// Reads the register once, since that forgets what happened, and looks at each bit.
fn method(events: &[AcpiEvent]) -> Encoded {
    let (happened, field) = (Local(0), Path::new(FIELD));
    let read = Encoded::new(&Store::new(&happened, &field));
    let notifications = events.iter().map(|event| {
        let nowhere = 0_u8;
        let bit = And::new(&nowhere, &happened, &event.mask);
        let set = Equal::new(&bit, &event.mask);
        let name = Path::new(&event.name);
        let notify = Notify::new(&name, &event.notification);
        Encoded::new(&If::new(&set, vec![&notify]))
    });
    let body: Vec<Encoded> = std::iter::once(read).chain(notifications).collect();
    let body = body.iter().map(|part| part as &dyn Aml).collect();
    Encoded::new(&Method::new(METHOD.into(), 1, true, body))
}
