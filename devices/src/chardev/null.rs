//! `chardev-null`: takes everything, and never sends anything.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use device_model::prelude::*;

/// Stream that loses its output and has no input
#[qom_type(secure, parent = Chardev)]
#[derive(Debug)]
pub struct ChardevNull {
    connected: AtomicBool,
}

impl Chardev for ChardevNull {
    fn open(&self, _platform: &Platform) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) {}

    fn write(&self, _bytes: &[u8]) {}

    fn connect(&self, _frontend: Frontend) -> bool {
        !self.connected.swap(true, Ordering::AcqRel)
    }

    fn disconnect(&self) {
        self.connected.store(false, Ordering::Release);
    }

    fn accept_input(&self) {}

    fn filename(&self) -> String {
        "null".to_owned()
    }
}
