//! What the devices of one machine share: buses, memory, interrupts, the main thread's loop.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use qom_core::{Obj, TreeId};

use crate::{
    bus::{MemoryBus, PortBus},
    event_loop::EventLoop,
    interrupt::{InterruptController, InterruptLine, LineError, MsiSink},
    request::VmRequests,
};

/// The guest's memory.
pub type GuestMemory = vm_memory::GuestMemoryMmap<()>;

/// What the devices of one machine share. It belongs to one object tree and takes no handle of
/// another.
#[derive(Debug)]
pub struct Platform {
    tree: TreeId,
    ports: PortBus,
    memory_io: MemoryBus,
    memory: OnceLock<Arc<GuestMemory>>,
    interrupts: OnceLock<Obj>,
    msi: OnceLock<Obj>,
    /// Pins that lines lead to, with the devices whose they are.
    lines: Mutex<Vec<(u32, Obj)>>,
    events: Arc<EventLoop>,
    requests: Arc<VmRequests>,
}

impl Platform {
    /// A platform with nothing on it.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn new(tree: TreeId) -> io::Result<Self> {
        Ok(Self {
            tree,
            ports: PortBus::new(tree),
            memory_io: MemoryBus::new(tree),
            memory: OnceLock::new(),
            interrupts: OnceLock::new(),
            msi: OnceLock::new(),
            lines: Mutex::default(),
            events: Arc::new(EventLoop::new()?),
            requests: Arc::new(VmRequests::new()?),
        })
    }

    /// The tree whose objects it takes.
    #[must_use]
    pub const fn tree(&self) -> TreeId {
        self.tree
    }

    /// The I/O ports.
    #[must_use]
    pub const fn ports(&self) -> &PortBus {
        &self.ports
    }

    /// The memory-mapped devices.
    #[must_use]
    pub const fn memory_io(&self) -> &MemoryBus {
        &self.memory_io
    }

    /// The guest's memory; none on a machine without any.
    #[must_use]
    pub fn memory(&self) -> Option<&Arc<GuestMemory>> {
        self.memory.get()
    }

    /// Gives the machine its memory. False if it has some.
    pub fn set_memory(&self, memory: Arc<GuestMemory>) -> bool {
        self.memory.set(memory).is_ok()
    }

    /// The controller that interrupt lines lead to.
    #[must_use]
    pub fn interrupts(&self) -> Option<&Obj> {
        self.interrupts.get()
    }

    /// Makes an object the one that interrupt lines lead to. False if it is another tree's or there
    /// is one.
    pub fn set_interrupts(&self, controller: &Obj) -> bool {
        controller.tree() == self.tree && self.interrupts.set(controller.clone()).is_ok()
    }

    /// What takes message-signalled interrupts.
    #[must_use]
    pub fn msi(&self) -> Option<Arc<dyn MsiSink>> {
        self.msi.get()?.cast::<dyn MsiSink>()
    }

    /// Makes an object the one that takes message-signalled interrupts. False if it is another
    /// tree's or there is one.
    pub fn set_msi(&self, sink: &Obj) -> bool {
        sink.tree() == self.tree && self.msi.set(sink.clone()).is_ok()
    }

    /// Lays the interrupt line of a device.
    ///
    /// # Errors
    /// If there is no controller or no such pin, the pin is taken, or the device is another tree's.
    pub fn line(&self, device: &Obj, pin: u32) -> Result<InterruptLine, LineError> {
        if device.tree() != self.tree {
            return Err(LineError::Foreign { type_name: device.class().name() });
        }
        let controller = self.interrupts().ok_or(LineError::NoController)?;
        let line = InterruptLine::new(self.tree, controller, pin)?;
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, owner)) = lines.iter().find(|(taken, _)| *taken == pin) {
            return Err(LineError::Taken {
                pin,
                owner: owner.path().unwrap_or_default(),
                owner_type: owner.class().name(),
            });
        }
        lines.push((pin, device.clone()));
        Ok(line)
    }

    /// Takes away every address and line of a device. Its lines go low, as a pin does that nothing
    /// drives any more.
    pub fn release(&self, device: &Obj) {
        self.ports.release(device);
        self.memory_io.release(device);
        let pins: Vec<_> = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extract_if(.., |(_, owner)| owner.same(device)).map(|(pin, _)| pin).collect()
        };
        let controller = self.interrupts().and_then(Obj::cast::<dyn InterruptController>);
        for pin in pins {
            if let Some(controller) = &controller {
                controller.set_level(pin, false);
            }
        }
    }

    /// The main thread's loop.
    #[must_use]
    pub const fn events(&self) -> &Arc<EventLoop> {
        &self.events
    }

    /// Where devices ask for the machine to stop or start over.
    #[must_use]
    pub const fn requests(&self) -> &Arc<VmRequests> {
        &self.requests
    }
}
