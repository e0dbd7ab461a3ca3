//! `mc146818rtc` as a guest, a board and a user meet it: with the host's clock and a running loop.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use device_model::{
    acpi::{AcpiNode, Resource},
    clock::{Clock, SteppedClock},
    device::Device,
    qom_core::SecurityStatus,
    testing::{Machine, TestController, wait_until},
};
use devices::mc146818rtc::spec::*;
use proptest::prelude::*;
use serde_json::json;

const INDEX_PORT: u16 = DEFAULT_IOBASE;
const DATA_PORT: u16 = DEFAULT_IOBASE + 1;
const IRQ: u32 = 8;

fn get(machine: &Machine, register: u8) -> u8 {
    machine.outb(INDEX_PORT, register);
    machine.inb(DATA_PORT)
}

fn set(machine: &Machine, register: u8, value: u8) {
    machine.outb(INDEX_PORT, register);
    machine.outb(DATA_PORT, value);
}

/// Seconds since 1970, by the host.
fn host_time() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[test]
fn it_is_declared_secure() {
    let (machine, _) = Machine::with_controller();
    let rtc = machine.add("mc146818rtc", "rtc", &[]);
    assert_eq!(rtc.class().status(), SecurityStatus::Secure);
}

#[test]
fn it_tells_the_host_s_time_unless_told_another() {
    let (machine, _) = Machine::with_controller();
    let before = host_time();
    let rtc = machine.add("mc146818rtc", "rtc", &[]);
    assert_eq!(rtc.get("base"), Some(json!("utc")));
    let time = rtc.get("time").unwrap().as_i64().unwrap();
    assert!((before..=host_time()).contains(&time), "{time}");
}

#[test]
fn it_starts_at_the_time_that_is_asked_for() {
    let (machine, _) = Machine::with_controller();
    let start = Instant::now();
    let rtc = machine.add("mc146818rtc", "rtc", &[("base", "2006-06-17T16:01:21")]);
    assert_eq!(rtc.get("base"), Some(json!("2006-06-17T16:01:21")));
    let time = rtc.get("time").unwrap().as_i64().unwrap();
    let latest = 1_150_560_081 + i64::try_from(start.elapsed().as_secs()).unwrap() + 1;
    assert!((1_150_560_081..=latest).contains(&time), "{time}");
    assert_eq!(
        [CENTURY, YEAR, MONTH, DAY_OF_MONTH, HOURS].map(|register| get(&machine, register)),
        [0x20, 0x06, 0x06, 0x17, 0x16],
    );
}

#[test]
fn a_time_that_does_not_exist_is_refused_before_anything_is_made() {
    let (machine, _) = Machine::with_controller();
    let error = machine.create("mc146818rtc", "rtc", &[("base", "2023-02-29")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Parameter 'base' expects 'utc' or a date such as '2006-06-17T16:01:21' or '2006-06-17', \
         got '2023-02-29'"
    );
    assert_eq!(machine.paths(), ["/pic"]);
}

#[test]
fn firmware_finds_the_sizes_of_memory_in_cmos() {
    let (machine, _) = Machine::with_controller();
    machine.add("mc146818rtc", "rtc", &[("memory-below-4g", "32M"), ("memory-above-4g", "1G")]);
    let word = |low| u16::from_le_bytes([get(&machine, low), get(&machine, low + 1)]);
    assert_eq!(word(CMOS_MEMORY_ABOVE_16M), 256);
    assert_eq!(word(CMOS_MEMORY_ABOVE_4G), 0x4000);
}

#[test]
fn a_periodic_interrupt_comes_without_any_access() {
    let (machine, controller) = Machine::with_controller();
    let rtc = machine.add("mc146818rtc", "rtc", &[]);
    let _running = machine.run_events();
    // 1024 times a second.
    set(&machine, REGISTER_B, B_DEFAULT | B_PERIODIC);
    for _ in 0..5 {
        wait_until("the periodic interrupt", || controller.level(IRQ));
        assert_eq!(rtc.get("interrupt"), Some(json!(true)));
        assert_eq!(get(&machine, REGISTER_C) & C_PERIODIC, C_PERIODIC);
        // One write of the index port and one read of the data port: another may be due by now.
        controller.take_changes();
    }
    set(&machine, REGISTER_B, B_DEFAULT);
    get(&machine, REGISTER_C);
    assert!(!controller.level(IRQ));
    controller.take_changes();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(controller.take_changes(), [], "it is off");
}

#[test]
fn an_interrupt_that_nobody_reads_is_raised_once() {
    let (machine, controller) = Machine::with_controller();
    machine.add("mc146818rtc", "rtc", &[]);
    let _running = machine.run_events();
    set(&machine, REGISTER_B, B_DEFAULT | B_PERIODIC);
    wait_until("the periodic interrupt", || controller.level(IRQ));
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(controller.take_changes(), [(IRQ, true)]);
}

#[test]
fn an_alarm_goes_off_in_the_second_that_it_is_set_for() {
    let (machine, controller) = Machine::with_controller();
    machine.add("mc146818rtc", "rtc", &[("base", "2024-12-31T23:59:59")]);
    let _running = machine.run_events();
    for register in [SECONDS_ALARM, MINUTES_ALARM, HOURS_ALARM] {
        set(&machine, register, 0);
    }
    set(&machine, REGISTER_B, B_DEFAULT | B_ALARM);
    wait_until("the alarm", || controller.level(IRQ));
    assert_eq!(get(&machine, YEAR), 0x25);
    assert_eq!(get(&machine, REGISTER_C) & C_ALARM, C_ALARM);
    assert!(!controller.level(IRQ));
}

#[test]
fn a_reset_silences_it_and_keeps_the_memory() {
    let (machine, controller) = Machine::with_controller();
    let rtc = machine.add("mc146818rtc", "rtc", &[]);
    let running = machine.run_events();
    set(&machine, 0x40, 0xa5);
    set(&machine, REGISTER_B, B_DEFAULT | B_PERIODIC);
    wait_until("the periodic interrupt", || controller.level(IRQ));
    rtc.cast::<dyn Device>().unwrap().reset();
    drop(running);
    assert!(!controller.level(IRQ));
    assert_eq!(get(&machine, 0x40), 0xa5);
    assert_eq!(get(&machine, REGISTER_B) & B_PERIODIC, 0);
}

#[test]
fn acpi_tells_of_it_where_it_is() {
    let (machine, _) = Machine::with_controller();
    let rtc = machine.add("mc146818rtc", "rtc", &[]).cast::<dyn AcpiNode>().unwrap();
    let [device] = rtc.acpi().try_into().unwrap();
    assert_eq!((&*device.name, &*device.hardware_id), ("RTC_", "PNP0B00"));
    assert_eq!(
        device.resources,
        [Resource::Ports { start: INDEX_PORT, count: 2 }, Resource::isa_interrupt(IRQ)]
    );
}

#[test]
fn a_second_one_is_refused_and_leaves_nothing() {
    let (machine, _) = Machine::with_controller();
    // Its line is another's: its ports, which it got, are free again afterwards.
    let there = machine.add("isa-serial", "com1", &[("irq", "8")]);
    let error = machine.create("mc146818rtc", "rtc", &[]).unwrap_err();
    assert_eq!(error.to_string(), "interrupt 8 is taken by '/com1' (type 'isa-serial')");
    assert_eq!(machine.platform.ports().regions().len(), 1);
    machine.remove(&there);
    machine.add("mc146818rtc", "rtc", &[]);
    let error = machine.create("mc146818rtc", "other", &[]).unwrap_err();
    assert_eq!(error.to_string(), "ports 0x70-0x71 are taken by '/rtc' (type 'mc146818rtc')");
    assert_eq!(machine.paths(), ["/pic", "/rtc"]);
}

#[test]
fn removed_while_its_timer_runs_it_raises_nothing_any_more() {
    let (machine, controller) = Machine::with_controller();
    let rtc = machine.add("mc146818rtc", "rtc", &[]);
    let _running = machine.run_events();
    set(&machine, REGISTER_B, B_DEFAULT | B_PERIODIC);
    wait_until("the periodic interrupt", || controller.level(IRQ));
    get(&machine, REGISTER_C);
    // A handle outlives it, as one may that somebody holds by chance.
    machine.remove(&rtc);
    assert!(!controller.level(IRQ));
    controller.take_changes();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(controller.take_changes(), []);
    assert_eq!(format!("{:?}", machine.platform.events()), "EventLoop { watched: 0, .. }");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_guest_does_the_clock_keeps_working(
        accesses in proptest::collection::vec(
            (
                any::<bool>(),
                INDEX_PORT - 2..DATA_PORT + 2,
                proptest::collection::vec(any::<u8>(), 1..5),
            ),
            0..80,
        ),
    ) {
        let (machine, controller) = Machine::with_controller();
        let rtc = machine.add("mc146818rtc", "rtc", &[]);
        let running = machine.run_events();
        for (is_write, at, mut data) in accesses {
            if is_write {
                machine.platform.ports().write(at.into(), &data);
            } else {
                machine.platform.ports().read(at.into(), &mut data);
            }
        }
        drop(running);
        rtc.cast::<dyn Device>().unwrap().reset();
        prop_assert!(!controller.level(IRQ));
        prop_assert_eq!(get(&machine, REGISTER_D), D_VALID);
        set(&machine, 0x41, 0x77);
        prop_assert_eq!(get(&machine, 0x41), 0x77);
        prop_assert!(rtc.get("time").is_some_and(|time| time.is_i64()));
    }
}

/// A machine whose clock is stepped by hand, with the real-time clock at 2006-06-17T16:01:21.
fn stepped() -> (Machine, Arc<TestController>, Arc<SteppedClock>) {
    let machine = Machine::new();
    let hand = SteppedClock::new(0);
    assert!(machine.platform.set_clock(Clock::stepped(Arc::clone(&hand))));
    let controller = machine.add("test-controller", "pic", &[]).cast().unwrap();
    machine.add("mc146818rtc", "rtc", &[("base", "2006-06-17T16:01:21")]);
    (machine, controller, hand)
}

#[test]
fn time_goes_by_as_the_machine_s_clock_is_stepped() {
    let (machine, _, hand) = stepped();
    assert_eq!(get(&machine, SECONDS), 0x21);
    hand.advance_to(999_999_999).unwrap();
    assert_eq!(get(&machine, SECONDS), 0x21);
    hand.advance_to(1_000_000_000).unwrap();
    assert_eq!(get(&machine, SECONDS), 0x22);
}

#[test]
fn the_periodic_interrupt_comes_as_the_machine_s_clock_is_stepped() {
    let (machine, controller, hand) = stepped();
    // 1024 Hz: every 976,562.5 ns.
    set(&machine, REGISTER_B, B_24_HOURS | B_PERIODIC);
    let deadline = hand.next_deadline().unwrap();
    assert!((1..=976_563).contains(&deadline), "{deadline}");
    assert!(hand.advance_to(deadline - 1).is_ok());
    assert_eq!(controller.take_changes(), []);
    hand.advance_to(deadline).unwrap();
    assert_eq!(controller.take_changes(), [(IRQ, true)]);
    assert_eq!(hand.next_deadline(), None, "it is high until register C is read");
    assert_eq!(get(&machine, REGISTER_C) & (C_PERIODIC | C_INTERRUPT), C_PERIODIC | C_INTERRUPT);
    assert_eq!(controller.take_changes(), [(IRQ, false)]);
    assert!(hand.next_deadline().unwrap() > deadline);
}
