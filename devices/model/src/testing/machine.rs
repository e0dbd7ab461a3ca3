//! The machine of a test: a tree, a platform, and what a guest can do to them.

use std::{
    os::fd::AsRawFd,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use qom_core::{CompatPolicy, CreateError, Created, Globals, Obj, Policy, Registry, Request, Tree};

use super::{TestController, control::Controlled};
use crate::{
    descriptors::Descriptors, event_loop::EventLoop, platform::Platform, realize::DeviceRealizer,
    request::VmRequest,
};

/// A tree, and the platform of its devices.
#[derive(Debug)]
pub struct Machine {
    /// All objects.
    pub tree: Tree,
    /// What the devices share.
    pub platform: Arc<Platform>,
    pub(super) controlled: Controlled,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// An empty machine under the default policy, which takes declared-secure types only.
    #[must_use]
    pub fn new() -> Self {
        Self::with_policy(Policy::default())
    }

    /// An empty machine under a policy.
    ///
    /// # Panics
    /// If the types of the linked crates contradict each other.
    #[must_use]
    pub fn with_policy(policy: Policy) -> Self {
        Self::with_policies(policy, CompatPolicy::default())
    }

    /// An empty machine under a policy, and another for what is deprecated or unstable.
    ///
    /// # Panics
    /// If the types of the linked crates contradict each other.
    #[must_use]
    pub fn with_policies(policy: Policy, compat: CompatPolicy) -> Self {
        let registry = Registry::global().expect("the linked types are in order");
        let tree = Tree::new(Arc::clone(registry), policy, Globals::default());
        let descriptors = Arc::<Descriptors>::default();
        let tree = tree.expect("an empty tree can be made").with_compat(compat);
        let tree = tree.with_context(Arc::clone(&descriptors));
        let platform = Platform::with_descriptors(tree.id(), descriptors);
        let platform = platform.expect("the process has descriptors");
        let controlled = Controlled::new(policy);
        Self { tree, platform: Arc::new(platform), controlled }
    }

    /// A machine with an interrupt controller, `/pic`, which records what is done to its 24 pins.
    #[must_use]
    pub fn with_controller() -> (Self, Arc<TestController>) {
        let machine = Self::new();
        let controller = machine.add("test-controller", "pic", &[]);
        let controller = controller.cast().expect("it is of that type");
        (machine, controller)
    }

    /// Creates an object `/name` with properties as a command line has them.
    ///
    /// # Errors
    /// If it can't be, as a user would see it.
    pub fn create(
        &self,
        type_name: &str,
        name: &str,
        properties: &[(&str, &str)],
    ) -> Result<Created, Box<CreateError>> {
        let request = properties
            .iter()
            .fold(Request::new(type_name, "/", name), |request, (property, value)| {
                request.set(*property, *value)
            });
        self.tree.create([request], &mut DeviceRealizer::new(&self.platform)).map_err(Box::new)
    }

    /// Creates one object.
    ///
    /// # Panics
    /// If it can't be.
    pub fn add(&self, type_name: &str, name: &str, properties: &[(&str, &str)]) -> Obj {
        match self.create(type_name, name, properties) {
            Ok(created) => created.objects.into_iter().next().expect("one was asked for"),
            Err(error) => panic!("{type_name} '{name}': {error}"),
        }
    }

    /// Removes an object.
    ///
    /// # Panics
    /// If it is in use.
    pub fn remove(&self, object: &Obj) {
        let removed = self.tree.remove(object, &mut DeviceRealizer::new(&self.platform));
        removed.expect("it can be removed");
    }

    /// States that the process was started with these descriptors, and with no others. The number
    /// of each, as properties have it.
    pub fn hand_over<const N: usize>(&self, descriptors: [&dyn AsRawFd; N]) -> [String; N] {
        let numbers = descriptors.map(|descriptor| descriptor.as_raw_fd());
        self.platform.descriptors().inherit(numbers);
        numbers.map(|number| number.to_string())
    }

    /// Paths of all objects but the root.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.tree.walk().iter().filter_map(Obj::path).filter(|path| path != "/").collect()
    }

    /// The guest writes a byte to a port.
    pub fn outb(&self, port: u16, value: u8) {
        self.platform.ports().write(port.into(), &[value]);
    }

    /// The guest reads a byte from a port: 0xff if nothing answers.
    pub fn inb(&self, port: u16) -> u8 {
        let mut data = [0];
        self.platform.ports().read(port.into(), &mut data);
        data[0]
    }

    /// The guest writes to an address of a memory-mapped device.
    pub fn write_memory(&self, address: u64, data: &[u8]) {
        self.platform.memory_io().write(address, data);
    }

    /// The guest reads `N` bytes from an address of a memory-mapped device: ones if nothing answers.
    #[must_use]
    pub fn read_memory<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut data = [0; N];
        self.platform.memory_io().read(address, &mut data);
        data
    }

    /// What devices have asked of the machine since this was last called.
    #[must_use]
    pub fn requests(&self) -> Vec<VmRequest> {
        self.platform.requests().take()
    }

    /// Runs the main loop on a thread of its own, until what this returns is dropped.
    #[must_use = "the loop ends when this is dropped"]
    pub fn run_events(&self) -> Running {
        let events = Arc::clone(self.platform.events());
        let thread = {
            let events = Arc::clone(&events);
            std::thread::spawn(move || events.run().expect("waiting does not fail"))
        };
        Running { events, thread: Some(thread) }
    }
}

/// A main loop that runs until this is dropped.
#[derive(Debug)]
pub struct Running {
    events: Arc<EventLoop>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.events.stop();
        let result = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(result, Some(Ok(()))), "a callback of the main loop panicked");
        }
    }
}

/// Waits for something that another thread does. Ten seconds are more than it takes.
///
/// # Panics
/// If they are not enough.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
