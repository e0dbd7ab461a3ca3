//! Realizing: what a context gives a device, what calls the device back, and what goes with it.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use device_model::{
    platform::ConnectError,
    prelude::*,
    realize::DeviceRealizer,
    testing::{Machine, TestChardev, wait_until},
};
use qom_core::{CreateError, Policy, Request};

/// What a model says of a configuration that can't be
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("mode is {0}, but only 0 exists")]
struct NoSuchMode(u32);

/// A device with a timer and a character device that it reads from
#[qom_type(secure, parent = IsaDevice)]
struct Clock {
    /// Where ticks go to
    #[property(link = dyn Chardev)]
    chardev: Link<dyn Chardev>,
    /// How it works
    #[property(default = 0)]
    mode: u32,
    ticks: AtomicU32,
    received: Mutex<Vec<u8>>,
    timer: Realized<Timer>,
}

impl Clock {
    fn tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }
}

impl ChardevFrontend for Clock {
    fn can_receive(&self) -> usize {
        4
    }

    fn receive(&self, bytes: &[u8]) {
        self.received.lock().extend(bytes);
    }
}

impl Device for Clock {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        self.timer.set(cx.timer(self, Self::tick)?);
        cx.connect(self, &self.chardev)?;
        match self.mode {
            0 => Ok(()),
            mode => Err(DeviceError::configuration(NoSuchMode(mode))),
        }
    }

    fn unrealize(&self) {
        self.timer.clear();
    }
}

impl IsaDevice for Clock {}

/// A device that speaks for another one
#[qom_type(secure, parent = IsaDevice)]
struct Impostor {
    /// The other one
    #[property(link = dyn Device)]
    other: Link<dyn Device>,
}

impl Device for Impostor {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let other = self.other.handle().and_then(Obj::cast::<Self>);
        cx.timer(other.as_deref().unwrap_or(self), |_| {}).map(drop)
    }
}

impl IsaDevice for Impostor {}

fn clock(object: &Obj) -> Arc<Clock> {
    object.cast().expect("it is a clock")
}

#[test]
fn a_timer_calls_the_device_until_that_goes_and_does_not_keep_it_alive() {
    let machine = Machine::new();
    let object = machine.add("clock", "clock", &[]);
    let device = clock(&object);
    let _running = machine.run_events();
    device.timer.with(|timer| timer.set(Some(Duration::ZERO))).expect("it is realized");
    wait_until("a tick", || device.ticks.load(Ordering::Relaxed) == 1);
    machine.remove(&object);
    assert!(device.timer.get().is_none());
    let weak = Arc::downgrade(&device);
    drop((object, device));
    wait_until("the end of the device", || weak.strong_count() == 0);
}

#[test]
fn a_device_and_its_stream_do_not_keep_each_other_alive() {
    let machine = Machine::new();
    let host = machine.add("test-chardev", "host", &[]);
    let stream: Arc<TestChardev> = host.cast().expect("it is one");
    assert!(stream.is_open());
    let object = machine.add("clock", "clock", &[("chardev", "/host")]);
    let device = clock(&object);
    stream.send(b"123456");
    assert_eq!(*device.received.lock(), b"1234");
    let weak = Arc::downgrade(&device);
    machine.remove(&object);
    assert!(!stream.is_connected());
    stream.accept_input();
    assert_eq!(device.received.lock().len(), 4, "nothing calls it any more");
    drop((object, device));
    assert_eq!(weak.strong_count(), 0);
    machine.remove(&host);
    assert!(!stream.is_open());
}

#[test]
fn a_device_that_fails_leaves_the_stream_to_another_and_keeps_its_own_error() {
    let machine = Machine::new();
    let host = machine.add("test-chardev", "host", &[]);
    let error = machine.create("clock", "a", &[("chardev", "/host"), ("mode", "3")]).unwrap_err();
    assert_eq!(error.to_string(), "mode is 3, but only 0 exists");
    let CreateError::Complete { error, .. } = *error else { panic!("{error}") };
    let Some(DeviceError::Configuration(cause)) = error.downcast_ref() else { panic!("{error}") };
    assert_eq!(cause.downcast_ref(), Some(&NoSuchMode(3)));
    assert!(!host.cast::<TestChardev>().expect("it is one").is_connected());
    machine.add("clock", "b", &[("chardev", "/host")]);
    let error = machine.create("clock", "c", &[("chardev", "/host")]).unwrap_err();
    assert_eq!(error.to_string(), "'/host' is in use by another device");
}

#[test]
fn a_configuration_error_can_be_words_alone() {
    let error = DeviceError::configuration(format!("no {}", "way"));
    assert_eq!(error.to_string(), "no way");
    assert!(error.source().is_none());
}

#[test]
fn a_device_can_only_ask_for_itself() {
    let machine = Machine::with_policy(Policy::default());
    machine.add("impostor", "first", &[]);
    let request = Request::new("impostor", "/", "second").set("other", "/first");
    let error = machine.tree.create([request], &mut DeviceRealizer::new(&machine.platform));
    assert_eq!(
        error.unwrap_err().to_string(),
        "a device of type 'impostor' asked for something in the name of another object"
    );
}

#[test]
fn only_a_device_of_the_tree_connects_to_its_streams() {
    let (ours, theirs) = (Machine::new(), Machine::new());
    let host = ours.add("test-chardev", "host", &[]);
    let is_connected = || host.cast::<TestChardev>().expect("it is one").is_connected();
    theirs.add("test-chardev", "host", &[]);
    let foreign = theirs.add("clock", "clock", &[("chardev", "/host")]);
    let mut realizer = DeviceRealizer::new(&ours.platform);
    let error = realizer.complete(&foreign).unwrap_err();
    let error: &DeviceError = error.downcast_ref().expect("a device's");
    assert!(
        matches!(error, DeviceError::Connect(ConnectError::Foreign { type_name: "clock" })),
        "{error}"
    );
    let gone = ours.add("clock", "clock", &[("chardev", "/host")]);
    assert!(is_connected());
    ours.remove(&gone);
    let error = realizer.complete(&gone).unwrap_err();
    let error: &DeviceError = error.downcast_ref().expect("a device's");
    assert!(
        matches!(error, DeviceError::Connect(ConnectError::Detached { type_name: "clock" })),
        "{error}"
    );
    assert!(!is_connected());
}
