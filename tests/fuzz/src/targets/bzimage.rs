//! A bzImage: what is unpacked lies in memory, and what the header says is within what it may say.

use std::io::Cursor;

use vmm::boot::{bzimage::load, setup_header::SetupHeader};

use super::memory;
use crate::Target;

inventory::submit!(Target { name: "bzimage", covers: &["bzimage-loader"], run });

/// The whole input is the file.
fn run(data: &[u8]) {
    if let Ok(loaded) = load(&mut Cursor::new(data), memory::memory()) {
        let range = loaded.image.range;
        assert!(range.start < range.end && range.end <= memory::SIZE, "{range:?}");
        assert!(SetupHeader::recognise(data));
        let payload = loaded.header.payload();
        assert!(payload.end <= data.len() as u64, "{payload:?}");
    }
}
