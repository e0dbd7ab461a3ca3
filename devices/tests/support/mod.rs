//! A machine for one device under test, driven through its buses as a guest would drive it.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part of it")]

mod backends;

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use device_model::{
    chardev::Chardev,
    event_loop::EventLoop,
    platform::Platform,
    qom_core::{
        BoxedError, Completion, CreateError, Created, Globals, Obj, Policy, Registry, Request, Tree,
    },
    realize::DeviceRealizer,
    request::VmRequest,
};
// Registers its types.
use devices as _;

pub(crate) use backends::{SinkCall, TestChardev, TestController, TestSink};

/// Opens character devices and realizes devices.
struct Realizer<'a>(&'a Platform);

impl Completion for Realizer<'_> {
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
        match object.cast::<dyn Chardev>() {
            Some(chardev) => Ok(chardev.open(self.0.events())?),
            None => DeviceRealizer::new(self.0).complete(object),
        }
    }

    fn undo(&mut self, object: &Obj) {
        match object.cast::<dyn Chardev>() {
            Some(chardev) => chardev.close(),
            None => DeviceRealizer::new(self.0).undo(object),
        }
    }
}

/// A tree, and the platform of its devices.
pub(crate) struct Machine {
    pub(crate) tree: Tree,
    pub(crate) platform: Platform,
}

impl Machine {
    /// An empty machine under the default policy, which takes declared-secure types only.
    pub(crate) fn new() -> Self {
        Self::with_policy(Policy::default())
    }

    pub(crate) fn with_policy(policy: Policy) -> Self {
        let registry = Registry::global().expect("the linked types are in order");
        let tree = Tree::new(Arc::clone(registry), policy, Globals::default()).unwrap();
        let platform = Platform::new(tree.id()).unwrap();
        Self { tree, platform }
    }

    /// A machine with an interrupt controller, which records what is done to its pins.
    pub(crate) fn with_controller() -> (Self, Arc<TestController>) {
        let machine = Self::new();
        let controller = machine.add("test-controller", "pic", &[]);
        assert!(machine.platform.set_interrupts(&controller));
        let controller = controller.cast().unwrap();
        (machine, controller)
    }

    pub(crate) fn create(
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
        self.tree.create([request], &mut Realizer(&self.platform)).map_err(Box::new)
    }

    /// Creates one object, which must succeed.
    pub(crate) fn add(&self, type_name: &str, name: &str, properties: &[(&str, &str)]) -> Obj {
        let created = self.create(type_name, name, properties).unwrap();
        created.objects.into_iter().next().unwrap()
    }

    pub(crate) fn remove(&self, object: &Obj) {
        self.tree.remove(object, &mut Realizer(&self.platform)).unwrap();
    }

    /// Paths of all objects but the root.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.tree.walk().iter().filter_map(Obj::path).filter(|path| path != "/").collect()
    }

    pub(crate) fn outb(&self, port: u16, value: u8) {
        self.platform.ports().write(port.into(), &[value]);
    }

    pub(crate) fn inb(&self, port: u16) -> u8 {
        let mut data = [0];
        self.platform.ports().read(port.into(), &mut data);
        data[0]
    }

    /// What devices have asked of the machine since this was last called.
    pub(crate) fn requests(&self) -> Vec<VmRequest> {
        self.platform.requests().take()
    }

    /// Runs the main loop on a thread of its own.
    pub(crate) fn run_events(&self) -> Running {
        let events = Arc::clone(self.platform.events());
        let thread = {
            let events = Arc::clone(&events);
            std::thread::spawn(move || events.run().unwrap())
        };
        Running { events, thread: Some(thread) }
    }
}

/// A main loop that runs until this is dropped.
pub(crate) struct Running {
    events: Arc<EventLoop>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.events.stop();
        let result = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            result.unwrap();
        }
    }
}

/// Waits for something that another thread does. Ten seconds are more than it takes.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
