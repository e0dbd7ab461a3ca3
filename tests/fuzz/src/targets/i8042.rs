//! The keyboard controller: what it remembers is always a state that it takes back.

use devices::i8042::I8042;

use crate::{
    Target,
    input::{Access, Input, buffer},
};

inventory::submit!(Target { name: "i8042", covers: &["i8042"], run });

/// Operations: 0x70 is a reset of the machine, all else are accesses.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut controller = I8042::new();
    while let Some(first) = input.next() {
        match first {
            0x70 => controller.reset(),
            _ => match input.access(first) {
                Access::Read(offset, length) => {
                    let mut data = buffer(length);
                    controller.read(offset, &mut data);
                    if !data.is_empty() && ![0, 4].contains(&offset) {
                        assert_eq!(data[0], 0xff, "{offset:#x}");
                    }
                }
                Access::Write(offset, data) => {
                    let before = controller.clone();
                    let asked = controller.write(offset, data);
                    if offset > 4 || data.is_empty() {
                        assert_eq!((asked, &before), (None, &controller), "{offset:#x}");
                    }
                }
            },
        }
        let state = controller.state();
        let mut copy = I8042::new();
        assert_eq!(copy.restore(&state), Ok(()), "{state:?}");
        assert_eq!(copy, controller);
        assert_eq!(state.output_port & 1, 1, "the processor is held in reset");
    }
}
