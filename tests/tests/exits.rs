//! How a run ends, and with which exit status.

use std::{ffi::OsStr, time::Duration};

use rustix::process::Signal;
use tests::{
    Scratch, Vmm,
    guest::{self, Reset},
};

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
    ended.complains("palisade: terminating on signal 15\n");
}

#[test]
fn a_reset_starts_over_with_what_the_files_have() {
    let scratch = Scratch::new();
    let initrd = scratch.file("initrd", [0x55; 4096]);
    for reset in [Reset::KeyboardController, Reset::TripleFault] {
        let kernel = scratch.guest(guest::count_resets(reset));
        for beside in [vec![], vec![OsStr::new("-initrd"), initrd.as_os_str()]] {
            let running = Vmm::line("-m 16M").kernel(&kernel).args(beside).start();
            running.wait_until("four lines", |so_far| so_far.lines().count() >= 4);
            running.signal(Signal::TERM);
            let ended = running.finish().code(0);
            let lines: Vec<_> = ended.bytes().chunks_exact(3).collect();
            assert!(lines.iter().all(|line| line == b"00\n"), "{reset:?}: {ended}");
        }
    }
}

#[test]
fn a_reset_brings_the_old_interrupt_controllers_back_where_they_are() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::mask_interrupts_and_reset());
    for (irqchip, told) in [
        ("on", "fresh\nfresh\nfresh\n"),
        ("on,pic=on", "fresh\nfresh\nfresh\n"),
        ("split", "absent\nabsent\nabsent\n"),
    ] {
        let running = Vmm::line("-m 16M -machine")
            .and(&format!("kernel-irqchip={irqchip}"))
            .kernel(&kernel)
            .start();
        running.wait_until("three lines", |so_far| so_far.matches('\n').count() >= 3);
        running.signal(Signal::TERM);
        let ended = running.finish().code(0);
        assert!(ended.stdout().starts_with(told), "{irqchip}: {ended}");
        assert!(!ended.stdout().contains("kept"), "{irqchip}: {ended}");
    }
}

#[test]
fn a_reset_whose_files_are_gone_ends_the_run() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::echo("ready\n", b'q'));
    let mut running = Vmm::line("-m 16M").kernel(&kernel).start();
    running.wait_for("ready\n");
    std::fs::remove_file(&kernel).expect("it is ours");
    running.give(b"q".to_vec());
    running
        .finish()
        .code(1)
        .complains("palisade: -kernel ")
        .complains("guest.elf: can't open it: No such file");
}

#[test]
fn a_storm_of_resets_is_told_a_few_times_and_counted() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::hello("again\n"));
    let running = Vmm::line("-m 16M").kernel(kernel).start();
    running.wait_until("20 resets", |so_far| so_far.lines().count() > 20);
    running.signal(Signal::TERM);
    let ended = running.finish().code(0);
    let faults = ended.lines().into_iter().filter(|line| line.ends_with("triple fault")).count();
    assert_eq!(faults, 5, "{ended}");
    let last = ended.lines().last().copied().unwrap_or_default();
    assert!(last.starts_with("palisade: warning: "), "{ended}");
    assert!(last.ends_with(" more warnings that the guest caused"), "{ended}");
}

#[test]
fn a_storm_of_crashes_is_told_a_few_times_and_counted() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::crash_for_ever("crashing\n"));
    let running = Vmm::line("-m 16M -device pvpanic").kernel(kernel).start();
    running.wait_for("crashing\n");
    running.wait_for_error("its crash kernel\n");
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::TERM);
    let ended = running.finish().code(0);
    assert_eq!(ended.lines().len(), 7, "{ended}");
    ended.complains("palisade: terminating on signal 15\n");
}

#[test]
fn a_signal_ends_a_storm_of_resets_whose_log_nobody_reads() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::hello("again\n"));
    let running = Vmm::line("-m 16M").kernel(kernel).start_unheard();
    running.wait_for("again\nagain\nagain\n");
    running.signal(Signal::TERM);
    running.finish().code(0);
}

#[test]
fn a_reset_does_not_wait_for_a_reader_of_the_output_and_output_goes_on() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::reset_while_held_up("again\n"));
    let mut running = Vmm::line("-m 16M -smp 2").kernel(kernel).start_unread();
    running.wait_for_error("triple fault");
    running.read_at_last();
    running.wait_for("again\n");
    running.signal(Signal::TERM);
    running.finish().code(0).complains("palisade: terminating on signal 15\n");
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
