//! `virtio-mmio`: the transport in guest-physical memory, with room for one device.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use device_model::{
    acpi::{AcpiDevice, AcpiNode, Polarity, Resource, Trigger},
    prelude::*,
    virtio::{VirtioBus, VirtioDevice},
};

use super::{
    registers::{Live, MmioRegisters, MmioWrite},
    spec::*,
};
use crate::virtio::core::{Doorbell, Session, SessionParts, TransportInterrupts};

/// Virtio transport in guest-physical memory, for one device
#[qom_type(
    secure,
    name = "virtio-mmio",
    parent = SysBusDevice,
    interfaces(MemoryIo, VirtioBus, AcpiNode)
)]
#[derive(Debug)]
pub struct VirtioMmio {
    /// Guest-physical address of the registers
    #[property(default = DEFAULT_BASE)]
    base: u64,
    /// Global interrupt of the device
    #[property(default = DEFAULT_GSI)]
    gsi: u32,
    /// Number of its bus, virtio-mmio-bus.N
    #[property(default = 0)]
    index: u32,
    /// The device status, as the driver reads it
    #[property(get = Self::status)]
    status: Computed<u32>,
    /// Why the device needs a reset, empty if it does not
    #[property(get = Self::fault)]
    fault: Computed<String>,
    /// Held while the device is started and stopped, which calls nothing back that takes it.
    slot: Mutex<Option<Slot>>,
    /// Read with no lock held by what notifies.
    session: Realized<Session>,
    place: Realized<Place>,
    generation: Arc<AtomicU32>,
    /// The device could not be started.
    is_unable: AtomicBool,
}

/// The device, and its registers.
struct Slot {
    device: Arc<dyn VirtioDevice>,
    registers: MmioRegisters,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.registers.fmt(f)
    }
}

/// What the transport has of its machine.
struct Place {
    memory: Option<Arc<GuestMemory>>,
    events: Arc<EventLoop>,
    interrupts: Arc<Interrupts>,
    doorbell: Option<Doorbell>,
}

/// The reasons of interrupts, and the line, which is high while there is any.
struct Interrupts {
    reasons: Mutex<u32>,
    line: InterruptLine,
}

impl Interrupts {
    fn change(&self, change: impl FnOnce(&mut u32)) {
        let mut reasons = self.reasons.lock();
        change(&mut reasons);
        self.line.set_level(*reasons != 0);
    }
}

impl TransportInterrupts for Interrupts {
    fn queue_used(&self, _queue: u16) {
        self.change(|reasons| *reasons |= INTERRUPT_QUEUE);
    }

    fn config_changed(&self) {
        self.change(|reasons| *reasons |= INTERRUPT_CONFIG);
    }
}

impl VirtioMmio {
    fn is_broken(&self) -> bool {
        self.is_unable.load(Ordering::Acquire)
            || self.session.with(Session::is_broken).unwrap_or(false)
    }

    fn live(&self) -> Live {
        Live {
            is_broken: self.is_broken(),
            interrupts: self.place.with(|place| *place.interrupts.reasons.lock()).unwrap_or(0),
            generation: self.generation.load(Ordering::Acquire),
        }
    }

    fn status(&self) -> u32 {
        let slot = self.slot.lock();
        slot.as_ref().map_or(0, |slot| slot.registers.status(self.is_broken()))
    }

    fn fault(&self) -> String {
        if self.is_unable.load(Ordering::Acquire) {
            return "the device could not be started".to_owned();
        }
        self.session.with(Session::fault).flatten().unwrap_or_default()
    }

    /// Takes the device from its driver.
    fn stop(&self) {
        self.session.with(Session::stop);
        self.session.clear();
        self.is_unable.store(false, Ordering::Release);
        self.place.with(|place| place.interrupts.change(|reasons| *reasons = 0));
    }

    fn start(&self, slot: &Slot) {
        let started = self.place.with(|place| {
            let parts = SessionParts {
                device: Arc::clone(&slot.device),
                memory: place.memory.clone()?,
                events: Arc::clone(&place.events),
                interrupts: Arc::clone(&place.interrupts) as Arc<dyn TransportInterrupts>,
                doorbell: place.doorbell.clone(),
                generation: Arc::clone(&self.generation),
            };
            Session::start(parts, slot.registers.state()).ok()
        });
        match started.flatten() {
            Some(session) => self.session.set(session),
            None => {
                self.is_unable.store(true, Ordering::Release);
                self.place.with(|place| place.interrupts.config_changed());
            }
        }
    }

    fn write_register(&self, offset: u64, value: u32) {
        // No lock, and nothing to wait for: it may come a million times a second.
        if offset == QUEUE_NOTIFY {
            self.session.with(|session| session.notify(value));
            return;
        }
        let mut slot = self.slot.lock();
        let Some(slot) = &mut *slot else { return };
        let memory = self.place.with(|place| place.memory.clone()).flatten();
        match slot.registers.write(offset, value, self.is_broken(), memory.as_deref()) {
            MmioWrite::None | MmioWrite::Notify(_) => {}
            MmioWrite::Start => self.start(slot),
            MmioWrite::Reset => {
                self.stop();
                slot.registers.reset();
            }
            MmioWrite::StopQueue(queue) => {
                self.session.with(|session| session.stop_queue(queue));
            }
            MmioWrite::Acknowledge(heard) => {
                self.place.with(|place| place.interrupts.change(|reasons| *reasons &= !heard));
            }
        }
    }

    /// The device, if that many bytes at that offset are of its configuration.
    fn configured(&self, offset: u64, length: usize) -> Option<(Arc<dyn VirtioDevice>, u64)> {
        let device = self.slot.lock().as_ref().map(|slot| Arc::clone(&slot.device))?;
        let offset = offset.checked_sub(CONFIG)?;
        let end = offset.checked_add(u64::try_from(length).ok()?)?;
        (end <= device.config_size()).then_some((device, offset))
    }
}

impl Device for VirtioMmio {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let notify = self.base.saturating_add(QUEUE_NOTIFY);
        self.place.set(Place {
            memory: cx.platform().memory().cloned(),
            events: Arc::clone(cx.events()),
            interrupts: Arc::new(Interrupts {
                reasons: Mutex::default(),
                line: cx.interrupt_line(self.gsi)?,
            }),
            doorbell: cx
                .platform()
                .doorbells()
                .map(|doorbells| Doorbell { doorbells, address: notify }),
        });
        cx.claim_memory(0, self.base, WINDOW_SIZE)?;
        cx.offer_virtio_bus(format!("virtio-mmio-bus.{}", self.index))
    }

    fn unrealize(&self) {
        self.unplug();
        self.place.clear();
    }

    fn reset(&self) {
        if let Some(slot) = &mut *self.slot.lock() {
            self.stop();
            slot.registers.reset();
        }
    }
}

impl SysBusDevice for VirtioMmio {}

impl VirtioBus for VirtioMmio {
    fn plug(&self, device: Arc<dyn VirtioDevice>) {
        let registers =
            MmioRegisters::new(device.device_id(), device.features(), &device.queue_sizes());
        *self.slot.lock() = Some(Slot { device, registers });
    }

    fn unplug(&self) {
        let mut slot = self.slot.lock();
        self.stop();
        *slot = None;
    }
}

impl MemoryIo for VirtioMmio {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        if offset >= CONFIG {
            // What is not of the configuration reads as ones.
            if let Some((device, offset)) = self.configured(offset, data.len()) {
                device.read_config(offset, data);
            }
            return;
        }
        data.fill(0);
        // The driver uses only whole words (section 4.2.2.2).
        if let Some(word) = data.as_mut_array::<4>().filter(|_| offset.is_multiple_of(4)) {
            let slot = self.slot.lock();
            let value = match &*slot {
                Some(slot) => slot.registers.read(offset, self.live()),
                None => MmioRegisters::vacant(offset),
            };
            *word = value.to_le_bytes();
        }
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        if offset >= CONFIG {
            if let Some((device, offset)) = self.configured(offset, data.len()) {
                device.write_config(offset, data);
            }
        } else if let (Ok(word), true) = (data.try_into(), offset.is_multiple_of(4)) {
            self.write_register(offset, u32::from_le_bytes(word));
        }
    }
}

/// Only a transport that has a device: guests need not look at empty ones.
impl AcpiNode for VirtioMmio {
    fn acpi(&self) -> Vec<AcpiDevice> {
        if self.slot.lock().is_none() {
            return Vec::new();
        }
        let (trigger, polarity) = (Trigger::Level, Polarity::ActiveHigh);
        vec![AcpiDevice {
            name: format!("VR{:02}", self.index % 100),
            hardware_id: ACPI_ID.to_owned(),
            unique_id: self.index,
            coherent: Some(true),
            resources: vec![
                Resource::Memory(self.base..self.base.saturating_add(WINDOW_SIZE)),
                Resource::Interrupt { gsi: self.gsi, trigger, polarity },
            ],
            events: None,
        }]
    }
}
