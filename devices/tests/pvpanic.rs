//! `pvpanic` as a guest and a user meet it.

use device_model::{qom_core::SecurityStatus, request::VmRequest, testing::Machine};
// Registers its types.
use devices as _;
use proptest::prelude::*;
use serde_json::json;

const PORT: u16 = 0x505;

#[test]
fn it_is_declared_secure() {
    let machine = Machine::new();
    let device = machine.add("pvpanic", "panic", &[]);
    assert_eq!(device.class().status(), SecurityStatus::Secure);
    assert_eq!(device.get("ioport"), Some(json!(0x505)));
    assert_eq!(device.get("events"), Some(json!(7)));
}

#[test]
fn each_report_asks_for_what_follows_from_it() {
    let machine = Machine::new();
    machine.add("pvpanic", "panic", &[]);
    assert_eq!(machine.inb(PORT), 7);
    for (event, request) in
        [(1, VmRequest::GuestPanicked), (2, VmRequest::GuestCrashLoaded), (4, VmRequest::PowerOff)]
    {
        machine.outb(PORT, event);
        assert_eq!(machine.requests(), [request]);
    }
}

#[test]
fn an_event_that_is_not_offered_asks_for_nothing() {
    let machine = Machine::new();
    machine.add("pvpanic", "panic", &[("events", "1")]);
    assert_eq!(machine.inb(PORT), 1);
    machine.outb(PORT, 2);
    assert_eq!(machine.requests(), []);
}

#[test]
fn a_mask_of_events_that_do_not_exist_is_refused() {
    let error = Machine::new().create("pvpanic", "panic", &[("events", "8")]).unwrap_err();
    assert_eq!(error.to_string(), "Parameter 'events' expects a value from 0 to 7, got '8'");
}

#[test]
fn a_second_one_is_refused_and_leaves_nothing() {
    let machine = Machine::new();
    let first = machine.add("pvpanic", "panic", &[]);
    let error = machine.create("pvpanic", "other", &[]).unwrap_err();
    assert_eq!(error.to_string(), "ports 0x505-0x505 are taken by '/panic' (type 'pvpanic')");
    assert_eq!(machine.paths(), ["/panic"]);
    machine.remove(&first);
    machine.outb(PORT, 1);
    assert_eq!(machine.requests(), [], "nothing answers any more");
    machine.add("pvpanic", "other", &[]);
}

proptest! {
    #[test]
    fn a_guest_that_repeats_itself_gains_nothing(
        writes in proptest::collection::vec(
            (PORT - 2..PORT + 2, proptest::collection::vec(any::<u8>(), 1..5)), 0..200,
        ),
    ) {
        let machine = Machine::new();
        machine.add("pvpanic", "panic", &[]);
        let mut reported = false;
        for (at, data) in writes {
            let byte = PORT.checked_sub(at).and_then(|offset| data.get(usize::from(offset)));
            reported |= byte.is_some_and(|byte| byte & 7 != 0);
            machine.platform.ports().write(at.into(), &data);
        }
        let requests = machine.requests();
        prop_assert!(requests.len() <= 3, "{requests:?}");
        prop_assert_eq!(!requests.is_empty(), reported);
        prop_assert_eq!(machine.inb(PORT), 7);
    }
}
