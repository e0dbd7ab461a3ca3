//! `acpi-ged` as a guest and a board meet it.

use device_model::{
    acpi::{AcpiNode, Resource},
    device::Device,
    power_button::PowerButton,
    qom_core::SecurityStatus,
    request::VmRequest,
    testing::Machine,
};
use devices::ged::spec::*;
use proptest::prelude::*;
use serde_json::json;

const POWER_OFF: u8 = SLP_TYP_S5 << SLP_TYP_SHIFT | SLP_EN;

fn machine() -> Machine {
    Machine::with_controller().0
}

fn write(machine: &Machine, register: u64, data: &[u8]) {
    machine.platform.memory_io().write(DEFAULT_BASE + register, data);
}

fn read(machine: &Machine, register: u64) -> u8 {
    let mut data = [0];
    machine.platform.memory_io().read(DEFAULT_BASE + register, &mut data);
    data[0]
}

#[test]
fn it_is_declared_secure() {
    let device = machine().add("acpi-ged", "ged", &[]);
    assert_eq!(device.class().status(), SecurityStatus::Secure);
    assert_eq!(device.get("base"), Some(json!(DEFAULT_BASE)));
}

#[test]
fn soft_off_asks_for_power_off_and_the_reset_value_for_a_reset() {
    let machine = machine();
    machine.add("acpi-ged", "ged", &[]);
    write(&machine, SLEEP_CONTROL, &[POWER_OFF]);
    assert_eq!(machine.requests(), [VmRequest::PowerOff]);
    write(&machine, RESET, &[RESET_VALUE]);
    assert_eq!(machine.requests(), [VmRequest::Reset]);
    write(&machine, RESET, &[RESET_VALUE + 1]);
    assert_eq!(machine.requests(), []);
}

#[test]
fn its_state_can_be_read_and_a_reset_clears_it() {
    let machine = machine();
    let ged = machine.add("acpi-ged", "ged", &[]);
    write(&machine, SLEEP_CONTROL, &[SLP_TYP_MASK]);
    assert_eq!(ged.get("sleep-control"), Some(json!(SLP_TYP_MASK)));
    ged.cast::<dyn Device>().unwrap().reset();
    assert_eq!(ged.get("sleep-control"), Some(json!(0)));
    assert_eq!(read(&machine, SLEEP_CONTROL), 0);
}

#[test]
fn a_pressed_power_button_interrupts_until_the_guest_has_read_of_it() {
    let (machine, controller) = Machine::with_controller();
    let ged = machine.add("acpi-ged", "ged", &[]);
    let button = ged.cast::<dyn PowerButton>().unwrap();
    button.press();
    button.press();
    assert!(controller.level(DEFAULT_GSI));
    write(&machine, EVENTS, &[0xff]);
    assert!(controller.level(DEFAULT_GSI));
    assert_eq!(read(&machine, EVENTS), POWER_BUTTON);
    assert!(!controller.level(DEFAULT_GSI));
    assert_eq!(read(&machine, EVENTS), 0);
    button.press();
    assert!(controller.level(DEFAULT_GSI));
    ged.cast::<dyn Device>().unwrap().reset();
    assert!(!controller.level(DEFAULT_GSI));
}

#[test]
fn it_tells_a_guest_of_its_register_and_its_interrupt() {
    let machine = machine();
    let ged = machine.add("acpi-ged", "ged", &[("base", "0xd0000000"), ("gsi", "11")]);
    let [told] = &*ged.cast::<dyn AcpiNode>().unwrap().acpi() else { panic!("it is one device") };
    assert_eq!(told.hardware_id, "ACPI0013");
    assert!(matches!(told.resources[..], [Resource::Interrupt { gsi: 11, .. }]));
    let events = told.events.as_ref().unwrap();
    assert_eq!(events.address, 0xd000_0000 + EVENTS);
    assert_eq!(events.events[0].mask, POWER_BUTTON);
}

#[test]
fn a_second_one_is_refused_and_leaves_nothing() {
    let machine = machine();
    let first = machine.add("acpi-ged", "ged", &[]);
    let error =
        machine.create("acpi-ged", "other", &[("base", "0xfea00002"), ("gsi", "10")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "addresses 0xfea00002-0xfea00005 are taken by '/ged' (type 'acpi-ged')"
    );
    assert!(!machine.paths().contains(&"/other".to_owned()));
    machine.remove(&first);
    write(&machine, RESET, &[RESET_VALUE]);
    assert_eq!(machine.requests(), []);
    machine.add("acpi-ged", "other", &[("gsi", "10")]);
}

#[test]
fn addresses_past_the_last_one_are_refused() {
    let machine = machine();
    let error = machine.create("acpi-ged", "ged", &[("base", "0xfffffffffffffffe")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "0x4 addresses from 0xfffffffffffffffe do not end at or below 0xffffffffffffffff"
    );
}

proptest! {
    #[test]
    fn only_the_two_commands_ask_for_anything(
        writes in proptest::collection::vec(
            (DEFAULT_BASE - 8..DEFAULT_BASE + 5, proptest::collection::vec(any::<u8>(), 1..9)),
            0..60,
        ),
    ) {
        let machine = machine();
        machine.add("acpi-ged", "ged", &[]);
        for (at, data) in writes {
            machine.platform.memory_io().write(at, &data);
            let at = |register: u64| {
                let offset = (DEFAULT_BASE + register).checked_sub(at)?;
                data.get(usize::try_from(offset).ok()?).copied()
            };
            let off = at(SLEEP_CONTROL)
                .is_some_and(|byte| byte & (SLP_TYP_MASK | SLP_EN) == POWER_OFF);
            let reset = at(RESET) == Some(RESET_VALUE);
            let expected = if off {
                vec![VmRequest::PowerOff]
            } else if reset {
                vec![VmRequest::Reset]
            } else {
                vec![]
            };
            prop_assert_eq!(machine.requests(), expected);
        }
    }
}
