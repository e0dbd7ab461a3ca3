//! The port that ends the process: its status is odd, so that no guest can fake success.

use devices::debug_exit::DebugExit;

use crate::{
    Target,
    input::{Access, Input, buffer},
};

inventory::submit!(Target { name: "debug-exit", covers: &["isa-debug-exit"], run });

/// The width, then accesses.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let width = input.byte();
    let Ok(port) = DebugExit::new(width) else {
        assert!(!(1..=4).contains(&width), "a width that ports have is refused: {width}");
        return;
    };
    while let Some(first) = input.next() {
        match input.access(first) {
            Access::Read(offset, length) => {
                let mut data = buffer(length);
                port.read(offset, &mut data);
                assert!(data.iter().all(|byte| [0, 0xff].contains(byte)), "{data:?}");
            }
            Access::Write(offset, data) => {
                if let Some(asked) = port.write(offset, data) {
                    assert_eq!(asked.status & 1, 1);
                    assert!(offset < width.into() && !data.is_empty());
                }
            }
        }
    }
}
