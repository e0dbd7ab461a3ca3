//! `acpi-ged`: the sleep, reset and event registers in guest-physical memory, and the power button.

use std::sync::Arc;

use device_model::{power_button::PowerButton, prelude::*};

use super::{
    registers::{GedRegisters, PowerRequest},
    spec::{
        BUTTON_PRESSED, DEFAULT_BASE, DEFAULT_GSI, EVENT_DEVICE_ID, EVENTS, POWER_BUTTON,
        POWER_BUTTON_ID, REGISTER_COUNT,
    },
};

/// ACPI registers by which a guest powers off or resets the machine, and hears of its power button
#[qom_type(secure, parent = SysBusDevice, interfaces(MemoryIo, AcpiNode, PowerButton))]
#[derive(Debug)]
pub struct AcpiGed {
    /// Guest-physical address of the registers
    #[property(default = DEFAULT_BASE)]
    base: u64,
    /// Global interrupt that tells of events
    #[property(default = DEFAULT_GSI)]
    gsi: u32,
    /// The sleep control register
    #[property(get = Self::sleep_control)]
    sleep_control: Computed<u8>,
    /// Nothing is called while it is locked but the line, so that its levels keep their order.
    registers: Mutex<GedRegisters>,
    line: Realized<InterruptLine>,
    requests: Realized<Arc<VmRequests>>,
}

impl AcpiGed {
    fn access<R>(&self, action: impl FnOnce(&mut GedRegisters) -> R) -> R {
        let mut registers = self.registers.lock();
        let result = action(&mut registers);
        self.line.with(|line| line.set_level(registers.irq_level()));
        result
    }

    fn sleep_control(&self) -> u8 {
        self.registers.lock().state().sleep_control
    }
}

impl Device for AcpiGed {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        self.requests.set(Arc::clone(cx.requests()));
        self.line.set(cx.interrupt_line(self.gsi)?);
        cx.claim_memory(0, self.base, REGISTER_COUNT)
    }

    fn reset(&self) {
        self.access(GedRegisters::reset);
    }
}

impl SysBusDevice for AcpiGed {}

impl MemoryIo for AcpiGed {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        self.access(|registers| registers.read(offset, data));
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        let request = match self.access(|registers| registers.write(offset, data)) {
            Some(PowerRequest::PowerOff) => VmRequest::PowerOff,
            Some(PowerRequest::Reset) => VmRequest::Reset,
            None => return,
        };
        self.requests.with(|requests| requests.send(request));
    }
}

impl PowerButton for AcpiGed {
    fn press(&self) {
        self.access(GedRegisters::press_power_button);
    }
}

impl AcpiNode for AcpiGed {
    fn acpi(&self) -> Vec<AcpiDevice> {
        let pressed = AcpiEvent {
            mask: POWER_BUTTON,
            name: "PWRB".to_owned(),
            hardware_id: POWER_BUTTON_ID.to_owned(),
            notification: BUTTON_PRESSED,
        };
        // The board's own tables tell of the registers for power-off and reset.
        let interrupt = Resource::Interrupt {
            gsi: self.gsi,
            trigger: Trigger::Edge,
            polarity: Polarity::ActiveHigh,
        };
        vec![AcpiDevice {
            name: "GED_".to_owned(),
            hardware_id: EVENT_DEVICE_ID.to_owned(),
            unique_id: 0,
            coherent: None,
            resources: vec![interrupt],
            events: Some(EventRegister {
                address: self.base.saturating_add(EVENTS),
                events: vec![pressed],
            }),
        }]
    }
}
