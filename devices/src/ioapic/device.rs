//! `ioapic`: the I/O APIC in guest-physical memory, where devices' interrupt lines lead.

use std::sync::Arc;

use device_model::prelude::*;

use super::{
    controller::{Effect, IoApic, Pin},
    message::MsiMessage,
    spec::{DEFAULT_BASE, PIN_COUNT, WINDOW_SIZE},
};

/// I/O APIC with 24 interrupt pins
#[qom_type(
    secure,
    name = "ioapic",
    parent = SysBusDevice,
    interfaces(MemoryIo, InterruptController)
)]
#[derive(Debug)]
pub struct IoApicDevice {
    /// Guest-physical address of the registers
    #[property(default = DEFAULT_BASE)]
    base: u64,
    /// APIC id that the guest gave it
    #[property(get = Self::id)]
    id: Computed<u8>,
    /// Pins that are asserted, one bit each
    #[property(get = Self::asserted)]
    asserted: Computed<u32>,
    /// The redirection table, an integer for each pin
    #[property(get = Self::redirection_table)]
    redirection_table: Computed<Value>,
    /// Lock order: a device's lock, then this one, then whatever the message sink takes. The sink
    /// never calls a device or a controller, so that it is called under this lock: routes reach it
    /// in the order in which the guest wrote them, and once a write that masks a pin is over, no
    /// interrupt of that pin is on its way.
    controller: Mutex<IoApic>,
    sink: Realized<Arc<dyn MsiSink>>,
}

impl From<MsiMessage> for Msi {
    fn from(message: MsiMessage) -> Self {
        Self { address: message.address, data: message.data }
    }
}

/// The message that the sink is to know for a pin. A pin that is masked while its level interrupt
/// is being handled keeps its message: the end of that interrupt has to be reported, or the pin
/// would never send again.
fn routed(controller: &IoApic, pin: Pin) -> Option<Msi> {
    let route = controller.route(pin);
    let known = !route.masked || controller.entry(pin).remote_irr();
    known.then(|| route.message.into())
}

impl IoApicDevice {
    /// Does something to the controller and carries out what that does to the outside.
    fn act(&self, action: impl FnOnce(&mut IoApic, &mut dyn FnMut(Effect))) {
        let mut controller = self.controller.lock();
        // One access has at most a new route and an interrupt for each pin.
        let mut effects = Vec::new();
        action(&mut controller, &mut |effect| effects.push(effect));
        self.sink.with(|sink| {
            for effect in effects {
                match effect {
                    Effect::RouteChanged(pin) => {
                        sink.route(pin.number().into(), routed(&controller, pin));
                    }
                    Effect::Deliver { message, .. } => sink.send(message.into()),
                }
            }
        });
    }

    fn id(&self) -> u8 {
        self.controller.lock().state().id
    }

    fn asserted(&self) -> u32 {
        self.controller.lock().state().lines
    }

    fn redirection_table(&self) -> Value {
        Value::from(self.controller.lock().state().entries.to_vec())
    }
}

impl Device for IoApicDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        self.sink.set(cx.msi()?);
        // First, so that one that may not be is never reached, and never tells the sink anything.
        cx.claim_interrupts()?;
        cx.claim_memory(0, self.base, WINDOW_SIZE)
    }

    fn unrealize(&self) {
        self.reset();
        self.sink.clear();
    }

    /// All pins are masked then, as the sink learns.
    fn reset(&self) {
        let mut controller = self.controller.lock();
        controller.reset();
        self.sink.with(|sink| {
            for pin in Pin::all() {
                sink.route(pin.number().into(), routed(&controller, pin));
            }
        });
    }
}

impl SysBusDevice for IoApicDevice {}

impl MemoryIo for IoApicDevice {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        self.controller.lock().read(offset, data);
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        self.act(|controller, mut effects| controller.write(offset, data, &mut effects));
    }
}

impl InterruptController for IoApicDevice {
    fn pins(&self) -> u32 {
        PIN_COUNT.into()
    }

    fn set_level(&self, pin: u32, level: bool) {
        if let Some(pin) = u8::try_from(pin).ok().and_then(|pin| Pin::try_from(pin).ok()) {
            self.act(|controller, mut effects| {
                controller.set_level(pin, level, &mut effects);
            });
        }
    }

    fn end_of_interrupt(&self, vector: u8) {
        self.act(|controller, mut effects| controller.eoi(vector, &mut effects));
    }
}
