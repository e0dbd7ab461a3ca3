//! What a driver may expect of the UART.

use super::spec::*;
use super::*;

pub(super) fn get(uart: &mut Uart, offset: u64) -> u8 {
    let mut byte = [0];
    uart.read(offset, &mut byte);
    byte[0]
}

fn put(uart: &mut Uart, offset: u64, value: u8) {
    assert_eq!(uart.write(offset, &[value]), None);
}

fn with_fifo() -> Uart {
    let mut uart = Uart::new();
    put(&mut uart, FCR, FCR_ENABLE);
    uart
}

#[test]
fn registers_after_reset_are_those_of_table_i() {
    let mut uart = Uart::new();
    put(&mut uart, IER, 0x0f);
    put(&mut uart, MCR, 0x0b);
    uart.receive(b"x");
    uart.reset();
    let values: Vec<u8> = (1..8).map(|offset| get(&mut uart, offset)).collect();
    assert_eq!(values, [0, 0x01, 0, 0, 0x60, 0xb0, 0]);
    assert!(!uart.irq_level());
}

#[test]
fn a_written_character_is_transmitted_at_once() {
    let mut uart = Uart::new();
    assert_eq!(uart.write(THR, b"h"), Some(b'h'));
    assert_eq!(get(&mut uart, LSR), LSR_THR_EMPTY | LSR_TRANSMITTER_EMPTY);
}

#[test]
fn the_divisor_latch_hides_data_and_interrupt_enable() {
    let mut uart = Uart::new();
    put(&mut uart, IER, 0x05);
    put(&mut uart, LCR, LCR_DIVISOR_LATCH | 0x03);
    put(&mut uart, DLL, 0x34);
    put(&mut uart, DLM, 0x12);
    assert_eq!(uart.state().divisor, 0x1234);
    assert_eq!((get(&mut uart, DLL), get(&mut uart, DLM)), (0x34, 0x12));
    put(&mut uart, LCR, 0x03);
    assert_eq!(get(&mut uart, IER), 0x05);
    assert_eq!(get(&mut uart, RBR), 0);
}

/// The steps by which Linux's 8250 driver tells a plain 16550A from everything else.
#[test]
fn linux_autoconfig_finds_a_16550a() {
    let mut uart = Uart::new();
    // Is there a UART? IER keeps four bits, no more.
    put(&mut uart, IER, 0x00);
    assert_eq!(get(&mut uart, IER) & 0x0f, 0);
    put(&mut uart, IER, 0x0f);
    assert_eq!(get(&mut uart, IER) & 0x0f, 0x0f);
    put(&mut uart, IER, 0x40);
    assert_eq!(get(&mut uart, IER), 0, "no XScale unit-enable bit");
    // Loopback connects OUT2 to DCD and RTS to CTS.
    put(&mut uart, MCR, MCR_LOOPBACK | MCR_OUT2 | MCR_RTS);
    assert_eq!(get(&mut uart, MSR) & 0xf0, MSR_DCD | MSR_CTS);
    put(&mut uart, MCR, 0);
    // No enhanced features: FCR is where EFR would be.
    put(&mut uart, LCR, 0xbf);
    put(&mut uart, FCR, 0);
    put(&mut uart, LCR, 0);
    put(&mut uart, FCR, FCR_ENABLE);
    assert_eq!(get(&mut uart, IIR) >> 6, 3, "16550A, not 16550");
    put(&mut uart, LCR, 0x80);
    assert_ne!(get(&mut uart, IIR), 0, "no EFR of a 16650");
    put(&mut uart, LCR, 0xbf);
    assert_ne!(get(&mut uart, IIR), 0, "no EFR of a 16650V2");
    // No second bank of a National super I/O: MCR's loopback bit doesn't show at offset 2.
    put(&mut uart, LCR, 0);
    put(&mut uart, MCR, MCR_LOOPBACK);
    put(&mut uart, LCR, 0xe0);
    assert_eq!(get(&mut uart, IIR) & MCR_LOOPBACK, 0);
    put(&mut uart, LCR, 0);
    put(&mut uart, MCR, 0);
    // No 64-byte FIFO of a 16750.
    put(&mut uart, LCR, 0x80);
    put(&mut uart, FCR, FCR_ENABLE | 0x20);
    assert_eq!(get(&mut uart, IIR) & 0x20, 0);
    // Scratch works, so that it isn't an 8250.
    put(&mut uart, LCR, 0);
    put(&mut uart, SCR, 0xa5);
    assert_eq!(get(&mut uart, SCR), 0xa5);
}

/// Linux enables the interrupt twice to see whether it is raised each time.
#[test]
fn enabling_the_thr_empty_interrupt_raises_it_each_time() {
    let mut uart = Uart::new();
    for _ in 0..2 {
        put(&mut uart, IER, IER_THR_EMPTY);
        assert!(uart.irq_level());
        assert_eq!(get(&mut uart, IIR), IIR_THR_EMPTY);
        assert_eq!(get(&mut uart, IIR), IIR_NONE, "reported once");
        assert!(!uart.irq_level());
        put(&mut uart, IER, IER_THR_EMPTY);
        assert!(!uart.irq_level(), "already enabled");
        put(&mut uart, IER, 0);
        assert!(!uart.irq_level());
    }
}

#[test]
fn transmitting_raises_the_thr_empty_interrupt_again() {
    let mut uart = Uart::new();
    put(&mut uart, IER, IER_THR_EMPTY);
    get(&mut uart, IIR);
    assert_eq!(uart.write(THR, b"a"), Some(b'a'));
    assert_eq!(get(&mut uart, IIR), IIR_THR_EMPTY);
}

#[test]
fn disabling_the_thr_empty_interrupt_withdraws_it() {
    let mut uart = Uart::new();
    put(&mut uart, IER, IER_THR_EMPTY);
    put(&mut uart, IER, 0);
    assert_eq!(uart.write(THR, b"a"), Some(b'a'));
    assert!(!uart.irq_level());
    assert_eq!(get(&mut uart, IIR), IIR_NONE);
}

#[test]
fn received_characters_are_read_in_order() {
    let mut uart = with_fifo();
    assert_eq!(uart.receive(b"abc"), 3);
    let read: Vec<u8> = (0..3).map(|_| get(&mut uart, RBR)).collect();
    assert_eq!(read, b"abc");
    assert_eq!(get(&mut uart, LSR) & LSR_DATA_READY, 0);
    assert_eq!(get(&mut uart, RBR), 0);
}

#[test]
fn the_host_is_told_how_much_fits() {
    let mut uart = Uart::new();
    assert_eq!(uart.rx_capacity(), 1);
    assert_eq!(uart.receive(b"ab"), 1);
    assert_eq!(uart.rx_capacity(), 0);
    assert_eq!(uart.receive(b"b"), 0);
    put(&mut uart, FCR, FCR_ENABLE);
    assert_eq!(uart.rx_capacity(), FIFO_SIZE, "the mode change emptied it");
    assert_eq!(uart.receive(&[b'x'; 20]), FIFO_SIZE);
    assert_eq!(get(&mut uart, LSR) & LSR_OVERRUN, 0, "nothing was lost");
    get(&mut uart, RBR);
    assert_eq!(uart.rx_capacity(), 1);
}

#[test]
fn trigger_levels_part_received_data_from_timeout() {
    for (select, level) in (0u8..).zip(TRIGGER_LEVELS) {
        let mut uart = Uart::new();
        put(&mut uart, FCR, FCR_ENABLE | select << FCR_TRIGGER_SHIFT);
        put(&mut uart, IER, IER_RECEIVED_DATA);
        assert_eq!(get(&mut uart, IIR), IIR_FIFO_ENABLED | IIR_NONE);
        for count in 1..=FIFO_SIZE {
            uart.receive(b"x");
            let expected = if count >= level { IIR_RECEIVED_DATA } else { IIR_TIMEOUT };
            assert_eq!(get(&mut uart, IIR), IIR_FIFO_ENABLED | expected);
            assert!(uart.irq_level());
        }
        for _ in 0..FIFO_SIZE {
            assert!(uart.irq_level());
            get(&mut uart, RBR);
        }
        assert!(!uart.irq_level());
    }
}

#[test]
fn without_fifos_one_character_is_received_data() {
    let mut uart = Uart::new();
    put(&mut uart, IER, IER_RECEIVED_DATA);
    uart.receive(b"x");
    assert_eq!(get(&mut uart, IIR), IIR_RECEIVED_DATA);
}

#[test]
fn fifo_control_needs_the_enable_bit() {
    let mut uart = with_fifo();
    uart.receive(b"abc");
    put(&mut uart, FCR, FCR_ENABLE | FCR_CLEAR_TRANSMIT);
    assert_eq!(uart.rx_capacity(), 13, "the receive FIFO is kept");
    put(&mut uart, FCR, FCR_ENABLE | FCR_CLEAR_RECEIVE);
    assert_eq!(uart.rx_capacity(), 16);
    put(&mut uart, FCR, 0xce);
    assert_eq!(uart.state().fcr, 0);
    uart.receive(b"a");
    put(&mut uart, FCR, FCR_CLEAR_RECEIVE);
    assert_eq!(get(&mut uart, RBR), b'a', "ignored while off");
}

#[test]
fn loopback_returns_characters_and_cuts_the_line() {
    let mut uart = with_fifo();
    put(&mut uart, MCR, MCR_LOOPBACK);
    assert_eq!(uart.write(THR, b"l"), None);
    assert_eq!(uart.rx_capacity(), 0);
    assert_eq!(uart.receive(b"from the line"), 0);
    assert!(!uart.receive_break());
    assert_eq!(get(&mut uart, RBR), b'l');
}

#[test]
fn loopback_overruns_a_full_fifo_and_loses_the_newest() {
    let mut uart = with_fifo();
    put(&mut uart, MCR, MCR_LOOPBACK);
    put(&mut uart, IER, IER_LINE_STATUS);
    for value in 0..20 {
        put(&mut uart, THR, value);
    }
    assert_eq!(get(&mut uart, IIR), IIR_FIFO_ENABLED | IIR_LINE_STATUS);
    assert_ne!(get(&mut uart, LSR) & LSR_OVERRUN, 0);
    assert_eq!(get(&mut uart, LSR) & LSR_OVERRUN, 0, "reading clears it");
    assert!(!uart.irq_level());
    let read: Vec<u8> = (0..16).map(|_| get(&mut uart, RBR)).collect();
    assert_eq!(read, (0..16).collect::<Vec<u8>>());
}

#[test]
fn loopback_overrun_without_fifos_overwrites() {
    let mut uart = Uart::new();
    put(&mut uart, MCR, MCR_LOOPBACK);
    put(&mut uart, THR, b'1');
    put(&mut uart, THR, b'2');
    assert_ne!(get(&mut uart, LSR) & LSR_OVERRUN, 0);
    assert_eq!(get(&mut uart, RBR), b'2');
    assert_eq!(get(&mut uart, LSR) & LSR_DATA_READY, 0);
}

#[test]
fn loopback_maps_each_modem_output_to_an_input() {
    for (output, input) in
        [(MCR_DTR, MSR_DSR), (MCR_RTS, MSR_CTS), (MCR_OUT1, MSR_RI), (MCR_OUT2, MSR_DCD)]
    {
        let mut uart = Uart::new();
        put(&mut uart, MCR, MCR_LOOPBACK | output);
        assert_eq!(get(&mut uart, MSR) & 0xf0, input);
        assert!(!uart.out2(), "the pins are inactive");
    }
    let mut uart = Uart::new();
    put(&mut uart, MCR, MCR_OUT2);
    assert!(uart.out2());
}

#[test]
fn modem_changes_are_latched_until_read() {
    let mut uart = Uart::new();
    put(&mut uart, IER, IER_MODEM_STATUS);
    uart.set_modem_inputs(ModemInputs::DISCONNECTED);
    assert!(uart.irq_level());
    assert_eq!(get(&mut uart, IIR), IIR_MODEM_STATUS);
    assert_eq!(get(&mut uart, MSR), MSR_DELTA_CTS | MSR_DELTA_DSR | MSR_DELTA_DCD);
    assert!(!uart.irq_level());
    assert_eq!(get(&mut uart, MSR), 0);
}

#[test]
fn the_ring_indicator_is_latched_on_its_trailing_edge() {
    let mut uart = Uart::new();
    let ringing = ModemInputs { ri: true, ..ModemInputs::CONNECTED };
    uart.set_modem_inputs(ringing);
    assert_eq!(get(&mut uart, MSR), 0xf0);
    uart.set_modem_inputs(ModemInputs::CONNECTED);
    assert_eq!(get(&mut uart, MSR), 0xb0 | MSR_TRAILING_EDGE_RI);
}

#[test]
fn a_break_is_reported_when_it_is_the_oldest() {
    let mut uart = with_fifo();
    put(&mut uart, IER, IER_LINE_STATUS);
    uart.receive(b"a");
    assert!(uart.receive_break());
    let status = get(&mut uart, LSR);
    assert_eq!(status & LSR_BREAK, 0);
    assert_ne!(status & LSR_FIFO_ERROR, 0);
    assert!(!uart.irq_level());
    get(&mut uart, RBR);
    assert_eq!(get(&mut uart, IIR) & 0x0f, IIR_LINE_STATUS);
    assert_ne!(get(&mut uart, LSR) & LSR_BREAK, 0);
    assert_eq!(get(&mut uart, LSR) & (LSR_BREAK | LSR_FIFO_ERROR), 0, "reported once");
    assert_eq!(get(&mut uart, RBR), 0);
}

#[test]
fn the_highest_priority_interrupt_is_identified_first() {
    let mut uart = with_fifo();
    put(&mut uart, IER, IER_MASK);
    uart.set_modem_inputs(ModemInputs::DISCONNECTED);
    uart.receive_break();
    let mut id = || get(&mut uart, IIR) & 0x0f;
    assert_eq!(id(), IIR_LINE_STATUS);
    get(&mut uart, LSR);
    assert_eq!(get(&mut uart, IIR) & 0x0f, IIR_RECEIVED_DATA);
    get(&mut uart, RBR);
    assert_eq!(get(&mut uart, IIR) & 0x0f, IIR_THR_EMPTY, "reports of others left it pending");
    assert_eq!(get(&mut uart, IIR) & 0x0f, IIR_MODEM_STATUS);
    get(&mut uart, MSR);
    assert_eq!(get(&mut uart, IIR) & 0x0f, IIR_NONE);
}

#[test]
fn wide_accesses_are_consecutive_bytes() {
    let mut uart = Uart::new();
    assert_eq!(uart.write(THR, &[b'w', 0x05, FCR_ENABLE, 0x03]), Some(b'w'));
    let mut data = [0; 4];
    uart.read(1, &mut data);
    assert_eq!(data, [0x05, 0xc1, 0x03, 0]);
    let mut data = [0; 4];
    uart.read(6, &mut data);
    assert_eq!(data, [0xb0, 0, 0xff, 0xff]);
}

#[test]
fn offsets_at_the_end_of_the_address_space_are_defined() {
    let mut uart = Uart::new();
    let before = uart.clone();
    assert_eq!(uart.write(u64::MAX, &[1, 2, 3, 4]), None);
    let mut data = [0; 2];
    uart.read(u64::MAX, &mut data);
    assert_eq!(data, [0xff, 0xff]);
    assert_eq!(uart, before);
}

#[test]
fn impossible_states_are_refused_and_change_nothing() {
    let mut uart = with_fifo();
    uart.receive(b"kept");
    let before = uart.clone();
    let good = uart.state();
    let char = ReceivedChar { value: 0, is_break: false };
    let refused = |state: UartState, uart: &mut Uart| uart.restore(&state).unwrap_err();
    let cases = [
        (
            UartState { ier: 0x10, ..good.clone() },
            UartStateError::ReservedBits { register: "IER", value: 0x10, mask: 0x0f },
        ),
        (
            UartState { fcr: 0x03, ..good.clone() },
            UartStateError::ReservedBits { register: "FCR", value: 0x03, mask: 0xc9 },
        ),
        (
            UartState { mcr: 0x20, ..good.clone() },
            UartStateError::ReservedBits { register: "MCR", value: 0x20, mask: 0x1f },
        ),
        (
            UartState { modem_deltas: 0x80, ..good.clone() },
            UartStateError::ReservedBits { register: "MSR (deltas)", value: 0x80, mask: 0x0f },
        ),
        (UartState { fcr: 0xc0, ..good.clone() }, UartStateError::FifoBitsWhileOff(0xc0)),
        (
            UartState { received: vec![char; 17], ..good.clone() },
            UartStateError::TooManyReceived { given: 17, capacity: 16 },
        ),
        (
            UartState { fcr: 0, received: vec![char; 2], ..good.clone() },
            UartStateError::TooManyReceived { given: 2, capacity: 1 },
        ),
        (
            UartState { thr_empty_pending: true, ..good.clone() },
            UartStateError::PendingWhileDisabled(0),
        ),
    ];
    for (state, error) in cases {
        assert_eq!(refused(state, &mut uart), error);
        assert_eq!(uart, before);
    }
}
