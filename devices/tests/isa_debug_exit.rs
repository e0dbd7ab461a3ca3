//! `isa-debug-exit`: refused unless the user accepts insecure types, and what it does then.

use device_model::{
    qom_core::{
        CreateError, InsecureTypes, Policy, PolicyStatement::InsecureTypes as Stated,
        SecurityStatus,
    },
    request::VmRequest,
    testing::Machine,
};
// Registers its types.
use devices as _;
use proptest::prelude::*;
use serde_json::json;

const PORT: u16 = 0x501;

fn accepting() -> Machine {
    Machine::with_policy(Policy::of(&[Stated(InsecureTypes::Accept)]))
}

#[test]
fn the_default_policy_refuses_it() {
    let machine = Machine::new();
    let error = machine.create("isa-debug-exit", "exit", &[]).unwrap_err();
    assert!(matches!(*error, CreateError::Refused(_)), "{error:?}");
    assert_eq!(error.to_string(), "Type 'isa-debug-exit' is declared as insecure");
    assert!(machine.paths().is_empty());
    assert!(machine.platform.ports().regions().is_empty());
    assert!(machine.tree.taints().is_empty());
}

#[test]
fn accepted_it_taints_the_machine_and_says_why() {
    let machine = accepting();
    let device = machine.add("isa-debug-exit", "exit", &[]);
    let SecurityStatus::Insecure { reason } = device.class().status() else {
        panic!("it is declared {:?}", device.class().status());
    };
    assert!(reason.contains("exit status"), "{reason}");
    let taints = machine.tree.taints();
    assert_eq!(taints.len(), 1);
    assert_eq!(taints[0].cause.path(), "/exit");
    assert_eq!(taints[0].cause.reason(), Some(reason));
    machine.remove(&device);
    assert!(machine.tree.taints()[0].removed, "what it may have done stays on record");
}

#[test]
fn a_write_asks_for_the_end_with_twice_the_value_plus_one() {
    let machine = accepting();
    machine.add("isa-debug-exit", "exit", &[]);
    machine.outb(PORT, 0x10);
    assert_eq!(machine.requests(), [VmRequest::Exit(0x21)]);
    // A process's status has eight bits, whatever the guest writes.
    machine.platform.ports().write(PORT.into(), &[0x7f, 0x12]);
    assert_eq!(machine.requests(), [VmRequest::Exit(0xff)]);
}

#[test]
fn it_has_as_many_ports_as_configured() {
    let machine = accepting();
    let device = machine.add("isa-debug-exit", "exit", &[("iobase", "0xf4"), ("iosize", "4")]);
    assert_eq!(device.get("iobase"), Some(json!(0xf4)));
    assert_eq!(device.get("iosize"), Some(json!(4)));
    let regions = machine.platform.ports().regions();
    assert_eq!((regions[0].0, regions[0].1), (0xf4, 0xf7));
    machine.outb(0xf8, 1);
    assert_eq!(machine.requests(), []);
    for size in ["0", "5"] {
        let error = machine.create("isa-debug-exit", "other", &[("iosize", size)]).unwrap_err();
        let expected = format!("Parameter 'iosize' expects a value from 1 to 4, got '{size}'");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_second_one_is_refused_and_leaves_nothing() {
    let machine = accepting();
    let first = machine.add("isa-debug-exit", "exit", &[]);
    let error = machine.create("isa-debug-exit", "other", &[("iobase", "0x502")]).unwrap_err();
    assert_eq!(error.to_string(), "ports 0x502-0x503 are taken by '/exit' (type 'isa-debug-exit')");
    assert_eq!(machine.paths(), ["/exit"]);
    assert_eq!(machine.tree.taints().len(), 1, "what never was does not taint");
    machine.remove(&first);
    machine.outb(PORT, 1);
    assert_eq!(machine.requests(), []);
    machine.add("isa-debug-exit", "other", &[]);
}

proptest! {
    #[test]
    fn whatever_is_written_the_status_is_never_that_of_a_clean_exit(
        writes in proptest::collection::vec(
            (PORT - 3..PORT + 4, proptest::collection::vec(any::<u8>(), 1..5)), 0..50,
        ),
    ) {
        let machine = accepting();
        machine.add("isa-debug-exit", "exit", &[]);
        for (at, data) in writes {
            machine.platform.ports().write(at.into(), &data);
        }
        for request in machine.requests() {
            prop_assert!(matches!(request, VmRequest::Exit(status) if status & 1 == 1));
        }
    }
}
