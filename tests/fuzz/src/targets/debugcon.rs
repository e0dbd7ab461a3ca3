//! The debug console: one byte out for one byte in.

use devices::debugcon::DebugCon;

use crate::{
    Target,
    input::{Access, Input, buffer},
};

inventory::submit!(Target { name: "debugcon", covers: &["isa-debugcon"], run });

/// What the port reads as, then accesses.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let readback = input.byte();
    let port = DebugCon::new(readback);
    while let Some(first) = input.next() {
        match input.access(first) {
            Access::Read(offset, length) => {
                let mut data = buffer(length);
                port.read(offset, &mut data);
                for (place, byte) in (offset..=u64::MAX).zip(data) {
                    assert_eq!(byte, if place == 0 { readback } else { 0xff });
                }
            }
            Access::Write(offset, data) => {
                let expected = if offset == 0 { data.first().copied() } else { None };
                assert_eq!(port.write(offset, data), expected);
            }
        }
    }
}
