//! `ioapic`: the I/O APIC in guest-physical memory, where devices' interrupt lines lead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use device_model::prelude::*;
use serde_json::Value;

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
    interfaces(MemoryIo, InterruptController),
    category = "Misc devices"
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
    state: Mutex<State>,
}

/// Lock order: a device's lock, then this one, then whatever the message sink takes. The sink
/// never calls a device or a controller, so that it is called under this lock: routes reach it in
/// the order in which the guest wrote them, and once a write that masks a pin is over, no
/// interrupt of that pin is on its way.
#[derive(Debug, Default)]
struct State {
    controller: IoApic,
    /// None until the device is realized, and once it is gone.
    sink: Option<Sink>,
}

struct Sink(Arc<dyn MsiSink>);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

impl From<MsiMessage> for Msi {
    fn from(message: MsiMessage) -> Self {
        Self { address: message.address, data: message.data }
    }
}

impl State {
    /// Does something to the controller and carries out what that does to the outside.
    fn act(&mut self, action: impl FnOnce(&mut IoApic, &mut dyn FnMut(Effect))) {
        // One access has at most a new route and an interrupt for each pin.
        let mut effects = Vec::new();
        action(&mut self.controller, &mut |effect| effects.push(effect));
        let Some(Sink(sink)) = &self.sink else {
            return;
        };
        for effect in effects {
            match effect {
                Effect::RouteChanged(pin) => sink.route(pin.number().into(), self.routed(pin)),
                Effect::Deliver { message, .. } => sink.send(message.into()),
            }
        }
    }

    /// The message that the sink is to know for a pin. A pin that is masked while its level
    /// interrupt is being handled keeps its message: the end of that interrupt has to be reported,
    /// or the pin would never send again.
    fn routed(&self, pin: Pin) -> Option<Msi> {
        let route = self.controller.route(pin);
        let known = !route.masked || self.controller.entry(pin).remote_irr();
        known.then(|| route.message.into())
    }

    /// Brings the sink up to date with all pins.
    fn route_all(&self) {
        if let Some(Sink(sink)) = &self.sink {
            for pin in Pin::all() {
                sink.route(pin.number().into(), self.routed(pin));
            }
        }
    }
}

impl IoApicDevice {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self) -> u8 {
        self.lock().controller.state().id
    }

    fn asserted(&self) -> u32 {
        self.lock().controller.state().lines
    }

    fn redirection_table(&self) -> Value {
        Value::from(self.lock().controller.state().entries.to_vec())
    }
}

impl Device for IoApicDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let sink = cx.msi()?;
        cx.claim_memory(0, self.base, WINDOW_SIZE)?;
        self.lock().sink = Some(Sink(sink));
        // Last, since the platform has no way to take it back.
        if cx.platform().set_interrupts(cx.object()) {
            return Ok(());
        }
        self.lock().sink = None;
        let there = cx.platform().interrupts();
        Err(DeviceError::Configuration(format!(
            "the machine has an interrupt controller already: '{}'",
            there.and_then(Obj::path).unwrap_or_default(),
        )))
    }

    fn unrealize(&self) {
        let mut state = self.lock();
        state.controller.reset();
        state.route_all();
        state.sink = None;
    }

    fn reset(&self) {
        let mut state = self.lock();
        state.controller.reset();
        state.route_all();
    }
}

impl SysBusDevice for IoApicDevice {}

impl MemoryIo for IoApicDevice {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        self.lock().controller.read(offset, data);
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        self.lock().act(|controller, mut effects| controller.write(offset, data, &mut effects));
    }
}

impl InterruptController for IoApicDevice {
    fn pins(&self) -> u32 {
        PIN_COUNT.into()
    }

    fn set_level(&self, pin: u32, level: bool) {
        if let Some(pin) = u8::try_from(pin).ok().and_then(|pin| Pin::try_from(pin).ok()) {
            self.lock().act(|controller, mut effects| {
                controller.set_level(pin, level, &mut effects);
            });
        }
    }

    fn end_of_interrupt(&self, vector: u8) {
        self.lock().act(|controller, mut effects| controller.eoi(vector, &mut effects));
    }
}
