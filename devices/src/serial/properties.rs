//! What holds of the UART whatever a guest does to it.

use proptest::prelude::*;

use super::spec::*;
use super::tests::get;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Read(u64, usize),
    Write(u64, Vec<u8>),
    Receive(Vec<u8>),
    Break,
    Modem(bool, bool, bool, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let offset = prop_oneof![9 => 0u64..10, 1 => any::<u64>()];
    let bytes = proptest::collection::vec(any::<u8>(), 0..9);
    prop_oneof![
        4 => (offset.clone(), 0usize..9).prop_map(|(offset, len)| Step::Read(offset, len)),
        6 => (offset, bytes).prop_map(|(offset, data)| Step::Write(offset, data)),
        2 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Receive),
        1 => Just(Step::Break),
        1 => any::<(bool, bool, bool, bool)>().prop_map(|(a, b, c, d)| Step::Modem(a, b, c, d)),
    ]
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_invariants(steps in proptest::collection::vec(step(), 0..120)) {
        let mut uart = Uart::new();
        for step in steps {
            match step {
                Step::Read(offset, len) => uart.read(offset, &mut vec![0; len]),
                Step::Write(offset, data) => {
                    let loopback = uart.state().mcr & MCR_LOOPBACK != 0;
                    let sent = uart.write(offset, &data);
                    prop_assert!(sent.is_none() || (offset == THR && !loopback));
                }
                Step::Receive(data) => {
                    let room = uart.rx_capacity();
                    prop_assert_eq!(uart.receive(&data), room.min(data.len()));
                }
                Step::Break => {
                    let room = uart.rx_capacity();
                    prop_assert_eq!(uart.receive_break(), room > 0);
                }
                Step::Modem(cts, dsr, ri, dcd) => {
                    uart.set_modem_inputs(ModemInputs { cts, dsr, ri, dcd });
                }
            }
            let state = uart.state();
            let limit = if state.fcr & FCR_ENABLE != 0 { FIFO_SIZE } else { 1 };
            prop_assert!(state.received.len() <= limit);
            prop_assert!(uart.rx_capacity() <= limit);
            // The line is what IIR says, and what IER and the sources say.
            let mut probe = uart.clone();
            prop_assert_eq!(get(&mut probe, IIR) & 1 == 0, uart.irq_level());
            let mut probe = uart.clone();
            let errors = get(&mut probe, LSR) & 0x1e;
            let source = (state.ier & IER_LINE_STATUS != 0 && errors != 0)
                || (state.ier & IER_RECEIVED_DATA != 0 && !state.received.is_empty())
                || (state.ier & IER_THR_EMPTY != 0 && state.thr_empty_pending)
                || (state.ier & IER_MODEM_STATUS != 0 && state.modem_deltas != 0);
            prop_assert_eq!(uart.irq_level(), source);
            // Every state that can be reached can be saved and restored.
            let mut copy = Uart::new();
            prop_assert_eq!(copy.restore(&state), Ok(()));
            prop_assert_eq!(&copy, &uart);
        }
    }
}
