//! The session of a driver: a device's life between DRIVER_OK and the reset.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use device_model::{
    doorbell::Doorbells,
    event_loop::{EventLoop, Next, Watch},
    platform::GuestMemory,
    prelude::Mutex,
    virtio::{VirtQueue, VirtioDevice, VirtioDriver, VirtioSession},
};
use rustix::event::{EventfdFlags, eventfd};

use super::state::VirtioState;

/// How a transport interrupts the driver. Called with no lock held that the transport takes when it
/// calls a device.
pub trait TransportInterrupts: Send + Sync {
    /// Chains of that queue have been used.
    fn queue_used(&self, queue: u16);

    /// The configuration has changed, or the device needs a reset.
    fn config_changed(&self);
}

/// Where the guest's notifications go that the host can take without an exit: four bytes with the
/// queue's number to one address.
#[derive(Clone)]
pub struct Doorbell {
    /// What can take them.
    pub doorbells: Arc<dyn Doorbells>,
    /// The register that they are written to, guest-physical.
    pub address: u64,
}

/// What a session is made of.
pub struct SessionParts {
    /// The device that is driven.
    pub device: Arc<dyn VirtioDevice>,
    /// The guest's memory.
    pub memory: Arc<GuestMemory>,
    /// The machine's loop, for devices that have none of their own.
    pub events: Arc<EventLoop>,
    /// How the driver is interrupted.
    pub interrupts: Arc<dyn TransportInterrupts>,
    /// How it notifies; by registers alone if there is none.
    pub doorbell: Option<Doorbell>,
    /// Counts changes of the configuration.
    pub generation: Arc<AtomicU32>,
}

/// A driver that drives a device, until this is stopped or dropped.
pub struct Session {
    shared: Arc<Shared>,
    queues: Vec<Option<Arc<VirtQueue>>>,
    events: Arc<EventLoop>,
    watches: Mutex<Vec<Watch>>,
    doorbell: Option<Doorbell>,
}

/// How one queue is notified.
struct Kick {
    event: OwnedFd,
    /// The host takes the guest's notifications.
    is_doorbell: bool,
}

struct Shared {
    device: Arc<dyn VirtioDevice>,
    kicks: Vec<Option<Kick>>,
    /// Whether the device may be notified. Held while it is.
    notifies: Mutex<bool>,
    /// How the driver is interrupted; none once it drives no more. Held while it is.
    interrupts: Mutex<Option<Arc<dyn TransportInterrupts>>>,
    broken: AtomicBool,
    fault: Mutex<Option<String>>,
    generation: Arc<AtomicU32>,
}

impl Session {
    /// Starts a device with what a driver has negotiated and set up.
    ///
    /// # Errors
    /// If the host has no descriptors left, the device can't start, or a queue holds no more. Then
    /// nothing is left of it.
    pub fn start(parts: SessionParts, state: &VirtioState) -> io::Result<Self> {
        let SessionParts { device, memory, events, interrupts, doorbell, generation } = parts;
        let events = device.event_loop().unwrap_or(events);
        let setups: Vec<_> = state.queues().collect();
        let mut kicks: Vec<Option<Kick>> = Vec::with_capacity(setups.len());
        for (index, setup) in (0..).zip(&setups) {
            let kick = match setup.map(|_| Kick::new(index, doorbell.as_ref())).transpose() {
                Ok(kick) => kick,
                Err(error) => {
                    detach(&kicks, doorbell.as_ref());
                    return Err(error);
                }
            };
            kicks.push(kick);
        }
        let shared = Arc::new(Shared {
            device,
            kicks,
            notifies: Mutex::new(true),
            interrupts: Mutex::new(Some(interrupts)),
            broken: AtomicBool::new(false),
            fault: Mutex::default(),
            generation,
        });
        // From here on, what fails ends what was made.
        let mut session = Self {
            shared: Arc::clone(&shared),
            queues: Vec::with_capacity(setups.len()),
            events: Arc::clone(&events),
            watches: Mutex::default(),
            doorbell,
        };
        let back: Arc<dyn VirtioSession> = Arc::new(Back(Arc::downgrade(&shared)));
        for (index, setup) in (0..).zip(&setups) {
            let queue = setup.map(|setup| {
                let (memory, back) = (Arc::clone(&memory), Arc::clone(&back));
                VirtQueue::new(index, &setup, state.features(), memory, back)
            });
            let queue = queue.transpose().map_err(io::Error::other)?;
            session.queues.push(queue.map(Arc::new));
        }
        let queues = session.queues.iter().cloned();
        let driver = VirtioDriver::new(state.features(), queues, memory, events, back);
        shared.device.start(driver)?;
        session.watch()?;
        // Chains may have been there before.
        for index in (0..).take(setups.len()) {
            shared.kick(index);
        }
        Ok(session)
    }

    fn watch(&self) -> io::Result<()> {
        for (index, kick) in (0..).zip(&self.shared.kicks) {
            let Some(kick) = kick else { continue };
            let shared = Arc::downgrade(&self.shared);
            let watch = self.events.watch(&kick.event, move || {
                shared.upgrade().map_or(Next::Pause, |shared| {
                    shared.notified(index);
                    Next::Continue
                })
            })?;
            self.watches.lock().push(watch);
        }
        Ok(())
    }

    /// The driver notifies the device of a queue, if there is one of that number that is ready.
    pub fn notify(&self, queue: u32) {
        if let Ok(queue) = u16::try_from(queue) {
            self.shared.kick(queue);
        }
    }

    /// Takes one queue from the device. When this returns, neither its rings nor its buffers are
    /// touched any more. It waits for a notification that the device is at.
    pub fn stop_queue(&self, index: u16) {
        let Some(Some(queue)) = self.queues.get(usize::from(index)) else { return };
        // What it is notified of meanwhile waits for the lock, and finds the queue stopped. It is not
        // held beyond that: what the device waits for may need the loop.
        let notifies = *{
            let notifies = self.shared.notifies.lock();
            queue.stop();
            notifies
        };
        if notifies {
            self.shared.device.queue_stopped(index);
        }
    }

    /// Whether the device needs a reset.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.shared.broken.load(Ordering::Acquire)
    }

    /// Why it does.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.shared.fault.lock().clone()
    }

    /// Takes the device from the driver. When this returns, it touches nothing of the driver's and
    /// interrupts it no more. It waits for a notification that the device is at.
    pub fn stop(&self) {
        let watches = std::mem::take(&mut *self.watches.lock());
        for watch in watches {
            self.events.unwatch(watch);
        }
        if !std::mem::take(&mut *self.shared.notifies.lock()) {
            return;
        }
        detach(&self.shared.kicks, self.doorbell.as_ref());
        self.queues.iter().flatten().for_each(|queue| queue.stop());
        self.shared.device.stop();
        *self.shared.interrupts.lock() = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("queues", &self.queues).finish_non_exhaustive()
    }
}

impl Kick {
    fn new(queue: u16, doorbell: Option<&Doorbell>) -> io::Result<Self> {
        // Where the host takes no more, registers do.
        let taken = doorbell
            .and_then(|bell| bell.doorbells.attach(bell.address, queue.into()).ok())
            .map(|event| Self { event, is_doorbell: true });
        match taken {
            Some(kick) => Ok(kick),
            None => {
                let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
                Ok(Self { event, is_doorbell: false })
            }
        }
    }
}

fn detach(kicks: &[Option<Kick>], doorbell: Option<&Doorbell>) {
    let Some(Doorbell { doorbells, address }) = doorbell else { return };
    for (index, kick) in (0..).zip(kicks) {
        if kick.as_ref().is_some_and(|kick| kick.is_doorbell) {
            doorbells.detach(*address, index);
        }
    }
}

impl Shared {
    fn kick(&self, index: u16) {
        if let Some(Some(kick)) = self.kicks.get(usize::from(index)) {
            // It fails only where the number of kicks is at its greatest, and is heard then too.
            let _ = rustix::io::write(&kick.event, &1_u64.to_ne_bytes());
        }
    }

    /// On the thread of the loop.
    fn notified(&self, index: u16) {
        if let Some(Some(kick)) = self.kicks.get(usize::from(index)) {
            let mut count = [0; 8];
            // Read, or it would call again and again.
            let _ = rustix::io::read(&kick.event, &mut count);
        }
        let notifies = self.notifies.lock();
        if *notifies && !self.broken.load(Ordering::Acquire) {
            self.device.notified(index);
        }
    }

    fn interrupt(&self, interrupt: impl FnOnce(&dyn TransportInterrupts)) {
        if let Some(interrupts) = &*self.interrupts.lock() {
            interrupt(&**interrupts);
        }
    }
}

/// The way back from the device, which does not keep it.
struct Back(Weak<Shared>);

impl Back {
    fn with(&self, action: impl FnOnce(&Shared)) {
        if let Some(shared) = self.0.upgrade() {
            action(&shared);
        }
    }
}

impl VirtioSession for Back {
    fn queue_used(&self, queue: u16) {
        self.with(|shared| shared.interrupt(|interrupts| interrupts.queue_used(queue)));
    }

    fn config_changed(&self) {
        self.with(|shared| {
            shared.interrupt(|interrupts| {
                shared.generation.fetch_add(1, Ordering::AcqRel);
                interrupts.config_changed();
            });
        });
    }

    fn fail(&self, why: &str) {
        self.with(|shared| {
            if !shared.broken.swap(true, Ordering::AcqRel) {
                *shared.fault.lock() = Some(why.to_owned());
                shared.interrupt(|interrupts| interrupts.config_changed());
            }
        });
    }

    fn is_broken(&self) -> bool {
        self.0.upgrade().is_none_or(|shared| shared.broken.load(Ordering::Acquire))
    }

    fn notify(&self, queue: u16) {
        self.with(|shared| shared.kick(queue));
    }
}
