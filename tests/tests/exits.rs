//! How a run ends, and with which exit status.

use rustix::process::Signal;
use tests::{Scratch, Vmm, guest};

#[test]
fn a_guest_that_switches_itself_off_ends_the_run_well() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::power_off("off"));
    let vmm = Vmm::line("-m 16M").kernel(kernel);
    vmm.run().code(0).says_only("off").complains_only(&[]);
    vmm.and("-no-reboot").run().code(0).says_only("off").complains_only(&[]);
}

#[test]
fn a_reset_ends_the_run_well_under_no_reboot() {
    for image in [guest::reset("once"), guest::reset_by_keyboard_controller("once")] {
        let scratch = Scratch::new();
        let vmm = Vmm::line("-m 16M -no-reboot").kernel(scratch.guest(image));
        vmm.run().code(0).says_only("once").complains_only(&[]);
    }
}

#[test]
fn a_reset_starts_the_machine_over_until_a_signal_ends_it() {
    for image in [guest::reset("again\n"), guest::reset_by_keyboard_controller("again\n")] {
        let scratch = Scratch::new();
        let running = Vmm::line("-m 16M").kernel(scratch.guest(image)).start();
        running.wait_for("again\nagain\nagain\n");
        running.signal(Signal::TERM);
        running.finish().code(0).complains_only(&["palisade: terminating on signal 15"]);
    }
}

#[test]
fn a_triple_fault_under_no_reboot_ends_the_run_with_a_warning_and_the_registers() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::hello("hello\n"));
    let ended = Vmm::line("-m 16M -no-reboot").kernel(kernel).run().code(0).says_only("hello\n");
    assert_eq!(ended.lines()[0], "palisade: warning: processor 0: triple fault", "{ended}");
    // Some processors reset the guest's registers with it, so that their values differ.
    for register in ["rip=", "rax=", "cr0=", "cr3="] {
        assert!(ended.stderr().contains(register), "{register} of {ended}");
    }
}

#[test]
fn a_triple_fault_starts_the_machine_over() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::hello("again\n"));
    let running = Vmm::line("-m 16M").kernel(kernel).start();
    running.wait_for("again\nagain\nagain\n");
    running.signal(Signal::TERM);
    let ended = running.finish().code(0);
    let faults = ended.lines().into_iter().filter(|line| line.ends_with("triple fault")).count();
    assert!(faults >= 2, "{ended}");
    assert_eq!(ended.lines().last(), Some(&"palisade: terminating on signal 15"), "{ended}");
}

#[test]
fn what_kvm_cannot_emulate_ends_the_run_with_reason_bytes_and_registers() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::not_emulated("then\n"));
    let ended = Vmm::line("-m 16M").kernel(kernel).run().code(3).says_only("then\n");
    let start = "palisade: processor 0: KVM can't run the guest: KVM cannot emulate an instruction";
    assert!(ended.lines()[0].starts_with(start), "{ended}");
    ended.complains(guest::NOT_EMULATED).complains("rip=").complains("cr0=");
}

#[test]
fn a_panic_of_the_guest_has_a_status_of_its_own() {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-m 16M").kernel(scratch.guest(guest::panic("oh\n")));
    let warning = "palisade: warning: the guest's kernel has panicked";
    let panicked = vmm.clone().and("-device pvpanic").run();
    panicked.code(4).says_only("oh\n").complains_only(&[warning]);
    // Without the device there is nobody to tell.
    let running = vmm.start();
    running.wait_for("oh\n");
    running.signal(Signal::TERM);
    running.finish().code(0);
}

#[test]
fn sigterm_and_sigint_end_a_running_guest_in_good_order() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::print_and_spin("spinning\n"));
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let running = Vmm::line("-m 16M").kernel(&kernel).start();
        running.wait_for("spinning\n");
        running.signal(signal);
        let ended = running.finish().code(0).says_only("spinning\n");
        ended.complains_only(&[&format!("palisade: terminating on signal {number}")]);
    }
}
