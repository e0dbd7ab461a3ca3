//! An initial RAM disk lies in memory, at a page, clear of the kernel, where the kernel allows it.

use std::io::Cursor;

use vmm::boot::initrd::load;

use super::memory;
use crate::{Target, input::Input};

inventory::submit!(Target { name: "initrd", covers: &["initrd-loader"], run });

/// Start and length of the kernel and the highest address, eight bytes each; then the length of the
/// disk in the same form, at most twice the memory.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let start = input.number() % (2 * memory::SIZE);
    let kernel = start..start + input.number() % (2 * memory::SIZE);
    let max = input.number();
    let size = usize::try_from(input.number() % (2 * memory::SIZE)).unwrap_or_default();
    let disk = vec![0x5a; size];
    if let Ok(initrd) = load(&mut Cursor::new(disk), memory::memory(), &kernel, max) {
        let end = initrd.address + initrd.size;
        assert_eq!(initrd.size, size as u64);
        assert_eq!(initrd.address % 4096, 0, "{initrd:?}");
        assert!(end <= memory::SIZE && end - 1 <= max, "{initrd:?} {max:#x}");
        let apart = kernel.is_empty() || end <= kernel.start || kernel.end <= initrd.address;
        assert!(apart, "{initrd:?} {kernel:#x?}");
    }
}
