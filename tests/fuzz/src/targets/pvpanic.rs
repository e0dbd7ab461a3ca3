//! The panic port: only what was offered is reported.

use devices::pvpanic::{GuestEvent, PvPanic, spec};

use crate::{
    Target,
    input::{Access, Input, buffer},
};

inventory::submit!(Target { name: "pvpanic", covers: &["pvpanic"], run });

/// The mask of events, then accesses.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mask = input.byte();
    let Ok(port) = PvPanic::new(mask) else {
        assert_ne!(mask & !spec::ALL, 0, "a mask of events that exist is refused: {mask:#x}");
        return;
    };
    while let Some(first) = input.next() {
        match input.access(first) {
            Access::Read(offset, length) => {
                let mut data = buffer(length);
                port.read(offset, &mut data);
                if let Some(byte) = data.first() {
                    assert_eq!(*byte, if offset == 0 { mask } else { 0xff }, "{offset:#x}");
                }
            }
            Access::Write(offset, data) => {
                let bit = match port.write(offset, data) {
                    Some(GuestEvent::Panicked) => spec::PANICKED,
                    Some(GuestEvent::CrashLoaded) => spec::CRASH_LOADED,
                    Some(GuestEvent::Shutdown) => spec::SHUTDOWN,
                    None => continue,
                };
                assert_ne!(mask & data[0] & bit, 0, "{data:?} to {mask:#x}");
                assert_eq!(offset, 0);
            }
        }
    }
}
