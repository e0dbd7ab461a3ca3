//! What a device under test meets: an interrupt controller, a message sink, a character device.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
};

use device_model::{event_loop::EventLoop, prelude::*};

/// Interrupt controller that records levels
#[qom_type(secure, name = "test-controller", parent = SysBusDevice, interfaces(InterruptController))]
pub(crate) struct TestController {
    changes: Mutex<Vec<(u32, bool)>>,
}

impl TestController {
    /// Every call since this was last called.
    pub(crate) fn take_changes(&self) -> Vec<(u32, bool)> {
        std::mem::take(&mut self.changes.lock().unwrap())
    }

    /// The level that a pin was last driven to.
    pub(crate) fn level(&self, pin: u32) -> bool {
        let changes = self.changes.lock().unwrap();
        changes.iter().rev().find(|(at, _)| *at == pin).is_some_and(|(_, level)| *level)
    }
}

impl Device for TestController {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl SysBusDevice for TestController {}

impl InterruptController for TestController {
    fn pins(&self) -> u32 {
        24
    }

    fn set_level(&self, pin: u32, level: bool) {
        self.changes.lock().unwrap().push((pin, level));
    }
}

/// What a [`TestSink`] was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SinkCall {
    Send(Msi),
    Route(u32, Option<Msi>),
}

/// Message sink that records calls
#[qom_type(secure, name = "test-sink", parent = SysBusDevice, interfaces(MsiSink))]
pub(crate) struct TestSink {
    calls: Mutex<Vec<SinkCall>>,
}

impl TestSink {
    /// Every call since this was last called.
    pub(crate) fn take(&self) -> Vec<SinkCall> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// The messages sent since anything was last taken.
    pub(crate) fn take_sent(&self) -> Vec<Msi> {
        let sent = |call| match call {
            SinkCall::Send(message) => Some(message),
            SinkCall::Route(..) => None,
        };
        self.take().into_iter().filter_map(sent).collect()
    }
}

impl Device for TestSink {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl SysBusDevice for TestSink {}

impl MsiSink for TestSink {
    fn send(&self, message: Msi) {
        self.calls.lock().unwrap().push(SinkCall::Send(message));
    }

    fn route(&self, pin: u32, message: Option<Msi>) {
        self.calls.lock().unwrap().push(SinkCall::Route(pin, message));
    }
}

/// Character device whose host is the test
///
/// It passes input on from within [`Chardev::accept_input`], the rudest way that is allowed.
#[qom_type(secure, name = "test-chardev", parent = Chardev)]
pub(crate) struct TestChardev {
    output: Mutex<Vec<u8>>,
    input: Mutex<VecDeque<u8>>,
    frontend: Mutex<Option<Arc<dyn ChardevFrontend>>>,
}

impl TestChardev {
    /// What the device has written since this was last called.
    pub(crate) fn take_output(&self) -> Vec<u8> {
        std::mem::take(&mut self.output.lock().unwrap())
    }

    /// Bytes arrive at the host.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.input.lock().unwrap().extend(bytes);
        self.accept_input();
    }

    /// Bytes that the device has not taken.
    pub(crate) fn waiting(&self) -> usize {
        self.input.lock().unwrap().len()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.frontend.lock().unwrap().is_some()
    }
}

impl Chardev for TestChardev {
    fn open(&self, _events: &Arc<EventLoop>) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) {}

    fn write(&self, bytes: &[u8]) {
        self.output.lock().unwrap().extend(bytes);
    }

    fn connect(&self, frontend: Arc<dyn ChardevFrontend>) -> bool {
        let mut connected = self.frontend.lock().unwrap();
        let free = connected.is_none();
        if free {
            *connected = Some(frontend);
        }
        free
    }

    fn disconnect(&self) {
        *self.frontend.lock().unwrap() = None;
    }

    fn accept_input(&self) {
        let Some(frontend) = self.frontend.lock().unwrap().clone() else {
            return;
        };
        let bytes: Vec<u8> = {
            let mut input = self.input.lock().unwrap();
            let room = frontend.can_receive().min(input.len());
            input.drain(..room).collect()
        };
        if !bytes.is_empty() {
            frontend.receive(&bytes);
        }
    }
}
