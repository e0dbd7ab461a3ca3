//! The power and event registers: what they remember is always a state that they take back.

use devices::ged::{
    GedRegisters,
    spec::{EVENTS, REGISTER_COUNT},
};

use crate::{
    Target,
    input::{Access, Input, buffer},
};

inventory::submit!(Target { name: "ged", covers: &["acpi-ged"], run });

/// Operations: 0x70 is a reset of the machine, 0x71 presses the button, all else are accesses.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut registers = GedRegisters::new();
    while let Some(first) = input.next() {
        match first {
            0x70 => registers.reset(),
            0x71 => {
                registers.press_power_button();
                assert!(registers.irq_level());
            }
            _ => match input.access(first) {
                Access::Read(offset, length) => {
                    let mut data = buffer(length);
                    registers.read(offset, &mut data);
                    if offset >= REGISTER_COUNT {
                        assert!(data.iter().all(|byte| *byte == 0xff), "{offset:#x}");
                    }
                }
                Access::Write(offset, data) => {
                    let before = registers;
                    let asked = registers.write(offset, data);
                    if offset >= EVENTS || data.is_empty() {
                        assert_eq!((asked, before), (None, registers), "{offset:#x}");
                    }
                }
            },
        }
        let mut copy = GedRegisters::new();
        assert_eq!(copy.restore(&registers.state()), Ok(()));
        assert_eq!(copy, registers);
    }
}
