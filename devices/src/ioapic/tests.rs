//! What an operating system may expect of the I/O APIC, and what a hostile guest can't make it do.

use proptest::prelude::*;

use super::spec::*;
use super::*;

/// No vectors.
const NOTHING: [u32; 0] = [];

const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;
const REMOTE_IRR: u32 = 1 << 14;
const SEND_PENDING: u32 = 1 << 12;

fn pin(number: u8) -> Pin {
    Pin::try_from(number).unwrap()
}

/// An I/O APIC with a record of what it did.
#[derive(Default)]
struct Bench {
    apic: IoApic,
    effects: Vec<Effect>,
}

impl Bench {
    fn write(&mut self, offset: u64, data: &[u8]) {
        let effects = &mut self.effects;
        self.apic.write(offset, data, &mut |effect| effects.push(effect));
    }

    fn set(&mut self, index: u8, value: u32) {
        self.write(IOREGSEL, &[index, 0, 0, 0]);
        self.write(IOWIN, &value.to_le_bytes());
    }

    fn get(&mut self, index: u8) -> u32 {
        self.write(IOREGSEL, &[index]);
        let mut data = [0; 4];
        self.apic.read(IOWIN, &mut data);
        u32::from_le_bytes(data)
    }

    fn program(&mut self, number: u8, low: u32) {
        self.set(INDEX_REDIRECTION + 2 * number, low);
    }

    fn low(&mut self, number: u8) -> u32 {
        self.get(INDEX_REDIRECTION + 2 * number)
    }

    fn level(&mut self, number: u8, asserted: bool) {
        let effects = &mut self.effects;
        self.apic.set_level(pin(number), asserted, &mut |effect| effects.push(effect));
    }

    fn eoi(&mut self, vector: u8) {
        let effects = &mut self.effects;
        self.apic.eoi(vector, &mut |effect| effects.push(effect));
    }

    /// The data of the messages sent since last asked.
    fn sent(&mut self) -> Vec<u32> {
        self.effects
            .drain(..)
            .filter_map(|effect| match effect {
                Effect::Deliver { message, .. } => Some(message.data),
                Effect::RouteChanged(_) => None,
            })
            .collect()
    }
}

#[test]
fn identification_and_version_are_the_chip_s() {
    let mut bench = Bench::default();
    assert_eq!(bench.get(INDEX_VERSION), 0x0017_0020);
    bench.set(INDEX_ID, 0xffff_ffff);
    assert_eq!(bench.get(INDEX_ID), 0x0f00_0000);
    assert_eq!(bench.get(INDEX_ARBITRATION), 0x0f00_0000);
    bench.set(INDEX_VERSION, 0);
    bench.set(INDEX_ARBITRATION, 0);
    assert_eq!(bench.get(INDEX_VERSION), 0x0017_0020);
    assert_eq!(bench.get(INDEX_ID), 0x0f00_0000);
}

#[test]
fn entries_are_masked_after_a_reset() {
    let mut bench = Bench::default();
    bench.program(3, 0x33);
    bench.level(3, true);
    bench.apic.reset();
    for number in 0..PIN_COUNT {
        assert_eq!(bench.low(number), MASKED);
        assert!(bench.apic.route(pin(number)).masked);
    }
    assert_eq!(bench.apic.state().lines, 1 << 3, "the device still asserts");
}

#[test]
fn only_the_documented_bits_of_an_entry_can_be_written() {
    let mut bench = Bench::default();
    bench.program(5, u32::MAX);
    bench.set(INDEX_REDIRECTION + 11, u32::MAX);
    assert_eq!(bench.low(5), 0x0001_afff);
    assert_eq!(bench.get(INDEX_REDIRECTION + 11), 0xff00_0000);
}

#[test]
fn indices_beyond_the_table_read_as_ones_and_keep_nothing() {
    let mut bench = Bench::default();
    let before = bench.apic.state();
    for index in (0x03..=0x0f).chain(0x40..=0xff) {
        bench.set(index, 0x1234_5678);
        assert_eq!(bench.get(index), u32::MAX);
    }
    let after = IoApicState { index: before.index, ..bench.apic.state() };
    assert_eq!(after, before);
}

#[test]
fn an_edge_is_sent_once() {
    let mut bench = Bench::default();
    bench.program(4, 0x34);
    bench.level(4, true);
    assert_eq!(bench.sent(), [0x34]);
    bench.level(4, true);
    bench.eoi(0x34);
    assert_eq!(bench.sent(), NOTHING);
    bench.level(4, false);
    bench.level(4, true);
    assert_eq!(bench.sent(), [0x34]);
}

#[test]
fn an_edge_while_masked_is_sent_when_unmasked() {
    let mut bench = Bench::default();
    bench.program(4, MASKED | 0x34);
    bench.level(4, true);
    bench.level(4, false);
    assert_eq!(bench.sent(), NOTHING);
    assert_ne!(bench.low(4) & SEND_PENDING, 0);
    bench.program(4, 0x34);
    assert_eq!(bench.sent(), [0x34]);
    assert_eq!(bench.low(4) & SEND_PENDING, 0);
    bench.program(4, MASKED | 0x34);
    bench.program(4, 0x34);
    assert_eq!(bench.sent(), NOTHING, "once");
}

#[test]
fn a_level_is_sent_until_it_is_deasserted() {
    let mut bench = Bench::default();
    bench.program(9, LEVEL | 0x59);
    bench.level(9, true);
    assert_eq!(bench.sent(), [0xc059]);
    assert_ne!(bench.low(9) & REMOTE_IRR, 0);
    bench.level(9, false);
    bench.level(9, true);
    assert_eq!(bench.sent(), NOTHING, "not before it is ended");
    bench.eoi(0x59);
    assert_eq!(bench.sent(), [0xc059], "still asserted");
    bench.level(9, false);
    bench.eoi(0x59);
    assert_eq!(bench.sent(), NOTHING);
    assert_eq!(bench.low(9) & REMOTE_IRR, 0);
}

#[test]
fn a_masked_level_is_sent_when_unmasked_only_if_still_asserted() {
    let mut bench = Bench::default();
    bench.program(9, MASKED | LEVEL | 0x59);
    bench.level(9, true);
    bench.level(9, false);
    bench.program(9, LEVEL | 0x59);
    assert_eq!(bench.sent(), NOTHING);
    bench.program(9, MASKED | LEVEL | 0x59);
    bench.level(9, true);
    bench.program(9, LEVEL | 0x59);
    assert_eq!(bench.sent(), [0xc059]);
}

#[test]
fn ending_a_masked_interrupt_sends_nothing_until_it_is_unmasked() {
    let mut bench = Bench::default();
    bench.program(9, LEVEL | 0x59);
    bench.level(9, true);
    bench.program(9, MASKED | LEVEL | 0x59);
    bench.sent();
    bench.eoi(0x59);
    assert_eq!(bench.sent(), NOTHING);
    bench.program(9, LEVEL | 0x59);
    assert_eq!(bench.sent(), [0xc059]);
}

#[test]
fn the_eoi_register_ends_interrupts_too() {
    let mut bench = Bench::default();
    bench.program(9, LEVEL | 0x59);
    bench.level(9, true);
    bench.sent();
    bench.write(IOEOI, &[0x58, 0, 0, 0]);
    assert_eq!(bench.sent(), NOTHING, "another vector");
    bench.write(IOEOI, &[0x59, 0, 0, 0]);
    assert_eq!(bench.sent(), [0xc059]);
}

#[test]
fn an_eoi_ends_every_pin_of_the_vector() {
    let mut bench = Bench::default();
    for number in [9, 10, 11] {
        bench.program(number, LEVEL | 0x59);
        bench.level(number, true);
    }
    bench.level(10, false);
    bench.sent();
    bench.eoi(0x59);
    assert_eq!(bench.sent().len(), 2);
    assert_eq!(bench.low(10) & REMOTE_IRR, 0);
}

#[test]
fn becoming_edge_triggered_forgets_the_remote_irr() {
    let mut bench = Bench::default();
    bench.program(9, LEVEL | 0x59);
    bench.level(9, true);
    bench.sent();
    bench.program(9, MASKED | 0x59);
    assert_eq!(bench.low(9) & REMOTE_IRR, 0);
    bench.program(9, LEVEL | 0x59);
    assert_eq!(bench.sent(), [0xc059]);
}

#[test]
fn becoming_level_triggered_forgets_a_kept_edge() {
    let mut bench = Bench::default();
    bench.program(4, MASKED | 0x34);
    bench.level(4, true);
    bench.level(4, false);
    bench.program(4, MASKED | LEVEL | 0x34);
    bench.program(4, 0x34);
    assert_eq!(bench.sent(), NOTHING);
}

#[test]
fn an_nmi_is_an_edge_whatever_its_trigger_bit_says() {
    let mut bench = Bench::default();
    bench.program(2, LEVEL | u32::from(DELIVERY_NMI) << 8);
    bench.level(2, true);
    assert_eq!(bench.sent(), [0x400]);
    assert_eq!(bench.low(2) & REMOTE_IRR, 0);
    assert!(!bench.apic.route(pin(2)).level_triggered);
}

#[test]
fn the_message_carries_every_field_of_the_entry() {
    let mut bench = Bench::default();
    bench.set(INDEX_REDIRECTION + 1, 0x8100_0000);
    bench.program(0, 0x0000_a941); // Level, active low, logical, lowest priority.
    let route = bench.apic.route(pin(0));
    assert_eq!(route.message.address, 0xfee8_100c);
    assert_eq!(route.message.data, 0xc141);
    assert!(route.level_triggered && !route.masked);
    bench.program(0, MASKED | 0x30); // Edge, physical, fixed.
    let route = bench.apic.route(pin(0));
    assert_eq!(route.message.address, 0xfee8_1000);
    assert_eq!(route.message.data, 0x30);
    assert!(!route.level_triggered && route.masked);
}

#[test]
fn a_changed_route_is_told_before_its_interrupt() {
    let mut bench = Bench::default();
    bench.level(4, true);
    bench.program(4, 0x34);
    let message = MsiMessage { address: 0xfee0_0000, data: 0x34 };
    assert_eq!(
        bench.effects,
        [Effect::RouteChanged(pin(4)), Effect::Deliver { pin: pin(4), message }]
    );
    bench.effects.clear();
    bench.program(4, 0x34);
    bench.program(4, 0x2034);
    assert_eq!(bench.effects, [], "polarity isn't part of the route");
}

#[test]
fn narrow_and_wide_accesses_are_defined() {
    let mut bench = Bench::default();
    bench.write(IOREGSEL, &[INDEX_VERSION, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let mut data = [0x77; 8];
    bench.apic.read(IOWIN, &mut data);
    assert_eq!(data, [0x20, 0, 0x17, 0, 0, 0, 0, 0]);
    let mut data = [0x77; 1];
    bench.apic.read(IOWIN, &mut data);
    assert_eq!(data, [0x20]);
    bench.apic.read(IOREGSEL, &mut data);
    assert_eq!(data, [INDEX_VERSION]);
    let before = bench.apic.clone();
    for offset in [1, 0x04, 0x11, 0x20, 0x41, 0xfff, u64::MAX] {
        bench.write(offset, &[0xff; 4]);
        let mut data = [0x77; 2];
        bench.apic.read(offset, &mut data);
        assert_eq!(data, [0, 0]);
    }
    bench.write(IOEOI, &[]);
    bench.write(IOREGSEL, &[]);
    assert_eq!(bench.apic, before);
}

#[test]
fn a_pin_beyond_the_last_is_refused() {
    assert_eq!(Pin::try_from(24), Err(NoSuchPin(24)));
    assert_eq!(NoSuchPin(24).to_string(), "ioapic: there is no pin 24; pins are 0 to 23");
    assert_eq!(Pin::all().count(), 24);
}

#[test]
fn impossible_states_are_refused_and_change_nothing() {
    let mut apic = IoApic::new();
    let good = apic.state();
    let entry = |value: u64| {
        let mut state = good;
        state.entries[7] = value;
        state
    };
    let cases = [
        (IoApicState { id: 16, ..good }, IoApicStateError::Id(16)),
        (entry(1 << 17), IoApicStateError::Entry { pin: 7, value: 1 << 17 }),
        (entry(ENTRY_REMOTE_IRR), IoApicStateError::Entry { pin: 7, value: 1 << 14 }),
        (IoApicState { lines: 1 << 24, ..good }, IoApicStateError::Lines(1 << 24)),
        (
            IoApicState { edges: 1 << 7, ..entry(0x30) },
            IoApicStateError::Edges { given: 0x80, possible: 0x00ff_ff7f },
        ),
        (IoApicState { lines: 1 << 7, ..entry(0x8030) }, IoApicStateError::Unsent(0x80)),
    ];
    for (state, error) in cases {
        assert_eq!(apic.restore(&state), Err(error));
        assert_eq!(apic, IoApic::new());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Read(u64, usize),
    Write(u64, Vec<u8>),
    Program(u8, u32),
    Level(u8, bool),
    Eoi(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let offset = prop_oneof![
        3 => Just(IOREGSEL),
        3 => Just(IOWIN),
        1 => Just(IOEOI),
        1 => 0u64..0x60,
        1 => any::<u64>(),
    ];
    // Few vectors and pins, so that they meet.
    let vector = 0x30u8..0x33;
    let low = (vector.clone(), any::<[bool; 2]>(), 0u32..8).prop_map(|(vector, bits, mode)| {
        let bit = |set, bit| if set { bit } else { 0 };
        u32::from(vector) | (mode / 4) << 10 | bit(bits[0], LEVEL) | bit(bits[1], MASKED)
    });
    prop_oneof![
        1 => (offset.clone(), 0usize..9).prop_map(|(offset, len)| Step::Read(offset, len)),
        2 => (offset, proptest::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(offset, data)| Step::Write(offset, data)),
        4 => (0u8..4, low).prop_map(|(pin, low)| Step::Program(pin, low)),
        4 => (0u8..4, any::<bool>()).prop_map(|(pin, level)| Step::Level(pin, level)),
        2 => vector.prop_map(Step::Eoi),
    ]
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_invariants(steps in proptest::collection::vec(step(), 0..120)) {
        let mut bench = Bench::default();
        for step in steps {
            bench.effects.clear();
            let before = bench.apic.clone();
            match step {
                Step::Read(offset, len) => bench.apic.read(offset, &mut vec![0; len]),
                Step::Write(offset, data) => bench.write(offset, &data),
                Step::Program(number, low) => bench.program(number, low),
                Step::Level(number, asserted) => bench.level(number, asserted),
                Step::Eoi(vector) => bench.eoi(vector),
            }
            let state = bench.apic.state();
            for pin in Pin::all() {
                let entry = bench.apic.entry(pin);
                let asserted = state.lines >> pin.number() & 1 != 0;
                let edge = state.edges >> pin.number() & 1 != 0;
                // Nothing that could be sent waits.
                prop_assert!(entry.is_masked() || !edge);
                prop_assert!(entry.is_masked() || !entry.is_level() || !asserted || entry.remote_irr());
                prop_assert!(!edge || !entry.is_level());
                prop_assert!(!entry.remote_irr() || entry.is_level());
                // A changed route was told, and an unchanged one wasn't.
                let told = bench.effects.contains(&Effect::RouteChanged(pin));
                prop_assert_eq!(told, before.route(pin) != bench.apic.route(pin));
                // At most one interrupt a pin and access, as the table has it, and not masked.
                let sent: Vec<MsiMessage> = bench.effects.iter().filter_map(|effect| match effect {
                    Effect::Deliver { pin: of, message } if *of == pin => Some(*message),
                    _ => None,
                }).collect();
                prop_assert!(sent.len() <= 1);
                if let Some(message) = sent.first() {
                    prop_assert_eq!(*message, bench.apic.route(pin).message);
                    prop_assert!(!entry.is_masked());
                    prop_assert_eq!(message.address & !0xf_f00c, 0xfee0_0000);
                }
            }
            let mut copy = IoApic::new();
            prop_assert_eq!(copy.restore(&state), Ok(()));
            prop_assert_eq!(&copy, &bench.apic);
        }
    }
}
