//! An ELF kernel: what is loaded lies in memory, and is entered where it lies.

use std::io::Cursor;

use vmm::boot::elf::{KernelEntry, load};

use super::memory;
use crate::Target;

inventory::submit!(Target { name: "elf", covers: &["elf-loader"], run });

/// The whole input is the file.
fn run(data: &[u8]) {
    if let Ok(image) = load(&mut Cursor::new(data), memory::memory()) {
        assert!(image.range.start < image.range.end, "{image:?}");
        assert!(image.range.end <= memory::SIZE, "{image:?}");
        let entry = match image.entry {
            KernelEntry::Pvh { eip } => u64::from(eip),
            KernelEntry::Linux64 { rip } => rip,
        };
        assert!(image.range.contains(&entry), "{image:?}");
    }
}
