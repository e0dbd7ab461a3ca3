//! `ioapic` as a guest, devices, processors and a board meet it.

use std::sync::Arc;

use device_model::{
    interrupt::{InterruptController, InterruptLine, Msi},
    prelude::*,
    qom_core::{Obj, SecurityStatus},
    testing::{Machine, SinkCall, TestSink},
};
use devices::{
    ioapic::spec::*,
    serial::spec::{DEFAULT_IOBASE, IER, IER_THR_EMPTY, IIR},
};
use proptest::prelude::*;
use serde_json::json;

const VECTOR: u8 = 0x41;

/// A machine with an I/O APIC, `/ioapic`, that sends to a recorder.
fn machine() -> (Machine, Arc<TestSink>, Obj) {
    let machine = Machine::new();
    let sink = machine.add("test-sink", "sink", &[]);
    let ioapic = machine.add("ioapic", "ioapic", &[]);
    (machine, sink.cast().unwrap(), ioapic)
}

fn write(machine: &Machine, index: u8, value: u32) {
    let bus = machine.platform.memory_io();
    bus.write(DEFAULT_BASE + IOREGSEL, &u32::from(index).to_le_bytes());
    bus.write(DEFAULT_BASE + IOWIN, &value.to_le_bytes());
}

fn read(machine: &Machine, index: u8) -> u32 {
    let bus = machine.platform.memory_io();
    bus.write(DEFAULT_BASE + IOREGSEL, &u32::from(index).to_le_bytes());
    let mut data = [0; 4];
    bus.read(DEFAULT_BASE + IOWIN, &mut data);
    u32::from_le_bytes(data)
}

/// Writes the low half of a pin's entry.
fn set_entry(machine: &Machine, pin: u8, bits: u64) {
    write(machine, INDEX_REDIRECTION + 2 * pin, u32::try_from(bits).unwrap());
}

fn message(level: bool) -> Msi {
    let trigger = if level { MSI_DATA_LEVEL | MSI_DATA_ASSERT } else { 0 };
    Msi { address: MSI_ADDRESS_BASE, data: u32::from(VECTOR) | trigger }
}

fn line(machine: &Machine, ioapic: &Obj, pin: u32) -> InterruptLine {
    InterruptLine::new(machine.tree.id(), ioapic, pin).unwrap()
}

#[test]
fn it_is_declared_secure() {
    let (_machine, _, ioapic) = machine();
    assert_eq!(ioapic.class().status(), SecurityStatus::Secure);
    assert_eq!(ioapic.get("base"), Some(json!(0xfec0_0000_u64)));
}

#[test]
fn interrupt_lines_of_the_machine_lead_to_it() {
    let (machine, _, ioapic) = machine();
    assert!(machine.platform.interrupts().unwrap().same(&ioapic));
    assert_eq!(ioapic.cast::<dyn InterruptController>().unwrap().pins(), 24);
    assert_eq!(read(&machine, INDEX_VERSION), 0x0017_0020);
}

#[test]
fn a_serial_port_s_interrupt_reaches_a_processor() {
    let (machine, sink, ioapic) = machine();
    machine.add("isa-serial", "com1", &[]);
    set_entry(&machine, 4, VECTOR.into());
    assert_eq!(sink.take(), [SinkCall::Route(4, Some(message(false)))]);
    machine.outb(DEFAULT_IOBASE + u16::try_from(IER).unwrap(), IER_THR_EMPTY);
    assert_eq!(sink.take(), [SinkCall::Send(message(false))]);
    assert_eq!(ioapic.get("asserted"), Some(json!(1 << 4)));
    machine.inb(DEFAULT_IOBASE + u16::try_from(IIR).unwrap());
    assert_eq!(ioapic.get("asserted"), Some(json!(0)));
    assert_eq!(sink.take(), []);
}

#[test]
fn a_level_interrupt_is_sent_again_once_it_was_ended_and_only_then() {
    let (machine, sink, ioapic) = machine();
    let line = line(&machine, &ioapic, 9);
    set_entry(&machine, 9, u64::from(VECTOR) | ENTRY_LEVEL);
    line.set_level(true);
    line.set_level(true);
    sink.take_sent();
    let controller = ioapic.cast::<dyn InterruptController>().unwrap();
    controller.end_of_interrupt(VECTOR + 1);
    assert_eq!(sink.take_sent(), []);
    controller.end_of_interrupt(VECTOR);
    assert_eq!(sink.take_sent(), [message(true)]);
    line.set_level(false);
    controller.end_of_interrupt(VECTOR);
    assert_eq!(sink.take_sent(), []);
}

#[test]
fn a_pin_masked_while_its_level_interrupt_is_handled_keeps_its_route() {
    let (machine, sink, ioapic) = machine();
    let line = line(&machine, &ioapic, 9);
    let entry = u64::from(VECTOR) | ENTRY_LEVEL;
    set_entry(&machine, 9, entry);
    line.set_level(true);
    sink.take();
    set_entry(&machine, 9, entry | ENTRY_MASKED);
    assert_eq!(sink.take(), [SinkCall::Route(9, Some(message(true)))]);
    ioapic.cast::<dyn InterruptController>().unwrap().end_of_interrupt(VECTOR);
    set_entry(&machine, 9, entry);
    assert!(sink.take_sent().contains(&message(true)), "it is still asserted");
}

#[test]
fn a_masked_pin_has_no_route_and_sends_nothing() {
    let (machine, sink, ioapic) = machine();
    set_entry(&machine, 9, VECTOR.into());
    set_entry(&machine, 9, u64::from(VECTOR) | ENTRY_MASKED);
    assert_eq!(sink.take(), [SinkCall::Route(9, Some(message(false))), SinkCall::Route(9, None)]);
    line(&machine, &ioapic, 9).set_level(true);
    assert_eq!(sink.take(), []);
    let table = ioapic.get("redirection-table").unwrap();
    assert_eq!(table[9], json!(u64::from(VECTOR) | ENTRY_MASKED));
    assert_eq!(table.as_array().unwrap().len(), 24);
}

#[test]
fn pins_that_do_not_exist_are_ignored() {
    let (machine, sink, ioapic) = machine();
    let controller = ioapic.cast::<dyn InterruptController>().unwrap();
    for pin in [24, 255, 256, u32::MAX] {
        controller.set_level(pin, true);
    }
    assert_eq!(ioapic.get("asserted"), Some(json!(0)));
    assert_eq!(sink.take(), []);
    let error = InterruptLine::new(machine.tree.id(), &ioapic, 24).unwrap_err();
    assert_eq!(error.to_string(), "interrupt 24 does not exist: 'ioapic' has pins 0 to 23");
}

#[test]
fn a_reset_masks_all_pins_and_takes_their_routes() {
    let (machine, sink, ioapic) = machine();
    write(&machine, INDEX_ID, 5 << ID_SHIFT);
    assert_eq!(ioapic.get("id"), Some(json!(5)));
    set_entry(&machine, 9, u64::from(VECTOR) | ENTRY_LEVEL);
    line(&machine, &ioapic, 9).set_level(true);
    sink.take();
    ioapic.cast::<dyn Device>().unwrap().reset();
    assert_eq!(sink.take(), (0..24).map(|pin| SinkCall::Route(pin, None)).collect::<Vec<_>>());
    assert_eq!(ioapic.get("id"), Some(json!(0)));
    assert_eq!(ioapic.get("asserted"), Some(json!(1 << 9)), "its device still asserts it");
}

#[test]
fn a_machine_that_takes_no_messages_has_no_place_for_it() {
    let machine = Machine::new();
    let error = machine.create("ioapic", "ioapic", &[]).unwrap_err();
    assert_eq!(error.to_string(), "the machine has no message-signalled interrupts");
    assert!(machine.paths().is_empty());
    assert!(machine.platform.memory_io().regions().is_empty());
}

#[test]
fn a_second_one_is_refused_and_leaves_nothing() {
    let (machine, ..) = machine();
    for base in ["0xfec00000", "0xfec01000"] {
        let error = machine.create("ioapic", "other", &[("base", base)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the machine has an interrupt controller already: '/ioapic' (type 'ioapic')"
        );
    }
    assert_eq!(machine.paths(), ["/ioapic", "/sink"]);
    assert_eq!(machine.platform.memory_io().regions().len(), 1);
}

/// Something else at its last addresses
#[qom_type(secure, parent = SysBusDevice, interfaces(MemoryIo))]
struct Squatter;

impl Device for Squatter {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_memory(0, 0xfec0_0ff0, 0x10)
    }
}

impl SysBusDevice for Squatter {}

impl MemoryIo for Squatter {
    fn read(&self, _: u8, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&self, _: u8, _: u64, _: &[u8]) {}
}

#[test]
fn one_that_gets_no_addresses_leaves_interrupts_to_another() {
    let machine = Machine::new();
    machine.add("test-sink", "sink", &[]);
    machine.add("squatter", "squatter", &[]);
    let error = machine.create("ioapic", "ioapic", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "addresses 0xfec00000-0xfec00fff are taken by '/squatter' (type 'squatter')"
    );
    assert!(machine.platform.interrupts().is_none());
    machine.add("ioapic", "ioapic", &[("base", "0xfec01000")]);
}

#[test]
fn removed_it_makes_room_for_another() {
    let (machine, sink, ioapic) = machine();
    machine.remove(&ioapic);
    assert!(machine.platform.interrupts().is_none());
    machine.add("ioapic", "another", &[]);
    machine.add("isa-serial", "com1", &[]);
    set_entry(&machine, 4, VECTOR.into());
    machine.outb(DEFAULT_IOBASE + u16::try_from(IER).unwrap(), IER_THR_EMPTY);
    assert_eq!(sink.take_sent(), [message(false)]);
}

#[test]
fn removed_it_takes_its_routes_and_sends_nothing_any_more() {
    let (machine, sink, ioapic) = machine();
    let line = line(&machine, &ioapic, 9);
    set_entry(&machine, 9, VECTOR.into());
    sink.take();
    machine.remove(&ioapic);
    assert!(sink.take().contains(&SinkCall::Route(9, None)));
    assert!(machine.platform.memory_io().regions().is_empty());
    line.set_level(true);
    assert_eq!(sink.take(), []);
}

#[test]
fn vcpus_and_devices_at_once_leave_the_routes_of_the_table() {
    let (machine, sink, ioapic) = machine();
    std::thread::scope(|scope| {
        for pin in 0..3 {
            let line = line(&machine, &ioapic, pin);
            scope.spawn(move || {
                for _ in 0..200 {
                    line.set_level(true);
                    line.set_level(false);
                }
            });
        }
        for vector in [0x41_u32, 0x42] {
            let bus = machine.platform.memory_io();
            scope.spawn(move || {
                for index in (0..200).map(|index| INDEX_REDIRECTION + 2 * (index % 3)) {
                    bus.write(DEFAULT_BASE + IOREGSEL, &[index]);
                    bus.write(DEFAULT_BASE + IOWIN, &vector.to_le_bytes());
                }
            });
        }
    });
    let calls = sink.take();
    let table = ioapic.get("redirection-table").unwrap();
    for pin in 0..3_u32 {
        let last = calls.iter().rev().find_map(|call| match call {
            SinkCall::Route(at, route) if *at == pin => Some(*route),
            _ => None,
        });
        let entry = table[usize::try_from(pin).unwrap()].as_u64().unwrap();
        let vector = last.flatten().map(|message| u64::from(message.data) & ENTRY_VECTOR);
        assert_eq!(vector, Some(entry & ENTRY_VECTOR), "pin {pin}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Register(u8, u32),
    Write(u64, Vec<u8>),
    Read(u64, usize),
    Level(u32, bool),
    End(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let address = prop_oneof![
        8 => prop::sample::select(vec![IOREGSEL, IOWIN, IOEOI]),
        1 => 0..WINDOW_SIZE + 8,
    ];
    let data = proptest::collection::vec(any::<u8>(), 1..9);
    prop_oneof![
        4 => (any::<u8>(), any::<u32>()).prop_map(|(index, value)| Step::Register(index, value)),
        4 => (INDEX_REDIRECTION..INDEX_REDIRECTION + 48, any::<u32>())
            .prop_map(|(index, value)| Step::Register(index, value & !(1 << 16))),
        4 => (address.clone(), data).prop_map(|(at, data)| Step::Write(at, data)),
        2 => (address, 1_usize..9).prop_map(|(at, length)| Step::Read(at, length)),
        6 => (0_u32..26, any::<bool>()).prop_map(|(pin, level)| Step::Level(pin, level)),
        3 => any::<u8>().prop_map(Step::End),
    ]
}

proptest! {
    #[test]
    fn whatever_a_guest_does_messages_stay_within_the_processors_window(
        steps in proptest::collection::vec(step(), 0..100),
    ) {
        let (machine, sink, ioapic) = machine();
        let controller = ioapic.cast::<dyn InterruptController>().unwrap();
        for step in steps {
            match step {
                Step::Register(index, value) => write(&machine, index, value),
                Step::Write(at, data) => {
                    machine.platform.memory_io().write(DEFAULT_BASE + at, &data);
                }
                Step::Read(at, length) => {
                    machine.platform.memory_io().read(DEFAULT_BASE + at, &mut vec![0; length]);
                }
                Step::Level(pin, level) => controller.set_level(pin, level),
                Step::End(vector) => controller.end_of_interrupt(vector),
            }
            let calls = sink.take();
            // No access makes more work than a new route and an interrupt for each pin.
            prop_assert!(calls.len() <= 25);
            for call in calls {
                let message = match call {
                    SinkCall::Send(message) => message,
                    SinkCall::Route(pin, message) => {
                        prop_assert!(pin < 24);
                        message.unwrap_or(Msi { address: MSI_ADDRESS_BASE, data: 0 })
                    }
                };
                prop_assert_eq!(message.address & !0xf_ffff, MSI_ADDRESS_BASE);
                prop_assert_eq!(message.data & !0xc7ff, 0);
            }
        }
        ioapic.cast::<dyn Device>().unwrap().reset();
        prop_assert_eq!(read(&machine, INDEX_VERSION), 0x0017_0020);
    }
}
