//! What the devices of one machine share: buses, memory, interrupts, the main thread's loop.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, OnceLock, Weak},
};

use parking_lot::Mutex;
use qom_core::{Link, Obj, TreeId};
use rustix::fs::{Mode, OFlags};
use thiserror::Error;

use crate::{
    block::BlockUsers,
    bus::{MemoryBus, PortBus, is_attached},
    chardev::{Chardev, ChardevFrontend, Frontend},
    clock::Clock,
    descriptors::Descriptors,
    doorbell::Doorbells,
    event_loop::EventLoop,
    interrupt::{InterruptController, InterruptLine, LineError, LineTap, LineWatcher, MsiSink},
    monitor::{Event, EventListener, Occurrence},
    named_file::OpenedFile,
    netdev::{Netdev, NetdevPeer, PeerHandle},
    request::VmRequests,
    virtio::{VirtioBusError, VirtioBuses},
};

/// The guest's memory.
pub type GuestMemory = vm_memory::GuestMemoryMmap<()>;

/// A backend, and the object that is connected to it.
struct Connection {
    backend: Backend,
    device: Obj,
}

enum Backend {
    Stream(Arc<dyn Chardev>),
    Network(Arc<dyn Netdev>),
}

impl Backend {
    /// Its address, to tell it from others: one object may have several tables of methods.
    fn address(&self) -> *const () {
        match self {
            Self::Stream(stream) => Arc::as_ptr(stream).cast(),
            Self::Network(netdev) => Arc::as_ptr(netdev).cast(),
        }
    }

    fn disconnect(&self) {
        match self {
            Self::Stream(stream) => stream.disconnect(),
            Self::Network(netdev) => netdev.disconnect(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.device).finish()
    }
}

/// Tells all who listen to a machine's events, for what outlives a call that has the [`Platform`].
/// Clones tell the same.
#[derive(Clone, Default)]
pub struct Announcer(Arc<Mutex<Vec<Weak<dyn EventListener>>>>);

impl Announcer {
    /// Tells all listeners that something happened.
    pub fn announce<E: Event>(&self, event: &E) {
        let listeners: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        if listeners.is_empty() {
            return;
        }
        let occurrence = Occurrence::now(event);
        // Without the lock: a listener may be at its end and go with its handle here.
        for listener in listeners {
            listener.hear(&occurrence);
        }
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Announcer({} listeners)", self.0.lock().len())
    }
}

/// Why an object could not become the machine's only one of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RoleError {
    /// There is one.
    #[error("the machine has {role} already: '{owner}' (type '{owner_type}')")]
    Taken {
        /// What the machine has one of, with its article.
        role: &'static str,
        /// Path of the one that is there.
        owner: String,
        /// Its type.
        owner_type: &'static str,
    },
    /// It is not of that kind.
    #[error("type '{type_name}' can't serve as {role}")]
    Unable {
        /// What the machine has one of, with its article.
        role: &'static str,
        /// The object's type.
        type_name: &'static str,
    },
    /// The handle is of another tree.
    #[error("the object of type '{type_name}' belongs to another object tree")]
    Foreign {
        /// The object's type.
        type_name: &'static str,
    },
    /// The object has left the tree, or never stood in it.
    #[error("the object of type '{type_name}' stands in no object tree")]
    Detached {
        /// The object's type.
        type_name: &'static str,
    },
}

/// Why an object can't be connected to a backend.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The host lacks something that the object needs.
    #[error("can't wait for input")]
    Host(#[from] io::Error),
    /// Another is connected to it.
    #[error("'{backend}' is in use by another device")]
    InUse {
        /// Path of the backend.
        backend: String,
    },
    /// Whoever would be called is not the object in whose name it asks.
    #[error("something asked to read in the name of an object of type '{type_name}'")]
    NotThis {
        /// The object's type.
        type_name: &'static str,
    },
    /// The handle is of another tree.
    #[error("the object of type '{type_name}' belongs to another object tree")]
    Foreign {
        /// The object's type.
        type_name: &'static str,
    },
    /// The object has left the tree, or never stood in it.
    #[error("the object of type '{type_name}' stands in no object tree")]
    Detached {
        /// The object's type.
        type_name: &'static str,
    },
}

fn in_use(backend: Option<&Obj>) -> ConnectError {
    ConnectError::InUse { backend: backend.and_then(Obj::path).unwrap_or_default() }
}

/// What the devices of one machine share. It belongs to one object tree and takes no handle of
/// another.
#[derive(Debug)]
pub struct Platform {
    tree: TreeId,
    ports: PortBus,
    memory_io: MemoryBus,
    memory: OnceLock<Arc<GuestMemory>>,
    interrupts: Mutex<Option<Obj>>,
    msi: Mutex<Option<Obj>>,
    doorbells: Mutex<Option<Obj>>,
    virtio_buses: VirtioBuses,
    /// Lines, with the devices whose they are.
    lines: Mutex<Vec<(InterruptLine, Obj)>>,
    line_tap: Arc<LineTap>,
    clock: OnceLock<Clock>,
    /// Streams that devices read from, and networks that they are plugged into.
    connections: Mutex<Vec<Connection>>,
    block_users: BlockUsers,
    events: Arc<EventLoop>,
    requests: Arc<VmRequests>,
    announcer: Announcer,
    descriptors: Arc<Descriptors>,
}

impl Platform {
    /// A platform with nothing on it.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn new(tree: TreeId) -> io::Result<Self> {
        Self::with_descriptors(tree, Arc::default())
    }

    /// The same, with what its users have handed over already. Those are what judges of that tree
    /// are to see: see [`Descriptors::known_to`].
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn with_descriptors(tree: TreeId, descriptors: Arc<Descriptors>) -> io::Result<Self> {
        Ok(Self {
            tree,
            ports: PortBus::new(tree),
            memory_io: MemoryBus::new(tree),
            memory: OnceLock::new(),
            interrupts: Mutex::default(),
            msi: Mutex::default(),
            doorbells: Mutex::default(),
            virtio_buses: VirtioBuses::default(),
            lines: Mutex::default(),
            line_tap: Arc::default(),
            clock: OnceLock::new(),
            connections: Mutex::default(),
            block_users: BlockUsers::default(),
            events: Arc::new(EventLoop::new()?),
            requests: Arc::new(VmRequests::new()?),
            announcer: Announcer::default(),
            descriptors,
        })
    }

    /// The tree whose objects it takes.
    #[must_use]
    pub const fn tree(&self) -> TreeId {
        self.tree
    }

    /// What its users have handed over.
    #[must_use]
    pub const fn descriptors(&self) -> &Arc<Descriptors> {
        &self.descriptors
    }

    /// Opens a file that a user names. See [`Descriptors::open`].
    ///
    /// # Errors
    /// If the host refuses; if a set has no such descriptor, or that is no file.
    pub fn open_file(&self, path: &Path, flags: OFlags, created: Mode) -> io::Result<OpenedFile> {
        self.descriptors.open(path, flags, created)
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
    pub fn interrupts(&self) -> Option<Obj> {
        self.interrupts.lock().clone()
    }

    /// Makes an object the one that interrupt lines lead to, until it is released.
    ///
    /// # Errors
    /// If there is one, or the object is no [`InterruptController`], another tree's, or has left its
    /// tree.
    pub fn set_interrupts(&self, controller: &Obj) -> Result<(), RoleError> {
        let can = controller.is::<dyn InterruptController>();
        self.give("an interrupt controller", &self.interrupts, controller, can)
    }

    /// What takes message-signalled interrupts.
    #[must_use]
    pub fn msi(&self) -> Option<Arc<dyn MsiSink>> {
        self.msi.lock().as_ref()?.cast::<dyn MsiSink>()
    }

    /// Makes an object the one that takes message-signalled interrupts, until it is released.
    ///
    /// # Errors
    /// If there is one, or the object is no [`MsiSink`], another tree's, or has left its tree.
    pub fn set_msi(&self, sink: &Obj) -> Result<(), RoleError> {
        self.give("a sink of messages", &self.msi, sink, sink.is::<dyn MsiSink>())
    }

    /// What turns a guest's writes into events; none where all reach registers.
    #[must_use]
    pub fn doorbells(&self) -> Option<Arc<dyn Doorbells>> {
        self.doorbells.lock().as_ref()?.cast::<dyn Doorbells>()
    }

    /// Makes an object the one that turns a guest's writes into events, until it is released.
    ///
    /// # Errors
    /// If there is one, or the object has no [`Doorbells`], is another tree's, or has left its tree.
    pub fn set_doorbells(&self, object: &Obj) -> Result<(), RoleError> {
        self.give("doorbells", &self.doorbells, object, object.is::<dyn Doorbells>())
    }

    /// Lets a transport offer a bus of that name to one virtio device, until it is released.
    ///
    /// # Errors
    /// If there is a bus of that name, or the object is no transport, another tree's, or has left its
    /// tree.
    pub fn offer_virtio_bus(&self, transport: &Obj, name: String) -> Result<(), VirtioBusError> {
        self.virtio_buses.offer(self.tree, transport, name)
    }

    /// Gives a virtio device its place on the bus that it names, or on the first that is free, until
    /// it is released.
    ///
    /// # Errors
    /// If there is no such bus or none is free, or the object is no virtio device, another tree's, or
    /// has left its tree.
    pub fn plug_virtio(&self, device: &Obj) -> Result<(), VirtioBusError> {
        self.virtio_buses.plug(self.tree, device)
    }

    /// The names of the buses of virtio devices, each with the device that stands on it.
    #[must_use]
    pub fn virtio_buses(&self) -> Vec<(String, Option<Obj>)> {
        self.virtio_buses.list()
    }

    fn give(
        &self,
        role: &'static str,
        holder: &Mutex<Option<Obj>>,
        object: &Obj,
        can: bool,
    ) -> Result<(), RoleError> {
        let type_name = object.class().name();
        if object.tree() != self.tree {
            return Err(RoleError::Foreign { type_name });
        }
        if !is_attached(object) {
            return Err(RoleError::Detached { type_name });
        }
        if !can {
            return Err(RoleError::Unable { role, type_name });
        }
        let mut holder = holder.lock();
        if let Some(there) = &*holder {
            return Err(RoleError::Taken {
                role,
                owner: there.path().unwrap_or_default(),
                owner_type: there.class().name(),
            });
        }
        *holder = Some(object.clone());
        Ok(())
    }

    /// Lays the interrupt line of a device.
    ///
    /// # Errors
    /// If there is no controller or no such pin, the pin is taken, or the device is another tree's
    /// or has left its tree.
    pub fn line(&self, device: &Obj, pin: u32) -> Result<InterruptLine, LineError> {
        let type_name = device.class().name();
        if device.tree() != self.tree {
            return Err(LineError::Foreign { type_name });
        }
        if !is_attached(device) {
            return Err(LineError::Detached { type_name });
        }
        let controller = self.interrupts().ok_or(LineError::NoController)?;
        let tap = Arc::clone(&self.line_tap);
        let line = InterruptLine::tapped(self.tree, &controller, pin, tap)?;
        let mut lines = self.lines.lock();
        if let Some((_, owner)) = lines.iter().find(|(taken, _)| taken.pin() == pin) {
            return Err(LineError::Taken {
                pin,
                owner: owner.path().unwrap_or_default(),
                owner_type: owner.class().name(),
            });
        }
        lines.push((line.clone(), device.clone()));
        Ok(line)
    }

    /// All interrupt lines, in the order in which they were laid, with the devices whose they are.
    #[must_use]
    pub fn lines(&self) -> Vec<(InterruptLine, Obj)> {
        self.lines.lock().clone()
    }

    /// Lets somebody hear of each change of a line's level from here on, for as long as he is kept.
    /// False if the machine has such a watcher already: it never has another.
    pub fn watch_lines(&self, watcher: Weak<dyn LineWatcher>) -> bool {
        self.line_tap.set(watcher)
    }

    /// What devices take their time from: the host's clock, unless the machine was given another.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.clock.get_or_init(Clock::host)
    }

    /// Gives the machine its clock. False if something has asked for it already.
    pub fn set_clock(&self, clock: Clock) -> bool {
        self.clock.set(clock).is_ok()
    }

    /// Lets an object read from the character device that a link of it leads to, if it leads to one,
    /// until it is released. `reader` is the object itself; it is called on the thread of `events`,
    /// or else on that which the stream was opened on.
    ///
    /// A device does so through [`RealizeContext::connect`](crate::realize::RealizeContext::connect).
    ///
    /// # Errors
    /// If another reads from that stream, `reader` is not the object, or the object is another
    /// tree's or has left its tree.
    pub fn connect<T: ChardevFrontend + 'static>(
        &self,
        object: &Obj,
        chardev: &Link<dyn Chardev>,
        reader: Weak<T>,
        events: Option<Arc<EventLoop>>,
    ) -> Result<(), ConnectError> {
        let Some(stream) = chardev.get() else { return Ok(()) };
        self.check_connecting(object, &reader)?;
        if !stream.connect(Frontend::new(reader, events)) {
            return Err(in_use(chardev.handle()));
        }
        let backend = Backend::Stream(Arc::clone(stream));
        self.connections.lock().push(Connection { backend, device: object.clone() });
        Ok(())
    }

    /// Plugs an object into the network backend that a link of it leads to, if it leads to one,
    /// until it is released. `peer` is the object itself; it is called on the thread of `events`, or
    /// else on the main one.
    ///
    /// A device does so through
    /// [`RealizeContext::connect_network`](crate::realize::RealizeContext::connect_network).
    ///
    /// # Errors
    /// As [`Platform::connect`].
    pub fn connect_network<T: NetdevPeer + 'static>(
        &self,
        object: &Obj,
        netdev: &Link<dyn Netdev>,
        peer: Weak<T>,
        events: Option<Arc<EventLoop>>,
    ) -> Result<(), ConnectError> {
        let Some(network) = netdev.get() else { return Ok(()) };
        self.check_connecting(object, &peer)?;
        if !network.connect(PeerHandle::new(peer, events)) {
            return Err(in_use(netdev.handle()));
        }
        let backend = Backend::Network(Arc::clone(network));
        self.connections.lock().push(Connection { backend, device: object.clone() });
        Ok(())
    }

    /// Checks that an object of this tree asks for itself.
    fn check_connecting<T: 'static>(
        &self,
        object: &Obj,
        called: &Weak<T>,
    ) -> Result<(), ConnectError> {
        let type_name = object.class().name();
        if object.tree() != self.tree {
            return Err(ConnectError::Foreign { type_name });
        }
        if !is_attached(object) {
            return Err(ConnectError::Detached { type_name });
        }
        if object.cast::<T>().is_none_or(|this| Arc::as_ptr(&this) != called.as_ptr()) {
            return Err(ConnectError::NotThis { type_name });
        }
        Ok(())
    }

    /// The object that reads from a character device; none if nothing does.
    #[must_use]
    pub fn reader(&self, chardev: &Obj) -> Option<Obj> {
        self.connected(&Backend::Stream(chardev.cast()?))
    }

    /// The object that is plugged into a network backend; none if nothing is.
    #[must_use]
    pub fn network_peer(&self, netdev: &Obj) -> Option<Obj> {
        self.connected(&Backend::Network(netdev.cast()?))
    }

    fn connected(&self, backend: &Backend) -> Option<Obj> {
        let connections = self.connections.lock();
        let found =
            connections.iter().find(|connection| connection.backend.address() == backend.address());
        found.map(|connection| connection.device.clone())
    }

    /// Who uses which block node.
    #[must_use]
    pub const fn block_users(&self) -> &BlockUsers {
        &self.block_users
    }

    /// Takes away all that a device has here: addresses, lines, connections, disks, roles. Its lines go
    /// low and stay so, as a pin does that nothing drives any more.
    pub fn release(&self, device: &Obj) {
        self.ports.release(device);
        self.memory_io.release(device);
        self.block_users.release(device);
        let of_device = |owner: &Obj| owner.same(device);
        // Neither a backend nor a controller is called with a lock of the platform's held.
        let connections: Vec<_> = {
            let mut connections = self.connections.lock();
            connections.extract_if(.., |connection| of_device(&connection.device)).collect()
        };
        for connection in connections {
            connection.backend.disconnect();
        }
        let lines: Vec<_> = {
            let mut lines = self.lines.lock();
            lines.extract_if(.., |(_, owner)| of_device(owner)).collect()
        };
        for (line, _) in lines {
            line.cut();
        }
        self.virtio_buses.release(device);
        for role in [&self.interrupts, &self.msi, &self.doorbells] {
            role.lock().take_if(|holder| of_device(holder));
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

    /// Lets a listener hear of all events from here on, for as long as somebody keeps it.
    pub fn listen(&self, listener: Weak<dyn EventListener>) {
        let mut listeners = self.announcer.0.lock();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(listener);
    }

    /// Tells all listeners that something happened.
    pub fn announce<E: Event>(&self, event: &E) {
        self.announcer.announce(event);
    }

    /// What tells them later.
    #[must_use]
    pub const fn announcer(&self) -> &Announcer {
        &self.announcer
    }
}
