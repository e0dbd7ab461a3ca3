//! An interrupt controller and a message sink that record what is done to them.

use std::mem;

use crate::prelude::*;

/// Interrupt controller that records levels
#[qom_type(secure, name = "test-controller", parent = SysBusDevice, interfaces(InterruptController))]
pub struct TestController {
    pins: Mutex<Pins>,
}

#[derive(Default)]
struct Pins {
    /// One bit each.
    levels: u32,
    changes: Vec<(u32, bool)>,
}

impl TestController {
    /// Every pin and level that it was told since this was last called.
    pub fn take_changes(&self) -> Vec<(u32, bool)> {
        mem::take(&mut self.pins.lock().changes)
    }

    /// The level of a pin.
    pub fn level(&self, pin: u32) -> bool {
        self.pins.lock().levels & bit(pin) != 0
    }
}

fn bit(pin: u32) -> u32 {
    1_u32.checked_shl(pin).unwrap_or(0)
}

impl Device for TestController {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_interrupts()
    }
}

impl SysBusDevice for TestController {}

impl InterruptController for TestController {
    fn pins(&self) -> u32 {
        24
    }

    fn set_level(&self, pin: u32, level: bool) {
        let mut pins = self.pins.lock();
        if level {
            pins.levels |= bit(pin);
        } else {
            pins.levels &= !bit(pin);
        }
        pins.changes.push((pin, level));
    }
}

/// What a [`TestSink`] was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkCall {
    /// To deliver a message.
    Send(Msi),
    /// Which message a pin stands for.
    Route(u32, Option<Msi>),
}

/// Message sink that records calls
#[qom_type(secure, name = "test-sink", parent = SysBusDevice, interfaces(MsiSink))]
pub struct TestSink {
    calls: Mutex<Vec<SinkCall>>,
}

impl TestSink {
    /// Every call since this was last called.
    pub fn take(&self) -> Vec<SinkCall> {
        mem::take(&mut self.calls.lock())
    }

    /// The messages sent since anything was last taken.
    pub fn take_sent(&self) -> Vec<Msi> {
        let sent = |call| match call {
            SinkCall::Send(message) => Some(message),
            SinkCall::Route(..) => None,
        };
        self.take().into_iter().filter_map(sent).collect()
    }
}

impl Device for TestSink {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_msi()
    }
}

impl SysBusDevice for TestSink {}

impl MsiSink for TestSink {
    fn send(&self, message: Msi) {
        self.calls.lock().push(SinkCall::Send(message));
    }

    fn route(&self, pin: u32, message: Option<Msi>) {
        self.calls.lock().push(SinkCall::Route(pin, message));
    }
}
