//! What a guest is told of its machine after the start: its power button, and devices that were added
//! before it runs.

use serde_json::json;
use tests::{
    Scratch, Vmm, guest,
    qmp::{Monitored, Qmp},
    qtest::{PERMITTED, Qtest},
};

/// The register of `acpi-ged` that tells of events, and the bit of its power button.
const EVENTS: (&str, u64) = ("0xfea00003", 1 << 1);

#[test]
fn pressing_the_power_button_interrupts_the_guest_which_reads_of_it_once() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("qmp");
    let vmm = Vmm::line("-accel qtest -nodefaults").and(PERMITTED);
    let mut machine = Qtest::of(vmm.monitor(&socket), scratch);
    let mut monitor = Qmp::connect(&socket);
    machine.ok("irq_intercept_in ioapic");
    monitor.execute("system_powerdown", json!({}));
    assert_eq!(monitor.event("POWERDOWN")["data"], json!(null));
    assert_eq!(machine.wait_for_interrupt(), "raise 9");
    assert_eq!(machine.number(&format!("readb {}", EVENTS.0)), EVENTS.1);
    assert_eq!(machine.interrupts(), ["lower 9"]);
    assert_eq!(machine.number(&format!("readb {}", EVENTS.0)), 0);
}

#[test]
fn a_device_that_was_added_before_the_guest_runs_is_in_its_tables() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::is_told_of(*b"COM2"));
    let vmm = Vmm::line("-no-reboot -S").kernel(kernel);
    let mut paused = Monitored::of(vmm.clone(), Scratch::new());
    paused.qmp.execute(
        "device_add",
        json!({ "driver": "isa-serial", "id": "second", "iobase": 0x2f8, "irq": 3 }),
    );
    paused.qmp.execute("cont", json!({}));
    paused.running.finish().code(0).says_only("told");
    let mut without = Monitored::of(vmm, Scratch::new());
    without.qmp.execute("cont", json!({}));
    without.running.finish().code(0).says_only("untold");
}
