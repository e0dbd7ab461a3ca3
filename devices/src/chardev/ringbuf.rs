//! `chardev-ringbuf`: the last output, kept in memory.

use std::{
    collections::VecDeque,
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use device_model::prelude::*;

/// The most that may be kept.
const LARGEST: u64 = 1 << 30;

/// Memory that keeps the last output
///
/// A monitor's `ringbuf-read` takes it out, and `ringbuf-write` adds to it. The device gets no input.
#[qom_type(secure, parent = Chardev, interfaces(RingBuffer), children = check)]
#[derive(Debug)]
pub struct ChardevRingbuf {
    /// Bytes that are kept, a power of two
    #[property(default = Size(64 << 10))]
    size: Size,
    kept: Mutex<VecDeque<u8>>,
    connected: AtomicBool,
}

/// Refuses a size that is no power of two. It announces no children.
fn check(configuration: &Configuration<'_>, _children: &mut Children) -> Result<(), PlanError> {
    let Size(size) = configuration.get("size")?;
    if !size.is_power_of_two() || size > LARGEST {
        let problem =
            format!("Parameter 'size' expects a power of two up to {LARGEST}, got '{size}'");
        return Err(PlanError::refused("size", problem));
    }
    Ok(())
}

impl ChardevRingbuf {
    /// How many bytes are kept.
    pub fn len(&self) -> usize {
        self.kept.lock().len()
    }

    /// Whether none are kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl RingBuffer for ChardevRingbuf {
    fn take(&self, count: usize) -> Vec<u8> {
        let mut kept = self.kept.lock();
        let count = count.min(kept.len());
        kept.drain(..count).collect()
    }

    fn put(&self, bytes: &[u8]) {
        let size = usize::try_from(self.size.0).unwrap_or(usize::MAX);
        let bytes = bytes.get(bytes.len().saturating_sub(size)..).unwrap_or_default();
        let mut kept = self.kept.lock();
        let excess = kept.len().saturating_add(bytes.len()).saturating_sub(size);
        let excess = excess.min(kept.len());
        kept.drain(..excess);
        kept.extend(bytes);
    }
}

impl Chardev for ChardevRingbuf {
    fn open(&self, _platform: &Platform) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) {}

    fn write(&self, bytes: &[u8]) {
        self.put(bytes);
    }

    fn connect(&self, _frontend: Frontend) -> bool {
        !self.connected.swap(true, Ordering::AcqRel)
    }

    fn disconnect(&self) {
        self.connected.store(false, Ordering::Release);
    }

    fn accept_input(&self) {}

    fn filename(&self) -> String {
        "ringbuf".to_owned()
    }
}
