//! A character device whose host is the test.

use std::{collections::VecDeque, io, mem, sync::Weak};

use crate::prelude::*;

/// A reader of a stream that is no device, for tests of streams by themselves.
#[must_use]
pub fn frontend(reader: Weak<dyn ChardevFrontend>) -> Frontend {
    Frontend::new(reader, None)
}

/// Character device whose host is the test
///
/// It passes input on from within [`Chardev::accept_input`], the rudest way that is allowed.
#[qom_type(secure, name = "test-chardev", parent = Chardev)]
pub struct TestChardev {
    output: Mutex<Vec<u8>>,
    input: Mutex<VecDeque<u8>>,
    frontend: Mutex<Option<Frontend>>,
    is_open: Mutex<bool>,
}

impl TestChardev {
    /// What the device has written since this was last called.
    pub fn take_output(&self) -> Vec<u8> {
        mem::take(&mut self.output.lock())
    }

    /// Bytes arrive at the host.
    pub fn send(&self, bytes: &[u8]) {
        self.input.lock().extend(bytes);
        self.accept_input();
    }

    /// How many bytes the device has not taken.
    pub fn waiting(&self) -> usize {
        self.input.lock().len()
    }

    /// Whether a device reads from it.
    pub fn is_connected(&self) -> bool {
        self.frontend.lock().is_some()
    }

    /// Whether it was opened, and not closed since.
    pub fn is_open(&self) -> bool {
        *self.is_open.lock()
    }
}

impl Chardev for TestChardev {
    fn open(&self, _platform: &Platform) -> io::Result<()> {
        *self.is_open.lock() = true;
        Ok(())
    }

    fn close(&self) {
        *self.is_open.lock() = false;
    }

    fn write(&self, bytes: &[u8]) {
        self.output.lock().extend(bytes);
    }

    fn connect(&self, frontend: Frontend) -> bool {
        let mut connected = self.frontend.lock();
        let free = connected.is_none();
        if free {
            *connected = Some(frontend);
        }
        free
    }

    fn disconnect(&self) {
        *self.frontend.lock() = None;
    }

    fn accept_input(&self) {
        let frontend = self.frontend.lock().as_ref().and_then(Frontend::upgrade);
        let Some(frontend) = frontend else { return };
        let bytes: Vec<u8> = {
            let mut input = self.input.lock();
            let room = frontend.can_receive().min(input.len());
            input.drain(..room).collect()
        };
        if !bytes.is_empty() {
            frontend.receive(&bytes);
        }
    }

    fn filename(&self) -> String {
        "test".to_owned()
    }
}
