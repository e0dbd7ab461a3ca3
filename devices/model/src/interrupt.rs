//! Interrupt lines, the controllers that they lead to, and message-signalled interrupts.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use qom_core::{Obj, Object, TreeId, qom_interface};
use thiserror::Error;

use crate::bus::is_attached;

/// Something with pins that devices' interrupt lines lead to
///
/// A device drives its line with its own lock held, so that levels come in order. A controller may
/// take locks of its own and call a [`MsiSink`], but never a device.
#[qom_interface]
pub trait InterruptController: Object {
    /// How many pins it has.
    fn pins(&self) -> u32;

    /// Sets the level of a pin. A pin that does not exist is ignored.
    fn set_level(&self, pin: u32, level: bool);

    /// A processor has ended its handling of the interrupt with this vector.
    fn end_of_interrupt(&self, _vector: u8) {}
}

/// A message that interrupts a processor (Intel SDM volume 3, section 12.11, "Message Signalled
/// Interrupts").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Msi {
    /// Where it is written.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

/// Something that takes messages and interrupts processors
///
/// An interrupt controller calls it with its own lock held. It calls neither a controller nor a
/// device.
#[qom_interface]
pub trait MsiSink: Object {
    /// Delivers a message. One that names no processor is lost.
    fn send(&self, message: Msi);

    /// Tells which message a pin of the interrupt controller stands for at present, so that the
    /// end of a level-triggered interrupt is reported for its vector. None: the pin is masked.
    fn route(&self, pin: u32, message: Option<Msi>);
}

/// Somebody who hears of each change of the level of a machine's interrupt lines, as a test of devices
/// does.
///
/// It is called on whichever thread drives the line, with the lock of the line's device held: it
/// waits for nobody, and calls neither a device nor a controller.
pub trait LineWatcher: Send + Sync {
    /// The line to that pin was driven to this level, as the controller has been told.
    fn line_changed(&self, pin: u32, level: bool);
}

/// Where the one watcher of a machine's lines is known to them.
#[derive(Default)]
pub(crate) struct LineTap(OnceLock<Weak<dyn LineWatcher>>);

impl LineTap {
    /// False if there is one.
    pub(crate) fn set(&self, watcher: Weak<dyn LineWatcher>) -> bool {
        self.0.set(watcher).is_ok()
    }

    fn tell(&self, pin: u32, level: bool) {
        if let Some(watcher) = self.0.get().and_then(Weak::upgrade) {
            watcher.line_changed(pin, level);
        }
    }
}

impl fmt::Debug for LineTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineTap({})", self.0.get().is_some())
    }
}

/// A wire from a device to one pin of an interrupt controller. It starts low; its clones are the
/// same wire.
#[derive(Clone)]
pub struct InterruptLine {
    wire: Arc<Wire>,
}

struct Wire {
    controller: Arc<dyn InterruptController>,
    pin: u32,
    /// The level that the controller was last told. Changes under `connected` only, and after the
    /// controller was told.
    level: AtomicBool,
    /// Whether it still leads anywhere. Held while the controller is told a level.
    connected: Mutex<bool>,
    tap: Arc<LineTap>,
}

/// Why a line could not be laid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LineError {
    /// The machine has no interrupt controller.
    #[error("the machine has no interrupt controller")]
    NoController,
    /// No such pin.
    #[error("interrupt {pin} does not exist: '{controller}' has pins 0 to {last}")]
    NoPin {
        /// The pin asked for.
        pin: u32,
        /// Type of the controller.
        controller: &'static str,
        /// Its last pin.
        last: u32,
    },
    /// Another device's line leads there, and an ISA line is not shared.
    #[error("interrupt {pin} is taken by '{owner}' (type '{owner_type}')")]
    Taken {
        /// The pin asked for.
        pin: u32,
        /// Path of the device whose line it is.
        owner: String,
        /// Its type.
        owner_type: &'static str,
    },
    /// The object has no pins.
    #[error("type '{type_name}' is no interrupt controller")]
    NotAController {
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

impl InterruptLine {
    /// Lays a line to a pin of a controller of the tree.
    ///
    /// # Errors
    /// If the object is no controller, lacks the pin, is another tree's or has left its tree.
    pub fn new(tree: TreeId, controller: &Obj, pin: u32) -> Result<Self, LineError> {
        Self::tapped(tree, controller, pin, Arc::default())
    }

    /// Lays a line whose changes a watcher hears of.
    pub(crate) fn tapped(
        tree: TreeId,
        controller: &Obj,
        pin: u32,
        tap: Arc<LineTap>,
    ) -> Result<Self, LineError> {
        let type_name = controller.class().name();
        if controller.tree() != tree {
            return Err(LineError::Foreign { type_name });
        }
        if !is_attached(controller) {
            return Err(LineError::Detached { type_name });
        }
        let target = controller
            .cast::<dyn InterruptController>()
            .ok_or(LineError::NotAController { type_name })?;
        if pin >= target.pins() {
            let last = target.pins().saturating_sub(1);
            return Err(LineError::NoPin { pin, controller: type_name, last });
        }
        let (level, connected) = (AtomicBool::new(false), Mutex::new(true));
        Ok(Self { wire: Arc::new(Wire { controller: target, pin, level, connected, tap }) })
    }

    /// Drives the line. If it has that level already, the controller is not called, and no lock is
    /// taken: a device may call this after each access.
    ///
    /// Callers at the same time leave the controller at the level that the line remembers: it is told
    /// under a lock, one change after the other. Whoever returns early saw a level that the
    /// controller had been told in full, so that its call is one that came just before the change
    /// that may be under way. Which of several callers is the last to have its way is theirs to
    /// settle: a device drives the line under the lock under which it worked out the level.
    pub fn set_level(&self, level: bool) {
        if self.wire.level.load(Ordering::Acquire) == level {
            return;
        }
        let connected = self.wire.connected.lock();
        if *connected {
            self.wire.change(level);
        }
    }

    /// The level that it was last driven to.
    #[must_use]
    pub fn level(&self) -> bool {
        self.wire.level.load(Ordering::Acquire)
    }

    /// Cuts the wire: the pin goes low, and whoever drives the line from now on drives nothing.
    pub(crate) fn cut(&self) {
        let mut connected = self.wire.connected.lock();
        if *connected {
            self.wire.change(false);
        }
        *connected = false;
    }

    /// The pin that it leads to.
    #[must_use]
    pub fn pin(&self) -> u32 {
        self.wire.pin
    }
}

impl Wire {
    /// Tells the controller, with `connected` locked.
    fn change(&self, level: bool) {
        if self.level.load(Ordering::Relaxed) != level {
            self.controller.set_level(self.pin, level);
            self.level.store(level, Ordering::Release);
            self.tap.tell(self.pin, level);
        }
    }
}

impl fmt::Debug for InterruptLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InterruptLine").field(&self.pin()).finish()
    }
}
