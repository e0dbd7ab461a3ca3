//! The UART: what it remembers is always a state that it takes back, and its line tells the truth.

use devices::serial::{ModemInputs, Uart, spec};

use crate::{
    Target,
    input::{Access, Input, buffer},
};

inventory::submit!(Target { name: "serial", covers: &["isa-serial"], run });

/// Operations: 0x70 to 0x73 are the host's, all else are accesses.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut uart = Uart::new();
    while let Some(first) = input.next() {
        match first {
            0x70 => {
                let count = usize::from(input.byte() % 32);
                let (chars, room) = (input.take(count), uart.rx_capacity());
                assert_eq!(uart.receive(chars), chars.len().min(room));
                assert_eq!(uart.rx_capacity(), room - chars.len().min(room));
            }
            0x71 => {
                let room = uart.rx_capacity();
                assert_eq!(uart.receive_break(), room > 0);
            }
            0x72 => {
                let bits = input.byte();
                let [cts, dsr, ri, dcd] = [0, 1, 2, 3].map(|bit| bits >> bit & 1 != 0);
                uart.set_modem_inputs(ModemInputs { cts, dsr, ri, dcd });
            }
            0x73 => uart.reset(),
            _ => match input.access(first) {
                Access::Read(offset, length) => {
                    let mut data = buffer(length);
                    uart.read(offset, &mut data);
                    if offset > 7 {
                        assert!(data.iter().all(|byte| *byte == 0xff), "{offset:#x}");
                    }
                }
                Access::Write(offset, data) => {
                    if uart.write(offset, data).is_some() {
                        assert!(offset == spec::THR && !data.is_empty(), "{offset:#x}");
                    }
                }
            },
        }
        judge(&uart);
    }
}

fn judge(uart: &Uart) {
    let state = uart.state();
    let mut copy = Uart::new();
    assert_eq!(copy.restore(&state), Ok(()), "{state:?}");
    assert_eq!(&copy, uart);
    assert!(state.received.len() <= spec::FIFO_SIZE && uart.rx_capacity() <= spec::FIFO_SIZE);
    let mut register = |offset| {
        let mut data = [0];
        copy.read(offset, &mut data);
        data[0]
    };
    // IIR before LSR, which acknowledges.
    let pending = register(spec::IIR) & spec::IIR_NONE == 0;
    assert_eq!(pending, uart.irq_level(), "{state:?}");
    let ready = register(spec::LSR) & spec::LSR_DATA_READY != 0;
    assert_eq!(ready, !state.received.is_empty(), "{state:?}");
}
